"""What a child changed, with its uncertainty: the measured side of a hypothesis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import fmean, variance

from evolve.model import Candidate, Effect


def noise(seed: Candidate) -> float | None:
    """Standard deviation of one training's loss: that of the seed program over seeds, pooled over its rungs."""
    spreads = [(len(losses) - 1, variance(losses)) for losses in seed.losses.values() if len(losses) > 1]
    freedom = sum(n for n, _ in spreads)
    return math.sqrt(sum(n * v for n, v in spreads) / freedom) if freedom else None


def effect(
    child: Candidate,
    losses: Mapping[str, float],
    parent: Candidate,
    parents_losses: Mapping[str, float],
    sd: float | None,
) -> Effect | None:
    """The change at the highest rung of both, given by name with its loss; None without one.

    At the full budget the losses are means over seeds; below it one seed is shared by all, and each loss is the best
    of the numbers that were tried there.
    """
    shared = losses.keys() & parents_losses.keys()
    if not shared:
        return None
    rung = max(shared, key=float)
    counts = [len(c.losses.get(rung, ())) or 1 for c in (child, parent)]
    error = None if sd is None else sd * math.sqrt(sum(1 / n for n in counts))
    return Effect(losses[rung] - parents_losses[rung], float(rung), error)


def least_gain(effects: Iterable[Effect | None]) -> Effect | None:
    """Of a child's effects against several ancestors, that against the best: highest rung, then lowest loss there."""
    return max(filter(None, effects), key=lambda effect: (effect.rung, effect.delta), default=None)


def means(losses: Mapping[str, tuple[float, ...]]) -> dict[str, float]:
    """Mean losses by rung."""
    return {rung: fmean(values) for rung, values in losses.items() if values}
