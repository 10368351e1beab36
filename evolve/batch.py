"""Trainings beside a search: run a list of them once each, in order, as many at a time as there are slots."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TypeVar

from evolve.executors.local import JudgeError
from evolve.model import Outcome, Trial
from evolve.protocols import Executor

TRIES = 4  # of a training that the machine spoils
START = 60.0  # seconds of a training besides its budget, until one has shown how many
TICK = 0.5  # seconds between two looks

Key = TypeVar("Key")


class OutOfTime(Exception):
    """There is too little time left for another training."""


def run_all(
    executor: Executor,
    jobs: Iterable[tuple[Key, Trial]],
    until: float,
    tick: Callable[[], None] = lambda: None,
    wanted: Callable[[Key], bool] = lambda key: True,
) -> Iterator[tuple[Key, Outcome]]:
    """What came of each job, as it ends; `wanted` is asked before it begins, `tick` is called all the time.

    `until` is a time of the monotonic clock: none is begun that would end later. Raises OutOfTime once those that run
    have ended, and `JudgeError` where the machine spoils one again and again.
    """
    due = [(key, trial, 1) for key, trial in jobs]
    running: dict[Future[Outcome], tuple[Key, Trial, int, float]] = {}
    besides = START
    late = False
    while (due and not late) or running:
        while due and not late and len(running) < max(1, executor.slots):
            key, trial, tries = due[0]
            keep = wanted(key)
            late = keep and time.monotonic() + trial.budget + besides > until
            if not late:
                due.pop(0)
            if keep and not late:
                running[executor.submit(trial)] = (key, trial, tries, time.monotonic())
        tick()
        for future in wait(running, timeout=TICK, return_when=FIRST_COMPLETED).done if running else ():
            key, trial, tries, began = running.pop(future)
            outcome = future.result()
            if outcome.status != "infrastructure":
                besides = 1.2 * max(0.0, time.monotonic() - began - trial.budget)
                yield key, outcome
            elif tries == TRIES or not executor.slots:
                raise JudgeError(f"the machine spoils the trainings: {outcome.reason}")
            else:
                due.insert(0, (key, trial, tries + 1))
    if due:
        raise OutOfTime
