"""How much of a gain is there under other conditions: intervals at 95 % for gains and for the share of one in another.

A gain is by how much a loss is below the seed program's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import covariance, fmean, stdev

from evolve.model import Estimate
from evolve.student import quantile

MOST = 0.5  # of a gain: who surely keeps as much holds, where all of it may be left; who surely keeps less has lost it


@dataclass(frozen=True)
class Gain:
    """A difference of mean losses. `margin` is half of its interval, None where one training says nothing of it.

    `by_seed` holds the difference of each pair of trainings with one seed, if it is one of pairs.
    """

    mean: float
    margin: float | None
    n: int
    by_seed: Mapping[int, float] = field(default_factory=dict)

    @property
    def low(self) -> float:
        return self.mean - (math.inf if self.margin is None else self.margin)

    @property
    def high(self) -> float:
        return self.mean + (math.inf if self.margin is None else self.margin)


@dataclass(frozen=True)
class Share:
    """What part of a gain another one is."""

    value: float
    low: float
    high: float


def paired(seed: Mapping[int, float], candidate: Mapping[int, float]) -> Gain | None:
    """Of losses by seed: Student's interval for the mean difference over the seeds of both; None without any."""
    differences = {s: loss - candidate[s] for s, loss in seed.items() if s in candidate}
    n = len(differences)
    if not n:
        return None
    margin = quantile(n - 1) * stdev(differences.values()) / math.sqrt(n) if n > 1 else None
    return Gain(fmean(differences.values()), margin, n, differences)


def unpaired(seed: Estimate, candidate: Estimate) -> Gain:
    """Of trainings with seeds of their own: Welch's interval, its degrees of freedom (Satterthwaite) rounded down."""
    mean, n = seed.mean - candidate.mean, min(seed.n, candidate.n)
    if seed.sem is None or candidate.sem is None:
        return Gain(mean, None, n)
    variances = [(seed.sem**2, seed.n - 1), (candidate.sem**2, candidate.n - 1)]
    total = sum(v for v, _ in variances)
    freedom = total**2 / sum(v**2 / k for v, k in variances) if total else 1.0
    return Gain(mean, quantile(max(1, math.floor(freedom + 1e-9))) * math.sqrt(total), n)


def share(there: Gain, home: Gain) -> Share | None:
    """The gain `there` over that at `home`, with Fieller's interval for a ratio of means, which may be correlated.

    Fieller 1954, J. R. Stat. Soc. B 16, 175-185: the shares g with (x - g y)^2 <= a - 2 g c + g^2 b for the means x and
    y, their squared margins a and b and `_covariance` c. Over the same seeds these are all g for which the mean of the
    differences "there less g times home" may be 0 by Student's test. None where the gain at home is not clearly above
    nothing: then no interval has an end.
    """
    if there.margin is None or home.margin is None or home.low <= 0:
        return None
    product, scale = there.mean * home.mean - _covariance(there, home), home.mean**2 - home.margin**2
    spread = math.sqrt(max(0.0, product**2 - scale * (there.mean**2 - there.margin**2)))
    return Share(there.mean / home.mean, (product - spread) / scale, (product + spread) / scale)


def _covariance(one: Gain, other: Gain) -> float:
    """Of two means, times the quantiles of both as in their margins; 0 unless pairs had two seeds or more in common."""
    common = [s for s in one.by_seed if s in other.by_seed]
    if one.margin is None or other.margin is None or len(common) < 2:
        return 0.0
    of_pairs = covariance([one.by_seed[s] for s in common], [other.by_seed[s] for s in common])
    of_means = of_pairs * len(common) / (one.n * other.n)
    most = one.margin * other.margin
    return max(-most, min(most, of_means * quantile(one.n - 1) * quantile(other.n - 1)))


def verdict(there: Gain, home: Gain | None) -> str:
    """In words: does the gain hold, shrink, go, or can it not be said."""
    if there.margin is None:
        return "not resolved: one seed gives no interval"
    part = share(there, home) if home else None
    if there.high < 0:
        return "gone: it is worse than the seed program here"
    if there.low > 0:
        return _of_a_gain(part, there.n, home is None)
    if part and part.high < MOST:
        return f"gone: at most {part.high:.0%} of it can be left"
    return f"not resolved: {_too_few(there.n)}"


def _of_a_gain(part: Share | None, n: int, unmeasured: bool) -> str:
    """Where there surely is one."""
    if part is None:
        why = "it was not measured at home" if unmeasured else "the one at home is not clear"
        return f"there is a gain here; {why}, so what part of it is left is not known"
    said = f"{part.value:.0%} of it ({part.low:.0%} to {part.high:.0%})"
    if part.high < 1:
        return f"shrinks to {said}"
    if part.low > 1:
        return f"holds, and grows to {said}"
    if part.low >= MOST:
        return f"holds: {said}"
    return f"there is a gain here, but how much of it is left is not resolved: {said}, {_too_few(n)}"


def _too_few(n: int) -> str:
    return f"{n} seeds are too few"
