"""`promote`: does what a search found hold at a larger budget, or for a larger model?"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from evolve import plugins
from evolve.assemble import judge_log, open_executor, pass_on
from evolve.batch import OutOfTime, run_all
from evolve.commands.options import Commands, isolation_options, run_option, target_option
from evolve.commands.run import TRIALS_WAIT
from evolve.commands.signals import ended_like_by_ctrl_c
from evolve.config import ConfigError, Target, budget_of, load_target
from evolve.executors.local import LocalExecutor
from evolve.history import History
from evolve.isolation import UNISOLATED, check_isolation, is_unisolated, options_of
from evolve.journal import QUOTED, cut
from evolve.judges import slots_for
from evolve.model import Candidate, Outcome, Trial
from evolve.objectives import alike
from evolve.promotion import SEED, Condition, Promotions, Training
from evolve.reports.audit import Pace, counted
from evolve.reports.open import find_program, find_run, open_history
from evolve.reports.progress import clock
from evolve.reports.promote import print_promotions, write_promotions
from evolve.reports.state import holder
from evolve.reports.steadiness import not_exclusive
from evolve.rescaled import Move, Program, move_to, program_at

FIRST_SEED = 9_300_001  # no search draws from here
FACTOR = 4.0  # of the run's budget, where neither a budget nor a scale is given
FRONT = "front"
CARRIED = "Where a program has another number there than the seed program, the ratio of the two is kept."

Key = tuple[str, int]  # a candidate and a seed


def register(commands: Commands) -> None:
    promote = commands.add_parser(
        "promote", help="train winners and the seed program at a larger budget or scale: does the gain transfer?"
    )
    promote.add_argument("ids", nargs="*", metavar="ID", help="ids, `best` (default), or `front` for all of it")
    promote.add_argument(
        "--budget", help="charged seconds, or times the run's as in 4x (default: 4x; with --scale the run's)"
    )
    promote.add_argument("--scale", help="a scale of the target (default: the run's)")
    promote.add_argument("--seeds", type=int, default=3, help="trainings of each program (default: %(default)s)")
    promote.add_argument("--slots", type=int, help="trials at a time (default: as many as this machine allows)")
    promote.add_argument(
        "--time-limit", type=float, metavar="SECONDS", help="begin no training that would end later; again to go on"
    )
    promote.add_argument("-o", "--output", type=Path, metavar="DIR", help="write results.md and results.json there too")
    run_option(promote)
    target_option(promote)
    isolation_options(promote)
    promote.set_defaults(command=_promote, interrupted="what was trained is kept, and the same command goes on")


def _promote(options: argparse.Namespace, console: Console) -> int:
    if options.seeds < 1:
        raise ConfigError(f"--seeds must be at least 1, not {options.seeds}")
    if options.time_limit is not None and not options.time_limit > 0:
        raise ConfigError(f"--time-limit must be a number of seconds above 0, not {options.time_limit:g}")
    directory = find_run(options.run_dir)
    history = open_history(directory)
    target = load_target(plugins.target_of(history.header, options.target))
    scale = options.scale or history.header["settings"]["scale"]
    budget = budget_of(target, scale, _seconds(options, history, target, scale))
    reader = plugins.load(plugins.READER)(target.rules_at(scale))
    candidates = _chosen(history, options.ids or ["best"])
    move = move_to(target, history, scale)
    programs = {c.id: program_at(reader, move, c) for c in candidates}
    promotions = Promotions(directory)
    until = math.inf if options.time_limit is None else time.monotonic() + options.time_limit
    left = False
    with (
        ended_like_by_ctrl_c(),
        _judges(options, history, target, scale, reader, directory, console) as executor,
    ):
        condition = _condition(executor.hello, target, scale, budget)
        _announce(console, history, executor, condition, move, programs)
        if who := holder(directory):
            console.print(f"The run is on ({who}): it and these trainings slow each other down.", markup=False)
        try:
            _train(console, executor, promotions, condition, programs, options.seeds, until, history.loss)
        except OutOfTime:
            left = True
    console.print()
    print_promotions(console, history, promotions)
    if options.output:
        write_promotions(options.output, history, promotions)
    if left:
        console.print("The time limit is reached, and trainings are left: the same command goes on.")
    return TRIALS_WAIT if left else 0


@contextmanager
def _judges(
    options: argparse.Namespace,
    history: History,
    target: Target,
    scale: str,
    reader: Any,
    directory: Path,
    console: Console,
) -> Iterator[LocalExecutor]:
    """Judges of this machine that isolate no less than the run began with. Raises `ConfigError` or `JudgeError`."""
    slots = slots_for(target, scale, options.slots)
    isolation = options_of(options.isolation, options.unsafe_no_sandbox)

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False)

    with judge_log(directory) as (heard, said):
        told = (target, scale, history.header.get("data"), slots, reader, heard)
        with closing(open_executor(*told, lambda: pass_on(said, say), isolation)) as executor:
            executor.hello |= {"asked": options.isolation, "unsafe": options.unsafe_no_sandbox}
            check_isolation(history.began, executor.hello)
            yield executor


def _seconds(options: argparse.Namespace, history: History, target: Target, scale: str) -> float | None:
    """The budget that is asked for; None for that of the scale, whose clock is another one than the run's."""
    home = history.header["settings"]
    if options.budget is None:
        same = target.scales.get(home["scale"], {}).get("clock") == target.scales.get(scale, {}).get("clock")
        return (home["budget"] if scale != home["scale"] else FACTOR * home["budget"]) if same else None
    try:
        text = options.budget.strip().lower()
        return float(text[:-1]) * float(home["budget"]) if text.endswith("x") else float(text)
    except ValueError as error:
        raise ConfigError(f"--budget {options.budget}: write seconds, or times the run's budget such as 4x") from error


def _chosen(history: History, names: Sequence[str]) -> list[Candidate]:
    """The seed program, and then these. Raises `ConfigError`."""
    front = [c.id for c in history.front if c.index]
    if history.seed is None or history.seed.verdict != "ok":
        raise ConfigError("the seed program has no result in this run, so nothing can be compared with it")
    if not front and {"best", FRONT} & set(names):
        raise ConfigError("nobody but the seed program is on the front: name a candidate by its id")
    ids = [i for name in names for i in (front if name == FRONT else front[:1] if name == "best" else [name])]
    found = [find_program(history, name) for name in dict.fromkeys(ids)]
    for candidate in found:
        if candidate.index == 0:
            raise ConfigError("the seed program is trained anyway: name candidates")
        if candidate.quarantined:
            raise ConfigError(f"candidate {candidate.id} is in quarantine ({candidate.quarantined})")
    return [history.seed, *found]


def _condition(hello: Mapping[str, Any], target: Target, scale: str, budget: float) -> Condition:
    return Condition(
        scale,
        budget,
        target.fingerprint,
        str(hello["corpus"]["sha256"]),
        str(hello.get("device", "")),
        str((hello.get("versions") or {}).get("torch", "")),
        UNISOLATED if is_unisolated(hello) else "",
    )


def _announce(
    console: Console,
    history: History,
    executor: LocalExecutor,
    condition: Condition,
    move: Move,
    programs: Mapping[str, Program],
) -> None:
    home = history.header["settings"]
    names = ", ".join(name for name in programs if name != SEED)
    said = [
        f"Promotion of {names} beside the seed program: {condition.name}, where the run had "
        f"{home['budget']:g} s, {home['scale']}.",
        *([f"{move.scale} means {', '.join(move.changes)}. {CARRIED}"] if move.changes else []),
        *(f"  {name}: {cut(note, QUOTED)}" for name, program in programs.items() for note in program.notes),
        f"Isolation: {executor.hello.get('isolation', 'not told')}",
        *filter(None, [not_exclusive(executor.hello)]),
    ]
    if condition.corpus != home["corpus"]:
        said.append(
            f"Another text: {executor.hello['corpus']['name']} ({condition.corpus[:12]}), the run's is "
            f"{home['corpus'][:12]}. Losses are per byte, and comparable only on the same text."
        )
    console.print("\n".join(said), markup=False, highlight=False, soft_wrap=True)


def _train(
    console: Console,
    executor: LocalExecutor,
    promotions: Promotions,
    condition: Condition,
    programs: Mapping[str, Program],
    seeds: int,
    until: float,
    loss: str,
) -> None:
    """What is missing: each seed with all programs one after the other, so that they meet the machine in one state."""
    done = {name: _known(promotions, condition, name, program) for name, program in programs.items()}
    failed = {name for name, known in done.items() if any(t.status != "ok" for t in known.values())}
    keys = [(name, seed) for seed in range(FIRST_SEED, FIRST_SEED + seeds) for name in programs]
    due = [(name, seed) for name, seed in keys if seed not in done[name] and not failed & {name, SEED}]
    speed = float(executor.hello.get("core_speed", 1.0))
    expected = math.ceil(len(due) / executor.slots) * condition.budget / speed
    console.print(
        f"{len(due)} of {counted(len(keys), 'training')} are left; they train for about "
        f"{clock(expected)} on {counted(executor.slots, 'slot')}, start and evaluation come on top.",
        highlight=False,
    )

    def trial(name: str, seed: int) -> Trial:
        program = programs[name]
        return Trial(program.genome, program.params, condition.budget, 1.0, condition.scale, seed, "confirm")

    jobs = [(key, trial(*key)) for key in due]
    ended: list[Key] = []
    with Pace(console, len(due), executor.slots) as pace:
        for (name, seed), outcome in run_all(
            executor, jobs, until, lambda: pace(len(ended)), lambda key: not failed & {key[0], SEED}
        ):
            ended.append((name, seed))
            program = programs[name]
            told = (outcome.status, cut(outcome.reason, QUOTED), outcome.metrics, tuple(program.notes))
            promotions.add(Training(condition, name, program.digest, seed, *told))
            if outcome.status != "ok":
                failed.add(name)
            who = "the seed program" if name == SEED else name
            line = f"  {who}, seed {seed}: {_short(outcome, loss)} ({pace.said(len(ended))})"
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def _known(promotions: Promotions, condition: Condition, name: str, program: Program) -> dict[int, Training]:
    found = promotions.of(condition, name)
    return {seed: t for seed, t in found.items() if t.program == program.digest}


def _short(outcome: Outcome, loss: str) -> str:
    losses = [f"{name} {outcome.metrics[name]:.4f}" for name in alike(loss, outcome.metrics)]
    return ", ".join(["ok", *losses]) if outcome.status == "ok" else f"{outcome.status}, {cut(outcome.reason, QUOTED)}"
