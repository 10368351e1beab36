"""One run of a method on a task: a run directory with its log, and its trace when it has ended."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.comparison.method import Setup, load
from benchmarks.comparison.models import check, operators_of
from benchmarks.comparison.task import Task
from benchmarks.comparison.trace import FILE, read, write
from benchmarks.comparison.traced import trace_of
from evolve.config import ConfigError, Limits
from evolve.history import History
from evolve.language import Language
from evolve.log import Log
from evolve.loop import Loop
from evolve.store import Store

OFFSPRING = 8
REFUSALS = 500  # in a row, after which a method has nothing new to try


def place_of(method: str, task: Task, seed: int, directory: Path) -> Path:
    """The directory of a run, in that of all runs."""
    return directory / task.name / method / f"seed{seed}"


def has_ended(method: str, task: Task, seed: int, total: float, directory: Path) -> bool:
    """Whether its trace is there, of a run with at least this budget. Raises `ConfigError` for a file that is none."""
    path = place_of(method, task, seed, directory) / FILE
    return path.exists() and read(path).total >= total


def run(method: str, task: Task, seed: int, total: float, directory: Path, language: Language | None = None) -> None:
    """Begin a run, or go on with it, until `total` seconds are charged; nothing if it has ended.

    Raises `ConfigError` for an unknown method, a log of another run, or a language model that is needed and cannot be
    asked, `StoreError` as the store does.
    """
    if has_ended(method, task, seed, total, directory):
        return
    place = place_of(method, task, seed, directory)
    check([method], language)
    given = replace(task.given(), total=total, models=language.models if language else ())
    setup = load(method).setup(given, seed)
    executor = task.executor()
    store = Store.open(place, durable=False)
    try:
        log = _log(store, setup, seed, task, executor.slots)
        limits = Limits(0, total=total, refusals=REFUSALS)
        with operators_of(setup, given, language, log) as operators:
            Loop(log, executor, operators, setup.plan, limits, executor.watch, tuner=setup.tuner).run(given.seed)
    finally:
        executor.close()
        store.close()
    write(trace_of(place, method, task.name, seed, total), place / FILE)


def _log(store: Store, setup: Setup, seed: int, task: Task, slots: int) -> Log:
    """The log with what it says already, begun if it says nothing."""
    history = History(setup.search)
    history.replay(store.events())
    log = Log(store, history)
    rungs = list(setup.plan.rungs)
    if not history.header:
        settings: dict[str, Any] = {"seed": seed, "offspring": OFFSPRING, "population": 8, "budget": setup.plan.budget}
        settings |= {"tune_trials": setup.plan.tune_trials, "scale": setup.plan.scale, "operators": {}, "corpus": ""}
        objectives = [asdict(objective) for objective in setup.plan.objectives]
        log.record("run", "run", {"settings": settings, "rungs": rungs, "objectives": objectives})
    known = history.header["settings"]
    if (known["seed"], history.header["rungs"], known["budget"]) != (seed, rungs, setup.plan.budget):
        raise ConfigError(f"{store.directory} holds another run than this one of {task.name}: choose another -o")
    log.record("session", f"session/{os.getpid()}/{os.urandom(4).hex()}", {"slots": slots})
    return log
