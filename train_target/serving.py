"""What every judge does around its trials: its options, its own words, and whom it serves. Never imports torch."""

from __future__ import annotations

import argparse
import math
import signal
import sys
from pathlib import Path

import corpus
from ladder import LEVELS
from session import BY_HAND, Session
from terms import Terms
from trials import Engine, Judge, answer
from wire import Message, Wire, WireError


def say(text: str) -> None:
    print(f"judge: {text}", file=sys.stderr, flush=True)


def options_of_judges(about: str | None, data: str) -> argparse.ArgumentParser:
    """The options of any judge, which is told `about` in its help, and `data` of `--data`."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("--scale", default="cpu", help="a scale of target.toml")
    parser.add_argument("--core", type=cores, metavar="K[,K...]", help="the cores that boxes and judge run on")
    parser.add_argument("--cache", type=Path, default=corpus.default_cache(), help="where prepared data and boxes are")
    parser.add_argument("--data", type=Path, help=data)
    parser.add_argument("--patience", type=float, default=10.0, help="wall-clock seconds lost in a phase")
    parser.add_argument("--isolation", choices=("auto", *LEVELS, "none"), default="auto", help="at most this level")
    parser.add_argument("--unsafe-no-sandbox", action="store_true", help="run scripts even where nothing isolates them")
    parser.add_argument("--attach", type=int, metavar="FD", help="serve the process at the other end of this socket")
    parser.add_argument("--pid", type=int, help="the process that is charged, with --attach")
    parser.add_argument("--budget", type=seconds, help="seconds, with --attach; the scale's unless given")
    parser.add_argument("--seed", type=seed, default=0, help="with --attach")
    return parser


def cores(text: str) -> set[int]:
    """Cores as an option, by number."""
    return set(map(int, text.split(",")))


def seconds(text: str) -> float:
    """A budget as an option."""
    if not 0 < (value := float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds above 0")
    return value


def seed(text: str) -> int:
    """A seed as an option: what torch and numpy take."""
    if not 0 <= (value := int(text)) < 2**63:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 2**63 - 1")
    return value


def attend() -> Engine:
    """The engine, whose end of the pipe ends this process, and no signal that is meant for the engine."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the engine, which then closes the pipe
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return Engine()


def serve(engine: Engine, judge: Judge, about: Message) -> None:
    """Be a slot of the engine until its end of the pipe closes; `about` is what the ready line tells besides."""
    engine.reply(judge.ready(about))
    while True:
        engine.reply(judge.trial(engine.request()))


def by_hand(options: argparse.Namespace, full: float) -> Terms:
    """The terms of a run that no engine asked for, at a scale whose budget is `full`."""
    budget = options.budget or full
    return Terms(budget, min(1.0, budget / full), options.seed, BY_HAND)


def converse(wire: Wire, session: Session) -> None:
    """Serve one process over its socket until it hangs up."""
    try:
        while (messages := wire.receive()) is not None:
            for message in messages:
                answer(wire, session, message)
    except (WireError, BrokenPipeError) as error:
        say(f"the script broke off: {error}")
