"""How far honest runs stay from the thresholds of the probes: the numbers that the checks of an outcome tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NUMBER = r"([-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|inf))"


@dataclass(frozen=True)
class Margin:
    """One statistic of a check: what in its line matches `pattern`, as one number that grows towards the threshold
    or, where `lower` is set, falls towards it. `reduce` makes one number of several."""

    check: str
    statistic: str
    pattern: str
    threshold: str
    reduce: Callable[[Sequence[float]], float] = max
    lower: bool = False


def excess(values: Sequence[float]) -> float:
    """A gap beyond 0.002 nats, in standard errors."""
    gap, error = values
    return (gap - 0.002) / error if error > 0 else 0.0


def beyond_four(values: Sequence[float]) -> float:
    """Seconds of two first answers beyond four times another answer."""
    *firsts, usual = values
    return sum(max(0.0, first - 4 * usual) for first in firsts)


CHANGE, DRIFT = rf"changes up to {NUMBER} nats", rf"on average {NUMBER}"
MARGINS = (
    Margin("suffix", "largest change, nats", CHANGE, "0.001 (1 + loss)"),
    Margin("commit", "gap beyond 0.002 nats, standard errors", rf"gap {NUMBER}, standard error {NUMBER}", "5", excess),
    Margin("behind", "gap, standard errors", rf"gap {NUMBER}, standard error {NUMBER}", "5", excess),
    Margin("neighbours", "largest change, nats", CHANGE, "0.05 (1 + loss) at 2 % of the positions"),
    Margin("neighbours", "mean change, nats", DRIFT, "0.001 + 5 standard errors", lambda v: abs(v[0])),
    Margin("repeat", "largest change, nats", CHANGE, "0.05 (1 + loss) at 2 % of the positions"),
    Margin("repeat", "mean change, nats", DRIFT, "0.001 + 5 standard errors", lambda v: abs(v[0])),
    Margin("random", "mean loss, nats", rf"{NUMBER} nats on", "below 5.545 - 0.002 - 5 standard errors", lower=True),
    Margin(
        "first-forward",
        "unpaid, s",
        rf"took {NUMBER} and {NUMBER} s, the others {NUMBER} s",
        "budget and slack",
        beyond_four,
    ),
    Margin(
        "zero-step",
        "bits per byte above counts",
        rf"{NUMBER} bits per byte without .* have {NUMBER}",
        "below -0.02",
        lambda v: v[0] - v[1],
        lower=True,
    ),
)


def margins(margin: Margin, records: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[float, str]], int]:
    """The values over some runs, the nearest to the threshold last, each with what it was run for; and how many runs
    have the check, but too little to compare."""
    found, silent = [], 0
    for record in records:
        line = record["checks"].get(margin.check, "")
        match = re.search(margin.pattern, line)
        silent += bool(line) and not match
        if match:
            value = margin.reduce([float(group) for group in match.groups()])
            found.append((value, f"{record['name']}, {record['purpose']}"))
    return sorted(found, reverse=margin.lower), silent
