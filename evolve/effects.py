"""What a child changed, with its uncertainty: the measured side of a hypothesis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from statistics import fmean, variance

from evolve.model import Candidate, Effect


def noise(candidates: Iterable[Candidate], rung: float) -> float | None:
    """Standard deviation of one training's loss at `rung`: over seeds within a candidate, pooled over candidates.

    None where nobody was trained there twice.
    """
    found = pooled(candidates, rung)
    return found[0] if found else None


def pooled(candidates: Iterable[Candidate], rung: float) -> tuple[float, int] | None:
    """The noise at `rung` and its degrees of freedom; None where nobody was trained there twice.

    The within-group mean square of a one-way analysis of variance. The seed program alone would give two degrees of
    freedom.
    """
    name = f"{rung:g}"
    groups = (c.losses.get(name, ()) for c in candidates if not c.quarantined)
    spreads = [(len(losses) - 1, variance(losses)) for losses in groups if len(losses) > 1]
    freedom = sum(n for n, _ in spreads)
    return (math.sqrt(sum(n * v for n, v in spreads) / freedom), freedom) if freedom else None


def effect(
    child: Candidate,
    losses: Mapping[str, float],
    parent: Candidate,
    parents_losses: Mapping[str, float],
    noise_at: Callable[[float], float | None],
) -> Effect | None:
    """The change at the highest rung of both, given by name with its loss; None without one.

    `noise_at` gives the standard deviation of one training's loss at a rung.

    At the full budget the losses are means over seeds; below it one seed is shared by all, and each loss is the best
    of the numbers that were tried there.
    """
    shared = losses.keys() & parents_losses.keys()
    if not shared:
        return None
    rung = max(shared, key=float)
    counts = [len(c.losses.get(rung, ())) or 1 for c in (child, parent)]
    sd = noise_at(float(rung))
    error = None if sd is None else sd * math.sqrt(sum(1 / n for n in counts))
    return Effect(losses[rung] - parents_losses[rung], float(rung), error)


def least_gain(effects: Iterable[Effect | None]) -> Effect | None:
    """Of a child's effects against several ancestors, that against the best: highest rung, then lowest loss there."""
    return max(filter(None, effects), key=lambda effect: (effect.rung, effect.delta), default=None)


def means(losses: Mapping[str, tuple[float, ...]]) -> dict[str, float]:
    """Mean losses by rung."""
    return {rung: fmean(values) for rung, values in losses.items() if values}
