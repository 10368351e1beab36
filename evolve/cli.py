"""The command line. Parses, reports errors in one line, and leaves the work to others."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from evolve import plugins
from evolve.assemble import LIMITS, Run, assemble
from evolve.config import DEFAULT_TARGET, ConfigError
from evolve.executors.local import JudgeError
from evolve.forecast import forecast
from evolve.isolation import ASKED
from evolve.language_options import announce_operators, cap_options, model_options, resume_models
from evolve.loop import Loop
from evolve.reports.audit import audit_file
from evolve.reports.doctor import print_doctor
from evolve.reports.front import beats_seed, print_front, print_weakness
from evolve.reports.journal import Journal
from evolve.reports.open import find_candidate, find_program, find_run, open_history
from evolve.reports.progress import Progress, clock
from evolve.reports.proposals import print_proposals
from evolve.reports.show import print_candidate
from evolve.reports.source import export_source, print_diff
from evolve.store import StoreError

BAD_INPUT = 2
NO_MODEL = 3
INTERRUPTED = 130
PIPE_WIDTH = 140  # columns where the output is not a terminal


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    0, 1 (the run failed), 2 (bad input), 3 (no language model can be asked any more), 130 (interrupted).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments = ["run", *arguments]
    options = _parser().parse_args(arguments)
    console = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)
    try:
        return int(options.command(options, console))
    except (ConfigError, StoreError, JudgeError) as error:
        print(f"evolve: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        lost = "no verdict" if options.command is _audit else "the same command continues the run"
        print(f"evolve: stopped at once; {lost}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evolve",
        description="Improve a training script by evolution. Without a command: run.",
        epilog="The options of a run: python -m evolve run --help",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="start a run, or continue it (the default)")
    _run_options(run)
    run.set_defaults(command=_run)
    resume = commands.add_parser("resume", help="continue the run that was written last, with its own settings")
    _limit_options(resume)
    cap_options(resume)
    _isolation_options(resume)
    resume.add_argument("--slots", type=int, help="trials at a time (default: as before)")
    resume.set_defaults(command=_resume)
    front = commands.add_parser("front", help="the Pareto front")
    front.set_defaults(command=_front)
    show = commands.add_parser("show", help="one candidate in full")
    show.add_argument("id", help="an id, `best` or `seed`")
    show.set_defaults(command=_show)
    diff = commands.add_parser("diff", help="what differs between two candidates")
    diff.add_argument("a", help="an id, `best` or `seed`")
    diff.add_argument("b", help="an id, `best` or `seed`")
    diff.set_defaults(command=_diff)
    export = commands.add_parser("export", help="write a plain train.py with its tuned numbers")
    export.add_argument("id", help="an id, `best` or `seed`")
    export.add_argument("-o", "--output", default="-", help="a file; - for standard output")
    export.add_argument("--upstream", action="store_true", help="for karpathy/autoresearch: without our additions")
    export.set_defaults(command=_export)
    proposals = commands.add_parser("proposals", help="what became of the children that were asked for, by operator")
    proposals.set_defaults(command=_proposals)
    doctor = commands.add_parser("doctor", help="what is on and what is not: device, isolation, data, operators")
    _place_options(doctor)
    model_options(doctor)
    doctor.add_argument("--ask", action="store_true", help="ask each model one tiny question")
    doctor.set_defaults(command=_doctor)
    audit = commands.add_parser("audit", help="train any train.py, probe it and say whether its score can be trusted")
    audit.add_argument("file", help="a training script")
    audit.add_argument("--seeds", type=int, default=3, help="trainings, each in a fresh box (default: %(default)s)")
    audit.add_argument("--budget", type=float, help="charged seconds of a training (default: the scale's)")
    _place_options(audit)
    audit.set_defaults(command=_audit)
    for viewer in (resume, front, show, diff, export, proposals):
        viewer.add_argument("--run-dir", help="the run; default: the one under runs/ that was written last")
    for reading in (resume, diff, export):
        reading.add_argument("--target", help="where the target of the run is now, if it was moved")
    return parser


def _place_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target", help=f"folder with target.toml (default: {DEFAULT_TARGET}, here or beside the engine)"
    )
    parser.add_argument("--scale", default="cpu", help="a scale of the target (default: %(default)s)")
    parser.add_argument("--data", help="a folder of .txt, .jsonl or .parquet instead of the default text")
    _isolation_options(parser)


def _isolation_options(parser: argparse.ArgumentParser) -> None:
    """Not in the settings of a target or a run: who runs code of others with less isolation has to say so each time."""
    parser.add_argument(
        "--isolation", choices=ASKED, default="auto", help="ask for at most this level (default: the best there is)"
    )
    parser.add_argument(
        "--unsafe-no-sandbox",
        action="store_true",
        help="run programs even where nothing isolates them: they then have all your rights, and reports say so",
    )


def _limit_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--generations", type=int, help="generations in all (default: the target's, 50)")
    parser.add_argument("--total", type=float, help="charged seconds in all")
    parser.add_argument("--time-limit", type=float, help="wall-clock seconds in all")
    parser.add_argument("--target-loss", type=float, help="stop when a confirmed loss is as low as this")
    parser.add_argument("--stale-generations", type=int, help="stop after so many without a confirmed gain; 0: never")
    parser.add_argument("--refusals", type=int, help="stop after so many refused children in a row; 0: never")


def _run_options(parser: argparse.ArgumentParser) -> None:
    _place_options(parser)
    _limit_options(parser)
    parser.add_argument("--slots", type=int, help="trials at a time (default: one for each core)")
    parser.add_argument("--budget", type=float, help="charged seconds of a full trial (default: the scale's)")
    parser.add_argument(
        "--population", type=int, default=12, help="individuals that may be parents (default: %(default)s)"
    )
    parser.add_argument("--offspring", type=int, default=6, help="candidates in a generation (default: %(default)s)")
    parser.add_argument("--tune-trials", type=int, default=4, help="trials at the low rung (default: %(default)s)")
    parser.add_argument(
        "--operator",
        action="append",
        metavar="NAME[=WEIGHT]",
        help="auto (default), llm, catalogue, merge, tune or package.module:Class; repeatable",
    )
    model_options(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the search (default: %(default)s)")
    parser.add_argument("--run-dir", help="default: runs/ and a name made of target, scale, budget and seed")


def _run(options: argparse.Namespace, console: Console) -> int:
    with (
        _ended_like_by_ctrl_c(),
        assemble(options, lambda line: console.print(line, highlight=False, markup=False)) as run,
    ):
        return _drive(run, console)


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
    if options.slots is None and (slots := history.harness.get("slots")):
        options.slots = min(slots, len(os.sched_getaffinity(0)))  # it may be another machine
    return _run(options, console)


def _drive(run: Run, console: Console) -> int:
    """Announce, run, summarise."""
    _announce(run, console)
    journal = Journal(run.store.directory)

    with Progress(console) as progress:

        def watch(loop: Loop) -> None:
            progress(loop)
            journal(loop.history)

        loop = Loop(run.log, run.executor, run.operators, run.plan, run.limits, watch, plugins.load(plugins.CARRIES))
        with _interruptible(loop, console):
            reason = loop.run(run.seed)
    ended = f"\nStopped: {reason}. {run.history.finished} candidates, {run.history.charged:.0f} charged seconds."
    console.print(ended, markup=False)
    if run.history.seed is None or run.history.seed.verdict != "ok":
        return INTERRUPTED if loop.interrupted else 1
    journal(run.history)
    _summary(run, console)
    if loop.interrupted or reason == run.history.halted:
        return INTERRUPTED if loop.interrupted else NO_MODEL
    return 1 if loop.trouble else 0


def _announce(run: Run, console: Console) -> None:
    hello, history = run.executor.hello, run.history
    settings = history.header["settings"]
    console.print(announce_operators(settings["operators"], run.language), markup=False)
    console.print(f"Isolation: {hello['isolation']}", markup=False)
    text = f"{hello['corpus']['name']} ({hello['corpus']['sha256'][:12]})"
    console.print(f"Text: {text}; device: {hello['device']}", markup=False)
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
        print_diff(console, plugins.load(plugins.READER)(run.target.rules), run.history.seed, best)
        where = shlex.quote(str(run.store.directory))
        command = f"python -m evolve export {best.id} -o train.py --run-dir {where}"
        console.print(f"\nTake it home: {command}", markup=False, soft_wrap=True)


def _ends() -> list[signal.Signals]:
    """The signals that end a run; under nohup the closing of a terminal does not."""
    hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGINT, signal.SIGTERM, *hang_up]


@contextmanager
def _ended_like_by_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt, so that what was started is closed, also before the first trial."""
    before = {s: signal.signal(s, signal.default_int_handler) for s in _ends() if s != signal.SIGINT}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _interruptible(loop: Loop, console: Console) -> Iterator[None]:
    """Ctrl-C once (or SIGTERM, SIGHUP) finishes the running trials; twice stops now."""

    def stop(number: int, frame: FrameType | None) -> None:
        if loop.interrupted:
            raise KeyboardInterrupt
        loop.interrupted = True
        console.print("Finishing the running trials; once more to stop now. The same command continues.")

    before = {s: signal.signal(s, stop) for s in _ends()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _front(options: argparse.Namespace, console: Console) -> int:
    print_front(console, open_history(find_run(options.run_dir)))
    return 0


def _proposals(options: argparse.Namespace, console: Console) -> int:
    print_proposals(console, open_history(find_run(options.run_dir)))
    return 0


def _show(options: argparse.Namespace, console: Console) -> int:
    history = open_history(find_run(options.run_dir))
    print_candidate(console, history, find_candidate(history, options.id))
    return 0


def _diff(options: argparse.Namespace, console: Console) -> int:
    history = open_history(find_run(options.run_dir))
    pair = [find_program(history, name) for name in (options.a, options.b)]
    print_weakness(console, history)
    print_diff(console, plugins.reader_for(history.header, options.target), *pair)
    return 0


def _export(options: argparse.Namespace, console: Console) -> int:
    history = open_history(find_run(options.run_dir))
    candidate = find_program(history, options.id)
    text = export_source(plugins.reader_for(history.header, options.target), candidate, options.upstream)
    text = (f"# {history.weakness}\n" if history.weakness else "") + text
    if options.output == "-":
        print(text, end="")
        return 0
    try:
        Path(options.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {options.output}: {error.strerror}") from error
    console.print(f"wrote {options.output}: candidate {candidate.id} with its tuned numbers", markup=False)
    return 0


def _audit(options: argparse.Namespace, console: Console) -> int:
    with _ended_like_by_ctrl_c():
        return audit_file(console, options)


def _doctor(options: argparse.Namespace, console: Console) -> int:
    return print_doctor(console, options)
