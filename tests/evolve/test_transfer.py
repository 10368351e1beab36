"""Gains, their intervals, what part of one another is, and what is said of it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from evolve.model import Estimate
from evolve.objectives import estimate
from evolve.transfer import Gain, paired, share, unpaired, verdict


def seeds(losses: Sequence[float]) -> dict[int, float]:
    return dict(enumerate(map(float, losses)))


def test_a_gain_over_pairs_has_students_interval() -> None:
    theirs, ours = [3.0, 3.2, 3.1, 3.4], [2.8, 2.9, 2.95, 3.0]
    found = stats.ttest_rel(theirs, ours).confidence_interval()
    gain = paired(seeds(theirs), {9: 1.0, **seeds(ours)})
    assert gain is not None
    assert (gain.low, gain.high) == pytest.approx((found.low, found.high), abs=1e-3)
    assert gain.mean == pytest.approx(0.2625) and gain.n == 4
    alone = paired({7: 3.0}, {7: 2.0})
    assert alone == Gain(1.0, None, 1, {7: 1.0}) and alone.low == -math.inf
    assert paired({7: 3.0}, {8: 2.0}) is None


def test_a_gain_of_two_estimates_has_welchs_interval() -> None:
    theirs, ours = [3.0, 3.2, 3.1], [2.8, 2.9, 2.85]
    gain = unpaired(estimate(theirs), estimate(ours))
    found = stats.ttest_ind(theirs, ours, equal_var=False)
    freedom = math.floor(found.df)
    error = math.hypot(stats.sem(theirs), stats.sem(ours))
    assert freedom == 2 and gain.margin == pytest.approx(stats.t.ppf(0.975, freedom) * error, abs=1e-4)
    assert unpaired(Estimate(3.0, 1), estimate(ours)).margin is None
    assert unpaired(Estimate(3.0, 3, 0.0), Estimate(2.0, 3, 0.0)) == Gain(1.0, 0.0, 3)


def gain_of(differences: Sequence[float]) -> Gain:
    gain = paired(seeds(differences), seeds([0.0] * len(differences)))
    assert gain is not None
    return gain


@pytest.mark.parametrize("correlation", [-0.9, 0.0, 0.9])
def test_fiellers_interval_holds_the_true_share_as_often_as_it_says(correlation: float) -> None:
    """Of gains over the same seeds, which make both larger or smaller."""
    draw, true, n, held = np.random.default_rng(0), 0.6, 4, 0
    noises = draw.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], (2000, n))
    for noise in noises:
        home, there = gain_of(1.0 + 0.1 * noise[:, 0]), gain_of(true + 0.1 * noise[:, 1])
        part = share(there, home)
        held += part is None or part.low <= true <= part.high
    assert 0.94 < held / 2000 < 0.96, held / 2000


def test_over_the_same_seeds_the_ends_are_the_shares_that_students_test_just_bears() -> None:
    home, there = np.array([0.9, 1.1, 1.05, 0.98]), np.array([0.5, 0.66, 0.63, 0.55])
    part = share(gain_of(there), gain_of(home))
    assert part is not None and part.low < part.value < part.high
    for end in (part.low, part.high):
        assert stats.ttest_1samp(there - end * home, 0.0).pvalue == pytest.approx(0.05, abs=1e-4)


def test_gains_with_seeds_of_their_own_are_independent() -> None:
    home, there = gain_of([0.9, 1.1, 1.05, 0.98]), gain_of([0.5, 0.66, 0.63, 0.55])
    apart = replace(there, by_seed={seed + 10: gain for seed, gain in there.by_seed.items()})
    independent = share(replace(there, by_seed={}), replace(home, by_seed={}))
    assert share(apart, home) == independent != share(there, home)
    one_in_common = replace(apart, by_seed={**apart.by_seed, 0: 0.5})
    assert share(one_in_common, home) == independent


def test_few_seeds_in_common_make_no_share_impossible() -> None:
    """What they say of the correlation may be more than what all seeds say of either gain."""
    home = gain_of([0.9, 1.1, 1.0, 1.0, 1.0])
    there = replace(gain_of([0.5, 0.7]), margin=0.01)
    part = share(there, home)
    assert part is not None and part.low <= part.value <= part.high


def test_a_share_of_what_may_be_nothing_has_no_end() -> None:
    assert share(Gain(0.1, 0.01, 3), Gain(0.1, 0.2, 3)) is None
    assert share(Gain(0.1, None, 1), Gain(0.1, 0.01, 3)) is None
    certain = share(Gain(0.05, 0.0, 3), Gain(0.1, 0.0, 3))
    assert certain is not None and certain.low == pytest.approx(0.5) == certain.value == certain.high


HOME = Gain(0.10, 0.01, 3)


@pytest.mark.parametrize(
    ("there", "home", "said"),
    [
        (Gain(0.10, 0.02, 3), HOME, r"holds: 100% of it \(\d+% to 12\d%\)"),
        (Gain(0.05, 0.01, 3), HOME, r"shrinks to 50% of it"),
        (Gain(0.20, 0.02, 3), HOME, r"holds, and grows to 200% of it"),
        (Gain(0.00, 0.02, 3), HOME, r"gone: at most 20% of it can be left"),
        (Gain(-0.05, 0.02, 3), HOME, r"gone: it is worse than the seed program here"),
        (Gain(0.05, 0.20, 3), HOME, r"not resolved: 3 seeds are too few"),
        (
            Gain(0.07, 0.06, 4),
            HOME,
            r"a gain here, but how much of it is left is not resolved: 70% .*, 4 seeds are too",
        ),
        (Gain(0.05, None, 1), HOME, r"not resolved: one seed gives no interval"),
        (Gain(0.05, 0.01, 3), Gain(0.1, 0.2, 3), r"a gain here; the one at home is not clear"),
        (Gain(0.05, 0.01, 3), None, r"a gain here; it was not measured at home"),
        (Gain(0.00, 0.01, 3), None, r"not resolved: 3 seeds"),
    ],
)
def test_the_verdict_in_words(there: Gain, home: Gain | None, said: str) -> None:
    assert re.search(said, verdict(there, home)), verdict(there, home)
