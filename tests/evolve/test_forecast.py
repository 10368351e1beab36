"""The forecast against arithmetic by hand, and against a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolve.evaluation import Plan
from evolve.forecast import OVERHEAD, forecast
from tests.evolve import toy
from tests.evolve.runs import run

PLAN = Plan(toy.OBJECTIVES, "cpu", 20.0, (0.25, 0.5, 1.0), 4, 0.3)


def test_the_seed_alone() -> None:
    found = forecast(PLAN, 0, 1)
    assert found.trials == 9 and found.charged == 3 * (5 + 10 + 20) and found.wall == pytest.approx(105 * OVERHEAD)


def test_one_candidate_by_hand() -> None:
    """Four at 5 s; one at 10 s for 0.93, at 20 s for 0.86; of 0.43 two more and six below; a smoke test."""
    one = forecast(PLAN, 1, 1).charged - forecast(PLAN, 0, 1).charged
    assert one == pytest.approx(4 * 5 + 10 * 0.93 + 20 * 0.93**2 + (2 * 20 + 6 * 20 / 6) * 0.43 + 0.3)
    later = forecast(PLAN, 1, 1, done=18).charged
    assert later == pytest.approx(4 * 5 + 10 * 0.85 + 20 * 0.85**2 + (2 * 20 + 6 * 20 / 6) * 0.21 + 0.3)
    assert forecast(PLAN, 2, 1, done=17).charged == pytest.approx(one + later)


def test_slots_share_the_wall_clock_and_not_the_charge() -> None:
    one, four = forecast(PLAN, 100, 1), forecast(PLAN, 100, 4)
    assert four.charged == one.charged and four.trials == one.trials and four.wall == pytest.approx(one.wall / 4)


def test_two_rungs() -> None:
    plan = Plan(toy.OBJECTIVES, "cpu", 10.0, (0.5, 1.0), 2, 0.0)
    assert forecast(plan, 1, 1).charged == pytest.approx(45 + 2 * 5 + 10 * 0.93 + (2 * 10 + 6 * 10 / 6) * 0.43)


def test_a_run_costs_what_was_forecast_within_a_factor_of_two(tmp_path: Path) -> None:
    _, loop = run(tmp_path, 5)
    assert 0.5 < loop.history.charged / forecast(toy.plan(), 20, 1).charged < 2.0


def test_a_seed_that_is_done_costs_nothing_more() -> None:
    whole, rest = forecast(PLAN, 6, 1), forecast(PLAN, 6, 1, done=0)
    assert whole.trials - rest.trials == forecast(PLAN, 0, 1).trials
    assert whole.charged - rest.charged == pytest.approx(forecast(PLAN, 0, 1).charged)


def test_on_a_fast_core_the_same_charge_is_over_sooner() -> None:
    slow, fast = forecast(PLAN, 6, 1), forecast(PLAN, 6, 1, speed=2.0)
    assert fast.charged == slow.charged and fast.wall == pytest.approx(slow.wall / 2)
