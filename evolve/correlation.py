"""Rank correlations that a run reports of itself: do its objectives agree, and do its rungs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from evolve.model import Candidate


@dataclass(frozen=True)
class Correlation:
    """Spearman's rho over `n` pairs."""

    rho: float
    n: int


def spearman(pairs: Sequence[tuple[float, float]], among: Sequence[float] = ()) -> Correlation | None:
    """Spearman's rank correlation, ties by their mean rank; None for fewer than three pairs or a constant.

    `among` are the first values of all from which the pairs were selected by their first value. Then the correlation
    is that of all, estimated by the correction for a restricted range (Thorndike 1949, case 2) on ranks among all.
    """
    if len(pairs) < 3:
        return None
    first, second = (np.array(column) for column in zip(*pairs, strict=True))
    ranks, y = _ranks(np.concatenate([first, np.array(among)])), _ranks(second)
    x, everyone = ranks[: len(first)], ranks[len(first) :]
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    rho = float(np.corrcoef(x, y)[0, 1])
    ratio = max(1.0, float(np.std(everyone) / np.std(x))) if len(everyone) else 1.0
    return Correlation(rho * ratio / math.sqrt(1 + rho**2 * (ratio**2 - 1)), len(pairs))


def of_objectives(candidates: Iterable[Candidate], first: str, second: str) -> Correlation | None:
    """Between two objectives over the feasible candidates."""
    fits = [c.fitness for c in candidates if c.fitness and c.fitness.feasible]
    return spearman([(f.values[first].mean, f.values[second].mean) for f in fits if {first, second} <= f.values.keys()])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    return (upper - (counts - 1) / 2.0)[inverse]
