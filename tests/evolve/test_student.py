"""Student's t is what scipy says it is."""

from __future__ import annotations

import pytest
from scipy import stats

from evolve.student import beyond, quantile


def test_quantiles_are_students() -> None:
    for freedom in range(1, 200):
        assert quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=0.01), freedom


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 50, 401])
def test_the_probability_beyond_a_t_is_that_of_both_tails(freedom: int) -> None:
    for t in (0.0, 0.3, -1.0, 2.0, 5.0, 30.0):
        assert beyond(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), abs=1e-12), t
