"""One run of a method on a task: a run directory with its log, and its trace when it has ended."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.comparison.again import Trainings, train_again
from benchmarks.comparison.method import Given, Setup, load
from benchmarks.comparison.models import check, operators_of
from benchmarks.comparison.place import Opened
from benchmarks.comparison.task import Task
from benchmarks.comparison.texts import with_other_texts
from benchmarks.comparison.trace import FILE, read, write
from benchmarks.comparison.traced import trace_of
from evolve import plugins
from evolve.assemble import OFFSPRING, begin_session
from evolve.batch import OutOfTime
from evolve.config import ConfigError, Limits
from evolve.executors.local import JudgeError
from evolve.executors.sparing import SparingExecutor
from evolve.history import History
from evolve.judges import Slot
from evolve.language import Language
from evolve.log import Log
from evolve.loop import Loop
from evolve.store import Store

REFUSALS = 500  # in a row, after which a method has nothing new to try


def place_of(method: str, task: Task, seed: int, directory: Path) -> Path:
    """The directory of a run, in that of all runs."""
    return directory / task.name / method / f"seed{seed}"


def has_ended(method: str, task: Task, seed: int, total: float, directory: Path) -> bool:
    """Whether its trace is there, of a run with at least this budget.

    Raises `ConfigError` for a file that is none, and for a method `by_total` where the run had another one.
    """
    path = place_of(method, task, seed, directory) / FILE
    if not path.exists():
        return False
    had = read(path).total
    if load(method).by_total and had != total:
        raise _another_total(path.parent, had, total)
    return had >= total


def _another_total(place: Path, had: float, total: float) -> ConfigError:
    return ConfigError(
        f"{place} holds a run of {had:g} charged seconds, and its method decides by them what it does: it cannot go on "
        f"to {total:g}. Give it --budget {had:g}, or choose another -o"
    )


def run(
    method: str,
    task: Task,
    seed: int,
    total: float,
    directory: Path,
    seat: Slot | None = None,
    until: float = math.inf,
    tell: Callable[[float], None] = lambda charged: None,
    language: Language | None = None,
) -> bool:
    """Begin a run, or go on with it, until `total` seconds are charged; nothing if it has ended.

    Without control runs: they would cost methods whose lowest rung is the full budget four times what they cost ours.
    Then the front that it claims is trained again on fresh seeds. It takes place at `seat`. At the time `until` of the
    monotonic clock it lets the trials under way finish and returns False: the rest is left for another call. `tell`
    hears now and then how many seconds are charged.

    Raises `ConfigError` for an unknown method, a log of another run (of another total too, for a method `by_total`), or
    a `language` model that is needed and cannot be asked, `StoreError` as the store does, `JudgeError` where a judge
    does not start or the machine spoils every trial.
    """
    if has_ended(method, task, seed, total, directory):
        return True
    place = place_of(method, task, seed, directory)
    check([method], language)
    found = load(method)
    given = replace(task.given(), total=total if found.by_total else math.inf, language=language)
    setup = found.setup(given, seed)
    store = Store.open(place, durable=False)
    try:
        history = History(setup.search)
        history.replay(store.events())
        with task.place.open(seat, place, history.began) as opened:
            store.clock = opened.clock
            log = Log(store, history)
            limits = Limits(0, total=total, refusals=REFUSALS)
            _begin(log, setup, given, seed, opened, limits)
            with operators_of(setup, given, language, log) as operators:
                if not _search(log, replace(setup, operators=operators), given, opened, limits, until, tell):
                    return False
            trace = trace_of(place, method, task.name, seed, total)
            trainings = Trainings(history, place, opened, until, lambda: tell(history.charged))
            try:
                trace = replace(trace, retrained=tuple(train_again(trace, task, history, trainings)))
                trace = with_other_texts(trace, task, trainings)
            except OutOfTime:
                return False
    finally:
        store.close()
    write(trace, place / FILE)
    return True


def _begin(log: Log, setup: Setup, given: Given, seed: int, opened: Opened, limits: Limits) -> None:
    """Write what the run is, once, and that a process goes on with it. Raises `ConfigError` if it is another run."""
    plan, history = setup.plan, log.history
    settings: dict[str, Any] = {"seed": seed, "population": given.population, "offspring": OFFSPRING}
    settings |= {
        "scale": plan.scale,
        "budget": plan.budget,
        "tune_trials": plan.tune_trials,
        "curve": plan.curve,
        "models": [],
    }
    settings |= {"total": given.total} if math.isfinite(given.total) else {}
    settings |= {"operators": {name: arm.weight for name, arm in given.arms.items()}} | opened.settings
    header = {"settings": settings, "rungs": list(plan.rungs), "objectives": [asdict(o) for o in plan.objectives]}
    header |= opened.header
    if not history.header:
        log.record("run", "run", header)
    had = history.header["settings"].get("total", given.total)
    if had != given.total:
        raise _another_total(log.store.directory, had, given.total)
    if changed := [name for name in ("settings", "rungs", "objectives") if history.header[name] != header[name]]:
        raise ConfigError(f"{log.store.directory} holds a run with other {', '.join(changed)}: choose another -o")
    asked = given.language if setup.asking else None
    begin_session(log, opened.hello | {"slots": opened.executor.slots}, limits, asked)


def _search(
    log: Log,
    setup: Setup,
    given: Given,
    opened: Opened,
    limits: Limits,
    until: float,
    tell: Callable[[float], None],
) -> bool:
    """Whether the total is used; False if the time was over before. Raises `JudgeError` if nothing can be trained."""

    def watch(loop: Loop) -> None:
        opened.watch(loop)
        tell(loop.history.charged)
        if time.monotonic() >= until:
            loop.ending = "the time is over"

    executor = SparingExecutor(opened.executor, log.history)
    carries = plugins.load(plugins.CARRIES)
    plan = replace(setup.plan, controls=False)
    loop = Loop(log, executor, setup.operators, plan, limits, watch, carries, setup.tuner, opened.making)
    reason = loop.run(given.seed)
    if loop.ending and not loop.trouble:
        return False
    if log.history.seed is None and not loop.trouble:
        raise ConfigError(f"{reason} before the seed program was measured: give it a larger --budget")
    if loop.trouble or log.history.seed is None or log.history.seed.verdict != "ok":
        raise JudgeError(reason)
    return True
