"""`run` and `resume`: announce, search, summarise."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from rich.console import Console

from evolve import plugins
from evolve.assemble import LIMITS, OFFSPRING, POPULATION, TUNE_TRIALS, Run, assemble
from evolve.commands.away import Patience, leave
from evolve.commands.options import Commands, isolation_options, limit_options, place_options, run_option, target_option
from evolve.commands.signals import INTERRUPTED, ended_like_by_ctrl_c, interruptible
from evolve.config import load_target
from evolve.executors.sparing import SparingExecutor
from evolve.executors.spool import SpoolExecutor, spool_of
from evolve.forecast import forecast
from evolve.judges import slots_for
from evolve.language_options import announce_operators, cap_options, model_options, resume_models
from evolve.loop import Loop
from evolve.reports.front import beats_seed, print_front
from evolve.reports.journal import Journal
from evolve.reports.open import find_run, open_history
from evolve.reports.progress import Progress, clock
from evolve.reports.proposals import print_proposals
from evolve.reports.source import print_diff
from evolve.reports.steadiness import not_exclusive

NO_MODEL = 3
TRIALS_WAIT = 4
LOCAL = "local"
CONTINUES = "the same command continues the run"


def register(commands: Commands) -> None:
    run = commands.add_parser("run", help="start a run, or continue it (the default)")
    _run_options(run)
    run.set_defaults(command=_run, interrupted=CONTINUES)
    resume = commands.add_parser("resume", help="continue the run that was written last, with its own settings")
    limit_options(resume)
    cap_options(resume)
    isolation_options(resume)
    resume.add_argument("--slots", type=int, help="trials at a time (default: as before)")
    _executor_options(resume, "as before")
    run_option(resume)
    target_option(resume)
    resume.set_defaults(command=_resume, interrupted=CONTINUES)


def _run_options(parser: argparse.ArgumentParser) -> None:
    place_options(parser)
    limit_options(parser)
    parser.add_argument(
        "--slots", type=int, help="trials at a time (default: one a core or GPU; in a spool as many as its workers do)"
    )
    _executor_options(parser, "local")
    parser.add_argument("--budget", type=float, help="charged seconds of a full trial (default: the scale's)")
    parser.add_argument(
        "--population", type=int, default=POPULATION, help="individuals that may be parents (default: %(default)s)"
    )
    parser.add_argument(
        "--offspring", type=int, default=OFFSPRING, help="candidates in a generation (default: %(default)s)"
    )
    parser.add_argument(
        "--tune-trials", type=int, default=TUNE_TRIALS, help="trials at the low rung (default: %(default)s)"
    )
    parser.add_argument(
        "--operator",
        action="append",
        metavar="NAME[=WEIGHT]",
        help="auto (default), llm, catalogue, merge, tune or package.module:Class; repeatable",
    )
    model_options(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the search (default: %(default)s)")
    parser.add_argument("--run-dir", help="default: runs/ and a name made of target, scale, budget and seed")


def _executor_options(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--executor", metavar="WHERE", help=f"local, or spool:DIR for workers on other machines (default: {default})"
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="for a spool at which nobody works, until the run ends and says what to carry; 0: as soon as there is "
        "nothing else to do (default: %(default)g)",
    )


def _run(options: argparse.Namespace, console: Console) -> int:
    options.executor = options.executor or LOCAL
    with (
        ended_like_by_ctrl_c(),
        assemble(options, lambda line: console.print(line, highlight=False, markup=False)) as run,
    ):
        return _drive(run, console, options.wait)


def _resume(options: argparse.Namespace, console: Console) -> int:
    directory = find_run(options.run_dir)
    history = open_history(directory)
    header = history.header
    known = header["settings"]
    for name in ("scale", "budget", "seed", "population", "offspring", "tune_trials"):
        setattr(options, name, known[name])
    options.operator = [f"{name}={weight}" for name, weight in known["operators"].items()]
    resume_models(options, known["models"], history.harness.get("language"))
    options.target = str(plugins.target_of(header, options.target))
    options.data, options.run_dir = header.get("data"), str(directory)
    for field, option in LIMITS.items():
        before = history.harness.get("limits", {}).get(field)
        if getattr(options, option) is None and (before or field != "generations"):  # 0 is no option there
            setattr(options, option, before)
    options.executor = options.executor or history.harness.get("executor", LOCAL)
    away = spool_of(options.executor) is not None
    if options.slots is None and not away and (slots := history.harness.get("slots")):
        here = slots_for(load_target(Path(options.target)), options.scale, None)  # it may be another machine
        options.slots = min(slots, len(here))
    return _run(options, console)


def _drive(run: Run, console: Console, wait: float) -> int:
    """Announce, run, summarise."""
    _announce(run, console)
    journal = Journal(run.store.directory)
    spool = run.executor if isinstance(run.executor, SpoolExecutor) else None
    patience = Patience(spool, wait, console) if spool else None
    executor = SparingExecutor(run.executor, run.history)

    with Progress(console) as progress:

        def watch(loop: Loop) -> None:
            progress(loop)
            journal(loop.history)
            if patience:
                patience(loop)

        loop = Loop(run.log, executor, run.operators, run.plan, run.limits, watch, plugins.load(plugins.CARRIES))
        with interruptible(loop, console):
            reason = loop.run(run.seed)
    ended = f"\nStopped: {reason}. {run.history.finished} candidates, {run.history.charged:.0f} charged seconds."
    console.print(ended, markup=False)
    if run.history.measured:
        journal(run.history)
        _summary(run, console)
    if spool:
        leave(console, spool, loop, run.plan.scale)
    if loop.interrupted or loop.ending:
        return INTERRUPTED if loop.interrupted else TRIALS_WAIT
    if run.history.measured and reason == run.history.halted:
        return NO_MODEL
    return 1 if loop.trouble or not run.history.measured else 0


def _announce(run: Run, console: Console) -> None:
    hello, history = run.executor.hello, run.history
    settings = history.header["settings"]
    console.print(announce_operators(settings["operators"], run.language), markup=False)
    console.print(f"Isolation: {hello['isolation']}", markup=False)
    text = f"{hello['corpus']['name']} ({hello['corpus']['sha256'][:12]})"
    console.print(f"Text: {text}; device: {hello['device']}", markup=False)
    if beside := not_exclusive(hello):
        console.print(beside, markup=False, highlight=False)
    total = (run.limits.generations or 1) * settings["offspring"]
    left = max(0, total - history.finished) if run.limits.generations else total
    scope = "" if run.limits.generations else " of one generation"
    speed = float(hello.get("core_speed", 1.0))
    done = history.finished if history.seed else None
    expected = forecast(run.plan, left, run.executor.slots, done, speed)
    most = [f"{run.limits.total:g} charged seconds"] if run.limits.total else []
    most += [f"{clock(run.limits.wall)} in all"] if run.limits.wall else []
    console.print(
        f"Forecast{scope}: about {expected.trials} trials, {expected.charged:.0f} charged seconds, "
        f"{clock(expected.wall)} on {run.executor.slots} slots{''.join(f', at most {m}' for m in most)}. "
        f"Run directory: {run.store.directory}",
        markup=False,
    )
    if history.trials:
        so_far = f"{len(history.outcomes)} trials and {len(history.candidates)} candidates done"
        console.print(
            f"Resumed: {so_far}; {history.statuses['lost']} trials lost so far, repeated where they are needed."
        )


def _summary(run: Run, console: Console) -> None:
    print_front(console, run.history)
    if run.language:
        print_proposals(console, run.history)
    winners = [c for c in run.history.front if beats_seed(run.history, c)]
    if winners and run.history.seed:
        best = winners[0]
        print_diff(console, plugins.reader_for(run.history.header, str(run.target.folder)), run.history.seed, best)
        where = shlex.quote(str(run.store.directory))
        command = f"python -m evolve export {best.id} -o train.py --run-dir {where}"
        console.print(f"\nTake it home: {command}", markup=False, soft_wrap=True)
