"""How much of a gain is there under other conditions: intervals at 95 % for gains and for the share of one in another.

A gain is by how much a loss is below the seed program's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from evolve.model import Estimate
from evolve.student import quantile

MOST = 0.5  # of a gain: who surely keeps as much holds, where all of it may be left; who surely keeps less has lost it


@dataclass(frozen=True)
class Gain:
    """A difference of mean losses. `margin` is half of its interval, None where one training says nothing of it."""

    mean: float
    margin: float | None
    n: int

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


def paired(seed: Sequence[float], candidate: Sequence[float]) -> Gain:
    """Of trainings that share their seeds, in the same order: Student's interval for the mean difference."""
    differences = [theirs - ours for theirs, ours in zip(seed, candidate, strict=True)]
    n = len(differences)
    margin = quantile(n - 1) * stdev(differences) / math.sqrt(n) if n > 1 else None
    return Gain(fmean(differences), margin, n)


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
    """The gain `there` over that at `home`, with Fieller's interval for a ratio of independent means.

    Fieller 1954, J. R. Stat. Soc. B 16, 175-185; each mean with the quantile of its own degrees of freedom. None where
    the gain at home is not clearly above nothing: then no interval has an end.
    """
    if there.margin is None or home.margin is None or home.low <= 0:
        return None
    product, scale = there.mean * home.mean, home.mean**2 - home.margin**2
    spread = math.sqrt(product**2 - scale * (there.mean**2 - there.margin**2))
    return Share(there.mean / home.mean, (product - spread) / scale, (product + spread) / scale)


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
