"""Two methods on the same seeds: by how much one is ahead, how sure that is, and how often it happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 9999


@dataclass(frozen=True)
class Difference:
    """By how much a method is ahead of another; more than 0 is better, whatever the direction of the measure.

    `mean` of the paired differences in the measure's unit and its 95 % interval (None with a single pair). `delta` is
    Cliff's delta (Cliff 1993): how much more often one of its runs is ahead of one of the other's than behind, -1 to 1.
    """

    pairs: int
    ahead: int
    equal: int
    behind: int
    mean: float
    low: float | None
    high: float | None
    delta: float


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """Paired by place, more is better. The interval is the bootstrap's (BCa, Efron 1987)."""
    a, b = np.array(ours), np.array(theirs)
    apart = a - b
    low, high = interval(apart.tolist())
    u = float(stats.mannwhitneyu(a, b).statistic)  # pairs of runs that `ours` wins, ties counted half
    signs = np.sign(apart)
    ahead, equal, behind = (int((signs == sign).sum()) for sign in (1, 0, -1))
    return Difference(len(a), ahead, equal, behind, float(apart.mean()), low, high, 2 * u / (len(a) * len(b)) - 1)


def interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The 95 % bootstrap interval of a mean. None with a single value; where all are equal it has no width."""
    if len(values) < 2:
        return None, None
    if len(set(values)) == 1:
        return values[0], values[0]
    method, rng = "BCa" if len(values) > 2 else "percentile", np.random.default_rng(0)
    found = stats.bootstrap((values,), np.mean, n_resamples=RESAMPLES, method=method, rng=rng).confidence_interval
    return float(found.low), float(found.high)


def wilcoxon(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The two-sided p-value of Wilcoxon's signed-rank test; exact up to 50 pairs without a tie. 1 if all are equal."""
    apart = np.array(ours) - np.array(theirs)
    return float(stats.wilcoxon(apart).pvalue) if apart.any() else 1.0
