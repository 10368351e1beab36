"""Whom a run hands over is scored on text that the search never saw, also if it is not the best claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from benchmarks.comparison.again import SEEDS, Key, Training, Trainings
from benchmarks.comparison.outcome import CONFIRMED_LOSS, CONFIRMED_TEST_LOSS, measured
from benchmarks.comparison.texts import with_other_texts
from benchmarks.comparison.trace import Retrained, Trace
from tests.benchmarks.made_up import Problem, again, point, trace

POINTS = [point(9, 4.1, 8.0, "0"), point(100, 2.0, 4.0, "lucky"), point(200, 2.1, 3.0, "steady")]
SEED, STEADY = again("0", [4.1] * 5, [8.0]), again("steady", [2.3] * 5, [3.0])


@dataclass
class Trained:
    """Trainings of which those of `failing` fail with one seed; the loss on each text is known."""

    failing: tuple[str, ...] = ()
    texts: tuple[str, ...] = ("val_bpb", "test_bpb", "second_bpb")
    keys: list[Key] = field(default_factory=list)

    def of(self, keys: Sequence[Key]) -> list[Training]:
        self.keys += keys
        return [self._training(key) for key in keys]

    def _training(self, key: Key) -> Training:
        if key[0] in self.failing and key[2] == SEEDS[1]:
            return Training(*key, "crashed")
        metrics = {"val_bpb": 9.0, "test_bpb": 4.5 if key[0] == "0" else 2.5, "second_bpb": 5.0, "tokens": 1.0}
        return Training(*key, "ok", "", {n: x for n, x in metrics.items() if n in self.texts or n == "tokens"})

    def scored(self, run: Trace) -> Trace:
        return with_other_texts(run, Problem(), cast(Trainings, self))


def test_a_best_claim_that_was_scored_is_left_as_it_is() -> None:
    run = trace(POINTS, [SEED, again("lucky", [2.2] * 5, [4.0], test_bpb=[2.4] * 5), STEADY])
    assert (trained := Trained()).scored(run) == run and trained.keys == []


def test_the_next_claim_that_holds_is_scored_with_all_seeds() -> None:
    found = (trained := Trained()).scored(trace(POINTS, [SEED, Retrained("lucky", {}), STEADY]))
    assert trained.keys == [("steady", 1.0, seed, "report") for seed in SEEDS]
    assert found.retrained[2].metrics == {**STEADY.metrics, "test_bpb": [2.5] * 5, "second_bpb": [5.0] * 5}
    values = measured(found, Problem()).values
    assert (values[CONFIRMED_LOSS], values[CONFIRMED_TEST_LOSS]) == (pytest.approx(2.3), 2.5)


def test_who_fails_at_it_does_not_hold_and_the_seed_program_is_the_last() -> None:
    found = (trained := Trained(("steady",))).scored(trace(POINTS, [SEED, Retrained("lucky", {}), STEADY]))
    assert [key[0] for key in trained.keys] == ["steady"] * len(SEEDS) + ["0"] * len(SEEDS)
    outcome = measured(found, Problem())
    assert (outcome.values[CONFIRMED_LOSS], outcome.values[CONFIRMED_TEST_LOSS]) == (pytest.approx(4.1), 4.5)
    assert not outcome.held and found.retrained[2].metrics == {}


def test_a_task_without_other_texts_has_no_loss_on_them() -> None:
    run = trace(POINTS[:1], [SEED])
    assert Trained(texts=("val_bpb",)).scored(run) == run
    assert CONFIRMED_TEST_LOSS not in measured(run, Problem()).values
