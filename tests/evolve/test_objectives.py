"""From losses to fitness, against numbers computed by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.model import Estimate, Objective
from evolve.objectives import bracket, crossing, estimate, fitness, lacking, next_rung, seconds_to_target, seed_fitness

LOSS, SPEED, MEMORY = Objective("loss"), Objective("seconds_to_target"), Objective("peak_memory_mb")


def test_estimate_of_one_has_no_error() -> None:
    assert estimate([2.5]) == Estimate(2.5, 1, None)


def test_estimate_is_mean_and_standard_error() -> None:
    found = estimate([1.0, 2.0, 3.0])
    assert (found.mean, found.n, found.sem) == (2.0, 3, pytest.approx(1 / math.sqrt(3)))


@pytest.mark.parametrize(
    ("target", "rung"),
    [
        (2.5, math.sqrt(0.5)),  # half of the way from 3 to 2, in log time between 0.5 and 1
        (3.0, 0.5),  # reached exactly at a rung
        (3.25, 0.25 * 2**0.75),
        (3.9999, pytest.approx(0.25, rel=1e-3)),
    ],
)
def test_crossing_is_linear_in_log_time(target: float, rung: float) -> None:
    assert crossing({1.0: 2.0, 0.5: 3.0, 0.25: 4.0}, target) == (pytest.approx(rung), False)


def test_crossing_below_the_lowest_rung_is_censored() -> None:
    assert crossing({1.0: 2.0, 0.5: 3.0}, 3.5) == (0.5, True)
    assert crossing({1.0: 2.0}, 3.5) == (1.0, True)


def test_a_target_that_is_not_reached_has_no_crossing() -> None:
    with pytest.raises(ValueError, match="not reached"):
        crossing({1.0: 2.6, 0.5: 2.0}, 2.5)


def test_a_target_that_is_just_reached_is_reached() -> None:
    assert crossing({1.0: 2.5, 0.5: 3.0}, 2.5) == (1.0, False)
    assert crossing({1.0: 2.5, 0.5: 2.5, 0.25: 3.0}, 2.5) == (0.5, False)
    assert next_rung({1.0: [2.5]}, 2.5) == 0.5
    found = fitness((LOSS, SPEED), {1.0: [2.5], 0.5: [3.0]}, measured, 2.5, 8.0)
    assert found.feasible and found.values["seconds_to_target"].mean == 8.0


def test_a_curve_that_is_not_monotone_counts_from_where_it_stays_below() -> None:
    """Good at 0.25, bad at 0.5: the first dip is luck, so the last crossing is taken."""
    rung, censored = crossing({1.0: 2.0, 0.5: 3.0, 0.25: 2.0}, 2.5)
    assert rung == pytest.approx(math.sqrt(0.5)) and not censored
    rung, _ = crossing({1.0: 2.0, 0.5: 1.5, 0.25: 3.0}, 2.5)
    assert 0.25 < rung < 0.5


@given(st.lists(st.floats(1.0, 5.0), min_size=2, max_size=5), st.floats(1.0, 5.0))
def test_a_crossing_lies_within_the_rungs_and_is_bracketed(losses: list[float], target: float) -> None:
    curve = {2.0**-i: loss for i, loss in enumerate(losses)}
    if losses[0] > target:
        return
    rung, censored = crossing(curve, target)
    assert min(curve) <= rung <= 1.0
    assert censored == all(loss <= target for loss in losses)


@pytest.mark.parametrize(
    ("curve", "rung"),
    [
        ({1.0: [3.0]}, None),  # not reached at all
        ({1.0: [2.0]}, 0.5),
        ({1.0: [2.0], 0.5: [2.6]}, None),  # bracketed
        ({1.0: [2.0], 0.5: [2.4]}, 0.25),
        ({1.0: [2.0], 0.5: [2.1], 0.25: [2.2], 0.125: [2.3]}, 0.0625),
        ({1.0: [2.0], 0.5: [2.1], 0.25: [2.2], 0.125: [2.3], 0.0625: [2.4]}, None),  # not below B/16
        ({1.0: [2.0, 3.2]}, None),  # means over seeds decide
        ({1.0: [2.0, 2.8], 0.5: [2.3, 2.9]}, None),
    ],
)
def test_the_rung_is_halved_until_the_target_is_bracketed(curve: dict[float, list[float]], rung: float | None) -> None:
    assert next_rung(curve, 2.5) == rung


@pytest.mark.parametrize(
    ("curve", "climbed", "jobs"),
    [
        ({1.0: [3.0]}, {0.5: [3.5], 0.25: [4.0]}, []),  # not reached: nothing is asked of lower rungs
        ({1.0: [2.0]}, {0.5: [2.4], 0.25: [2.6]}, []),  # what was seen on the way does for one seed
        ({1.0: [2.0]}, {0.5: [2.2], 0.25: [2.4]}, [(0.125, 0)]),
        ({1.0: [2.0, 2.1]}, {0.5: [2.4], 0.25: [2.6]}, [(0.5, 0), (0.5, 1), (0.25, 0), (0.25, 1)]),
        ({1.0: [2.0, 2.1], 0.5: [2.4, 2.4], 0.25: [2.6, 2.7]}, {0.5: [9.0], 0.25: [1.0]}, []),  # own losses count
        ({1.0: [2.0, 2.1], 0.5: [2.6, 2.7]}, {0.25: [2.4]}, []),  # a rung that lies elsewhere
        ({1.0: [2.0, 2.1, 2.0], 0.5: [2.3], 0.25: [2.6]}, {}, [(0.5, 1), (0.5, 2), (0.25, 1), (0.25, 2)]),
        ({1.0: [2.0, 2.1]}, {}, [(0.5, 0)]),  # the first seed looks for it alone
        ({1.0: [2.0, 2.1], 0.5: [2.3]}, {}, [(0.25, 0)]),
    ],
)
def test_all_seeds_tell_of_the_rungs_around_the_target(
    curve: dict[float, list[float]], climbed: dict[float, list[float]], jobs: list[tuple[float, int]]
) -> None:
    assert lacking(curve, climbed, 2.5) == jobs


@given(st.lists(st.lists(st.floats(1.0, 5.0), min_size=3, max_size=3), min_size=5, max_size=5), st.floats(1.0, 5.0))
def test_what_is_lacking_comes_to_an_end_with_a_target_that_all_seeds_bracket(
    losses: list[list[float]], target: float
) -> None:
    world = {2.0**-i: values for i, values in enumerate(losses)}
    curve = {1.0: list(world[1.0])}
    while jobs := lacking(curve, {}, target):
        for rung, i in jobs:
            assert len(curve.setdefault(rung, [])) == i
            curve[rung].append(world[rung][i])
    mean = sum(world[1.0]) / 3
    assert (
        len(curve) == 1 if mean > target else min(len(v) for r, v in curve.items() if r in _around(curve, target)) == 3
    )


def _around(curve: dict[float, list[float]], target: float) -> tuple[float, ...]:
    return bracket({rung: sum(values) / len(values) for rung, values in curve.items()}, target)


def test_a_seed_less_at_a_rung_far_from_the_target_changes_nothing() -> None:
    whole = {1.0: [2.0, 2.2, 2.1], 0.5: [3.0, 3.1, 3.3]}
    assert seconds_to_target(whole | {0.25: [4.0]}, 2.5, 20.0) == seconds_to_target(whole, 2.5, 20.0)


def test_seconds_are_those_of_the_mean_curve_not_the_mean_of_crossings() -> None:
    curve = {1.0: [2.0, 2.4], 0.5: [3.0, 3.4]}
    found = seconds_to_target(curve, 2.5, 20.0)
    assert found.mean == pytest.approx(20 * 0.5 * 2 ** (3.2 - 2.5))
    assert found.n == 2 and not found.censored


def test_the_error_is_the_jackknife_over_seeds() -> None:
    curve = {1.0: [2.0, 2.2, 2.1], 0.5: [3.0, 3.1, 3.3]}
    parts = []
    for left_out in range(3):
        high, low = ([v for i, v in enumerate(curve[r]) if i != left_out] for r in (1.0, 0.5))
        a, b = sum(high) / 2, sum(low) / 2
        parts.append(20.0 * 0.5 * 2 ** ((b - 2.5) / (b - a)))
    mean = sum(parts) / 3
    expected = math.sqrt(2 / 3 * sum((p - mean) ** 2 for p in parts))
    assert seconds_to_target(curve, 2.5, 20.0).sem == pytest.approx(expected)


def test_one_seed_has_no_error_and_equal_seeds_have_none_to_speak_of() -> None:
    assert seconds_to_target({1.0: [2.0], 0.5: [3.0]}, 2.5, 1.0).sem is None
    assert seconds_to_target({1.0: [2.0] * 3, 0.5: [3.0] * 3}, 2.5, 1.0).sem == pytest.approx(0.0, abs=1e-12)


def test_a_seed_that_the_target_hangs_on_counts_as_the_whole_budget() -> None:
    """Without the first seed the target is missed: that part of the jackknife is the budget, not an error."""
    found = seconds_to_target({1.0: [1.0, 2.6], 0.5: [3.0, 3.0]}, 2.5, 10.0)
    assert found.sem is not None and found.sem > 0


def test_a_censored_time_is_an_upper_bound_without_an_error() -> None:
    found = seconds_to_target({1.0: [2.0, 2.0], 0.0625: [2.2, 2.2]}, 2.5, 16.0)
    assert found == Estimate(1.0, 2, None, True)


def measured(name: str) -> list[float]:
    return {"peak_memory_mb": [100.0, 300.0]}[name]


def test_fitness_of_one_that_reaches_the_target() -> None:
    found = fitness((LOSS, SPEED, MEMORY), {1.0: [2.0, 2.2], 0.5: [3.0, 3.0]}, measured, 2.5, 8.0)
    assert list(found.values) == ["loss", "seconds_to_target", "peak_memory_mb"]
    assert found.feasible and found.violation == 0.0
    assert found.values["loss"].mean == pytest.approx(2.1) and found.values["peak_memory_mb"].mean == 200.0


@pytest.mark.parametrize("losses", [[2.50001], [2.7, 2.9]])
def test_fitness_of_one_that_does_not_is_how_far_it_is_off(losses: list[float]) -> None:
    found = fitness((LOSS, SPEED, MEMORY), {1.0: losses}, measured, 2.5, 8.0)
    assert found.violation == pytest.approx(sum(losses) / len(losses) - 2.5) and not found.feasible
    assert "seconds_to_target" not in found.values


def test_a_fitness_without_the_time_needs_no_curve() -> None:
    found = fitness((LOSS, MEMORY), {1.0: [2.0, 2.0]}, measured, 2.5, 8.0)
    assert list(found.values) == ["loss", "peak_memory_mb"] and found.feasible


def test_the_seed_reaches_its_own_loss_at_the_full_budget() -> None:
    found = seed_fitness((LOSS, SPEED, MEMORY), {1.0: [2.4, 2.6, 2.5], 0.5: [3.0, 3.0, 3.0]}, measured, 8.0)
    assert found.feasible
    assert found.values["seconds_to_target"] == Estimate(8.0, 3, 0.0)
    assert found.values["loss"].mean == pytest.approx(2.5)
