"""Rank correlations that a run reports of itself: do its objectives agree, and do its rungs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from evolve.model import Candidate


@dataclass(frozen=True)
class Correlation:
    """Spearman's rho over `n` pairs."""

    rho: float
    n: int


def spearman(pairs: Sequence[tuple[float, float]]) -> Correlation | None:
    """Spearman's rank correlation, ties by their mean rank; None for fewer than three pairs or a constant."""
    if len(pairs) < 3:
        return None
    x, y = (_ranks(np.array(column)) for column in zip(*pairs, strict=True))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return Correlation(float(np.corrcoef(x, y)[0, 1]), len(pairs))


def of_objectives(candidates: Iterable[Candidate], first: str, second: str) -> Correlation | None:
    """Between two objectives over the feasible candidates."""
    fits = [c.fitness for c in candidates if c.fitness and c.fitness.feasible]
    return spearman([(f.values[first].mean, f.values[second].mean) for f in fits if {first, second} <= f.values.keys()])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    return (upper - (counts - 1) / 2.0)[inverse]
