"""Is the search as good as it was? A few methods on the task with a known optimum, in virtual time.

The statistic is the mean over seeds of the hypervolume of the confirmed front. Over the 15 seeds of
benchmarks/results/calibration, at the budget used here, its mean and standard deviation are 0.651 and 0.259 for `ours`,
0.286 and 0.030 for `tpe`, 0.363 and 0.092 for `greedy`, 0.268 and 0.021 for `no_structure`, 0.193 and 0.050 for
`random`. A floor is at most 3.3 standard errors of a mean over six seeds below the mean: a change that only draws other
numbers stays above it.

So what costs as much as `no_structure` fails, and what costs less does not, with seeds as few as a test of half a
minute can have: at 125 full trials there are some thirty children, and whom they descend from matters little. The
recorded table cannot serve: there the noise of its surrogate hides what parts `ours` from random search.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import mean

import pytest

from benchmarks.comparison import runner
from benchmarks.comparison.anytime import hypervolume_steps
from benchmarks.comparison.trace import FILE, read
from benchmarks.tasks.synthetic import TASK

pytestmark = pytest.mark.slow

TOTAL = 2000.0  # charged seconds: 125 full trials
SEEDS = range(1, 7)
FLOORS = {"ours": 0.32, "tpe": 0.245, "greedy": 0.25}
MARGIN = 0.095  # by which ours has to be above random search; measured as 0.457, of pairs 0.276 the standard deviation


def volume(method: str, seed: int, folder: Path) -> float:
    runner.run(method, TASK, seed, TOTAL, folder)
    trace = read(runner.place_of(method, TASK, seed, folder) / FILE)
    return float(hypervolume_steps(trace, TASK).values[-1])


@pytest.fixture(scope="module")
def means(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, float]:
    folder = tmp_path_factory.mktemp("runs")
    return {method: mean(volume(method, seed, folder) for seed in SEEDS) for method in (*FLOORS, "random")}


def test_no_method_is_clearly_worse_than_it_was(means: Mapping[str, float]) -> None:
    """The rivals too: who handicaps them wins nothing."""
    assert {method: value for method, value in means.items() if value < FLOORS.get(method, 0.0)} == {}


def test_ours_beats_random_search_by_a_margin(means: Mapping[str, float]) -> None:
    assert means["ours"] > means["random"] + MARGIN


def test_the_floor_is_above_random_search(means: Mapping[str, float]) -> None:
    """A search that finds no more than random search would fail the tests above."""
    assert means["random"] < FLOORS["ours"] - 0.02


@pytest.mark.slow
def test_ours_without_structure_would_fail(tmp_path: Path) -> None:
    assert mean(volume("no_structure", seed, tmp_path) for seed in SEEDS) < FLOORS["ours"]
