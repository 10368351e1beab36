"""What a child changed and how sure that is, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from evolve.effects import effect, least_gain, means, noise
from evolve.model import Candidate, Effect
from tests.evolve.individuals import individual


def trained(index: int, losses: dict[str, tuple[float, ...]]) -> Candidate:
    return replace(individual(index, 5.0, 5.0), losses=losses)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([], None),
        ([(3.0,), ()], None),
        ([(3.0, 3.2)], math.sqrt(0.02)),
        ([(3.0, 3.2), (4.0,)], math.sqrt(0.02)),
        ([(3.0, 3.2), (4.0, 4.0, 4.0)], math.sqrt((0.02 + 2 * 0.0) / 3)),
        ([(3.0, 3.1, 3.2), (5.0, 5.4)], math.sqrt((2 * 0.01 + 0.08) / 3)),
    ],
)
def test_noise_is_pooled_within_those_who_were_trained_with_several_seeds(
    losses: list[tuple[float, ...]], expected: float | None
) -> None:
    found = noise([trained(i, {"1": own, "0.5": (0.0, 9.0)}) for i, own in enumerate(losses)], 1.0)
    assert found is None if expected is None else found == pytest.approx(expected)


def test_a_cheat_says_nothing_of_noise() -> None:
    cheat = replace(trained(1, {"1": (0.0, 9.0)}), quarantined="causality")
    assert noise([trained(0, {"1": (3.0, 3.2)}), cheat], 1.0) == pytest.approx(math.sqrt(0.02))


def test_an_effect_is_taken_at_the_highest_rung_of_both() -> None:
    child, parent = trained(1, {"0.5": (3.5,)}), trained(0, {"1": (3.0, 3.1, 3.2)})
    found = effect(
        child, {"0.25": 4.0, "0.5": 3.5}, parent, {"0.25": 4.1, "0.5": 3.7, "1": 3.1}, lambda rung: 0.1 * rung
    )
    assert found == Effect(pytest.approx(-0.2), 0.5, pytest.approx(0.05 * math.sqrt(2)))


def test_rungs_are_compared_as_numbers() -> None:
    child = parent = trained(0, {})
    found = effect(child, {"9": 1.0, "10": 2.0}, parent, {"9": 3.0, "10": 3.5}, lambda rung: None)
    assert found == Effect(-1.5, 10.0, None)


def test_more_seeds_make_an_effect_surer() -> None:
    child, parent = trained(1, {"1": (2.9, 3.0, 3.1)}), trained(0, {"1": (3.0, 3.1, 3.2, 3.3, 3.4, 3.5)})
    found = effect(child, {"1": 3.0}, parent, {"1": 3.25}, lambda rung: 0.2)
    assert found and found.error == pytest.approx(0.2 * math.sqrt(1 / 3 + 1 / 6))


def test_without_a_rung_in_common_there_is_none() -> None:
    candidate = trained(0, {})
    assert effect(candidate, {"0.25": 1.0}, candidate, {"1": 1.0}, lambda rung: 0.1) is None
    assert effect(candidate, {}, candidate, {"1": 1.0}, lambda rung: 0.1) is None


@pytest.mark.parametrize(
    ("delta", "error", "clear"),
    [(-0.21, 0.1, True), (0.21, 0.1, True), (-0.19, 0.1, False), (0.0, 0.0, False), (9.0, None, False)],
)
def test_an_effect_is_clear_beyond_two_standard_errors(delta: float, error: float | None, clear: bool) -> None:
    assert Effect(delta, 1.0, error).clear == clear


def test_means_by_rung() -> None:
    assert means({"0.25": (1.0, 2.0), "1": (3.0,), "0.5": ()}) == {"0.25": 1.5, "1": 3.0}


def test_of_several_ancestors_the_best_at_the_highest_rung_counts() -> None:
    against = [Effect(-0.9, 1.0, 0.1), None, Effect(0.05, 1.0, 0.1), Effect(2.0, 0.25, 0.1)]
    assert least_gain(against) == against[2]
    assert least_gain([None]) is None and least_gain([]) is None
