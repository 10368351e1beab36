"""Ranks of methods within blocks (a task and a seed), and Friedman's test over them. By scipy."""

from __future__ import annotations

import numpy as np
from scipy import stats

from benchmarks.comparison.fronts import Floats


def average_ranks(values: Floats) -> Floats:
    """The mean rank of each method, 1 is the best. `values`: blocks by methods, more is better; equals share a rank."""
    found: Floats = stats.rankdata(-values, axis=1).mean(axis=0)
    return found


def friedman(values: Floats) -> float | None:
    """The p-value of Friedman's omnibus test (1937) that all methods are alike. `values`: blocks by methods.

    None where it says nothing: fewer than three methods or two blocks, or all alike in each block.
    """
    blocks, methods = values.shape
    if blocks < 2 or methods < 3 or bool(np.all(values == values[:, :1])):
        return None
    return float(stats.friedmanchisquare(*values.T).pvalue)
