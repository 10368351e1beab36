"""Trainings beside a search: each once, in order, again where the machine spoilt it, none that would end too late."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from evolve.batch import TRIES, OutOfTime, run_all
from evolve.executors.inline import InlineExecutor
from evolve.executors.local import JudgeError
from evolve.model import Genome, Outcome, Trial

SOON = math.inf


def job(name: str, budget: float = 1.0) -> tuple[str, Trial]:
    return name, Trial(Genome(name), {}, budget, 1.0, "cpu", 0, "confirm")


def carried_out(
    function: Callable[[Trial], Outcome],
    jobs: list[tuple[str, Trial]],
    until: float = SOON,
    wanted: Callable[[str], bool] = lambda name: True,
) -> list[str]:
    done: list[str] = []
    with closing(InlineExecutor(function)) as executor:
        try:
            for name, _ in run_all(executor, jobs, until, wanted=wanted):
                done.append(name)
        except OutOfTime:
            done.append("out of time")
    return done


def ok(trial: Trial) -> Outcome:
    return Outcome("ok", {"val_bpb": 1.0})


def test_each_is_run_once_in_order_and_what_nobody_wants_any_more_is_not() -> None:
    asked: list[str] = []

    def count(trial: Trial) -> Outcome:
        asked.append(trial.genome.source)
        return ok(trial)

    assert carried_out(count, [job("a"), job("b"), job("c")], wanted=lambda name: name != "b") == ["a", "c"]
    assert asked == ["a", "c"]


def test_what_the_machine_spoils_is_run_again_before_the_others_but_not_for_ever() -> None:
    asked: list[str] = []

    def flaky(trial: Trial) -> Outcome:
        asked.append(trial.genome.source)
        return ok(trial) if asked.count("a") >= TRIES else Outcome("infrastructure", reason="away")

    assert carried_out(flaky, [job("a"), job("b")]) == ["a", "b"]
    assert asked == [*["a"] * TRIES, "b"]
    with pytest.raises(JudgeError, match="spoils the trainings: gone"):
        carried_out(lambda trial: Outcome("infrastructure", reason="gone"), [job("a")])


def test_none_is_begun_that_would_end_too_late() -> None:
    until = time.monotonic() + 1000
    assert carried_out(ok, [job("a", 10.0), job("b", 5000.0), job("c", 1.0)], until) == ["a", "out of time"]
    assert carried_out(ok, [job("a", 5000.0), job("b", 1.0)], until, lambda name: name == "b") == ["b"]
