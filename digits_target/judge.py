"""The judge of the digits: owns the labels of validation and test images, seeds, clock and arithmetic.

The same machinery as train_target's (trials, boxes, isolation, watchdog, probes), which lies beside this folder. What
is this target's own: where images come from, how they are served and scored (classification.py), and that the file with
all labels is hidden from every box. Runs no candidate code, never imports torch.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
FOLDER = Path(__file__).resolve().parent
sys.path.append(str(FOLDER.parent / "train_target"))

import argparse  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402

import numpy as np  # noqa: E402

import corpus  # noqa: E402
from classification import Classification, untrained  # noqa: E402
from clock import Clock  # noqa: E402
from documents import DataError  # noqa: E402
from images import CLASSES, SHA256, Scale, Split, installed, load  # noqa: E402
from ladder import LEVELS  # noqa: E402
from nursery import Infrastructure  # noqa: E402
from selftest import NoIsolation, settle  # noqa: E402
from session import BY_HAND  # noqa: E402
from terms import Terms  # noqa: E402
from trials import Engine, Judge, answer, boxes, make_clock  # noqa: E402
from wire import Message, Wire, WireError  # noqa: E402


def say(text: str) -> None:
    print(f"judge: {text}", file=sys.stderr, flush=True)


class DigitsJudge(Judge):
    """Runs trials on the digits; `texts` are here the splits of the images by name."""

    client = FOLDER

    def session(self, clock: Clock, terms: Terms) -> Classification:
        return Classification(self.scale, self.texts, clock, terms)  # type: ignore[arg-type]

    def untrained(self, before: Message) -> tuple[str, str]:
        return untrained(before)


def frequencies(splits: dict[str, Split]) -> float:
    """Nats of guessing the classes as often as they are in the training images, on validation images."""
    shares = np.bincount(splits["train"].labels, minlength=CLASSES) / len(splits["train"].labels)
    return float(-np.log(shares[splits["val"].labels]).mean())


def serve_engine(options: argparse.Namespace) -> None:
    """Be a slot of the engine until its end of the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the engine, which then closes the pipe
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    engine = Engine()
    try:
        os.sched_setaffinity(0, options.core or {0})
        if options.data:
            raise DataError("the digits are the data of this target: leave out --data")
        scale, path = Scale.read(options.scale), installed()
        splits, folder = load(path), corpus.box_folder(options.cache)
        hidden = [options.cache, path.parent]
        settled = settle(
            lambda level: boxes(scale, folder, level, client=FOLDER),  # type: ignore[arg-type]
            options.isolation,
            options.unsafe_no_sandbox,
            hidden,
            say,
        )
    except (DataError, NoIsolation, Infrastructure) as error:
        engine.reply({"ready": False, "error": str(error)})
        return
    judge = DigitsJudge(scale, splits, engine, settled, options.patience)  # type: ignore[arg-type]
    about = {"corpus": {"name": "scikit-learn digits", "sha256": SHA256}, "baselines": {"class": frequencies(splits)}}
    try:
        engine.reply(judge.ready(about))
        while True:
            engine.reply(judge.trial(engine.request()))
    finally:
        judge.nursery.close()


def serve_process(options: argparse.Namespace) -> None:
    """Serve one process over an inherited socket until it hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the script, whose end closes the socket
    wire = Wire(socket.socket(fileno=options.attach))
    try:
        scale, splits = Scale.read(options.scale), load(installed())
    except DataError as error:
        wire.send({"error": str(error)})
        return
    budget = options.budget or scale.budget
    terms = Terms(budget, min(1.0, budget / scale.budget), options.seed, BY_HAND)
    session = Classification(scale, splits, make_clock(scale, options.pid), terms)  # type: ignore[arg-type]
    try:
        while (messages := wire.receive()) is not None:
            for message in messages:
                answer(wire, session, message)
    except (WireError, BrokenPipeError) as error:
        say(f"the script broke off: {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scale", default="cpu", help="a scale of target.toml")
    parser.add_argument("--core", type=lambda text: set(map(int, text.split(","))), metavar="K[,K...]")
    parser.add_argument("--cache", type=Path, default=corpus.default_cache(), help="where boxes have their folders")
    parser.add_argument("--data", type=Path, help="refused: the digits are the data")
    parser.add_argument("--patience", type=float, default=10.0, help="wall-clock seconds lost in a phase")
    parser.add_argument("--isolation", choices=("auto", *LEVELS, "none"), default="auto", help="at most this level")
    parser.add_argument("--unsafe-no-sandbox", action="store_true", help="run scripts even where nothing isolates them")
    parser.add_argument("--attach", type=int, metavar="FD", help="serve the process at the other end of this socket")
    parser.add_argument("--pid", type=int, help="the process that is charged, with --attach")
    parser.add_argument("--budget", type=float, help="seconds, with --attach; the scale's unless given")
    parser.add_argument("--seed", type=int, default=0, help="with --attach")
    options = parser.parse_args()
    if options.attach is not None:
        serve_process(options)
    else:
        serve_engine(options)


if __name__ == "__main__":
    main()
