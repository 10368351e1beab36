"""Student's t: the quantile of an interval at 95 %, and how rarely chance alone goes as far."""

from __future__ import annotations

import math

QUANTILES = (  # at 0.975, for 1, 2, … degrees of freedom
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
)


def quantile(freedom: int) -> float:
    """Of Student's t at 0.975; beyond the table too large by less than 0.01."""
    return QUANTILES[freedom - 1] if freedom <= len(QUANTILES) else 1.96 + 2.52 / freedom


def beyond(t: float, freedom: int) -> float:
    """The probability that a t with so many degrees of freedom is farther from 0 than `t`, on either side.

    Abramowitz and Stegun 1964, Handbook of Mathematical Functions, equations 26.7.3 and 26.7.4.
    """
    angle = math.atan(abs(t) / math.sqrt(freedom))
    odd = freedom % 2
    term, total = (math.cos(angle) if odd else 1.0), 0.0
    for k in range(2 + odd, freedom + 1, 2):
        total += term
        term *= (k - 1) / k * math.cos(angle) ** 2
    inside = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return max(0.0, 1 - inside)
