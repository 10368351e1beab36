"""Rank correlations, also of what selection has thinned."""

from __future__ import annotations

from random import Random
from statistics import fmean, median

import pytest

from evolve.correlation import spearman


def test_orders_that_agree_and_that_do_not() -> None:
    assert spearman([(1, 10), (2, 20), (3, 400)]).rho == pytest.approx(1.0)  # type: ignore[union-attr]
    assert spearman([(1, 3), (2, 2), (3, 1)]).rho == pytest.approx(-1.0)  # type: ignore[union-attr]
    assert spearman([(1, 3), (2, 2)]) is None and spearman([(1, 1), (1, 2), (1, 3)]) is None


def test_the_better_half_tells_what_all_would_have_told() -> None:
    """Low-rung losses of 80 candidates, half of which are trained on: without the correction rho is far too low."""
    rng = Random(1)
    whole, thinned, corrected = [], [], []
    for _ in range(60):
        low = [rng.gauss(0, 1) for _ in range(80)]
        pairs = [(x, x + rng.gauss(0, 0.6)) for x in low]
        promoted = [pair for pair in pairs if pair[0] < median(low)]
        for found, result in (
            (whole, spearman(pairs)),
            (thinned, spearman(promoted)),
            (corrected, spearman(promoted, low)),
        ):
            assert result is not None
            found.append(result.rho)
    assert fmean(thinned) < fmean(whole) - 0.15
    assert fmean(corrected) == pytest.approx(fmean(whole), abs=0.07)
