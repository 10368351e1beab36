"""From losses to fitness: means over seeds, standard errors, and the seconds to reach the seed program's loss.

`seconds_to_target` is training speed as the field states it ("time to GPT-2"): the budget at which the loss, as a
function of the budget, crosses the target L*. Losses are averaged over seeds first and then interpolated linearly in
log time between the two rungs that bracket L*. Nothing is extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean, stdev

from evolve.model import Estimate, Fitness, Objective

SECONDS_TO_TARGET = "seconds_to_target"
LOWEST_RUNG = 1 / 16  # a curve is not followed below this share of the budget

Curve = Mapping[float, Sequence[float]]  # rung -> losses of the first seeds, one each; of all at the full budget


def alike(loss: str, metrics: Iterable[str]) -> list[str]:
    """Those metrics that measure what the loss does, on whatever data: `test_bpb` where the loss is `val_bpb`."""
    return [name for name in metrics if name.rpartition("_")[2] == loss.rpartition("_")[2]]


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and standard error of the mean, s / sqrt(n); no error for n = 1."""
    n = len(values)
    return Estimate(fmean(values), n, stdev(values) / math.sqrt(n) if n > 1 else None)


def bracket(losses: Mapping[float, float], target: float) -> tuple[float, ...]:
    """The rungs around `target`, the lower one first; the lowest alone if that reaches it, none if none does."""
    rungs = sorted(losses, reverse=True)
    if losses[rungs[0]] > target:
        return ()
    for high, low in pairwise(rungs):
        if losses[low] > target:
            return low, high
    return (rungs[-1],)


def next_rung(curve: Curve, target: float) -> float | None:
    """The rung to measure next so that `target` is bracketed, or None if it is, or cannot be."""
    lowest = min(curve)
    reached_everywhere = len(bracket(_means(curve), target)) == 1
    return lowest / 2 if reached_everywhere and lowest > LOWEST_RUNG else None


def lacking(curve: Curve, climbed: Curve, target: float) -> list[tuple[float, int]]:
    """What is to be trained yet, as (rung, number of the seed), before the curve tells when `target` is reached.

    `climbed` are losses that were seen on the way to the full budget. They say which rungs lie around the target, and
    with one seed they do for the curve. With more of them all have to tell of those rungs; others say nothing of it.
    Where the target lies below all that is known, the first seed looks for it alone.
    """
    seeds, known = len(curve[max(curve)]), {**climbed, **curve}
    if (lower := next_rung(known, target)) is not None:
        return [(lower, 0)]
    around = bracket(_means(known), target) if seeds > 1 else ()
    return [(rung, i) for rung in reversed(around) for i in range(len(curve.get(rung, ())), seeds)]


def crossing(losses: Mapping[float, float], target: float) -> tuple[float, bool]:
    """The rung at which `losses` falls to `target`, and whether it is censored (reached below the lowest rung).

    Raises ValueError when the target is not reached at the highest rung.
    """
    match bracket(losses, target):
        case (low, high):
            share = (losses[low] - target) / (losses[low] - losses[high])
            return math.exp(math.log(low) + share * (math.log(high) - math.log(low))), False
        case (lowest,):
            return lowest, True
        case _:
            raise ValueError("the target loss is not reached at the full budget")


def seconds_to_target(curve: Curve, target: float, budget: float) -> Estimate:
    """Seconds until the mean loss reaches `target`, with the delete-one jackknife error over seeds (Efron 1982).

    `budget` is the full budget in seconds. Raises ValueError when the target is not reached.
    """
    rung, censored = crossing(_means(curve), target)
    n = len(curve[max(curve)])
    parts = []
    for left_out in range(n if n > 1 else 0):
        means = _means({r: [*v[:left_out], *v[left_out + 1 :]] or v for r, v in curve.items()})
        parts.append(1.0 if means[max(means)] > target else crossing(means, target)[0])
    centre = fmean(parts) if parts else rung
    spread = math.sqrt((n - 1) / n * sum((p - centre) ** 2 for p in parts)) if parts and not censored else None
    return Estimate(rung * budget, n, None if spread is None else spread * budget, censored)


def _means(curve: Curve) -> dict[float, float]:
    return {rung: fmean(losses) for rung, losses in curve.items()}


def fitness(
    objectives: Sequence[Objective],
    curve: Curve,
    metric: Callable[[str], Sequence[float]],
    target: float,
    budget: float,
) -> Fitness:
    """Fitness from the losses of the final parameters; `metric(name)` gives a metric at the full budget by seed.

    The first objective is the loss. A candidate that does not reach `target` is infeasible by the difference.
    """
    loss = estimate(curve[max(curve)])
    values = {objectives[0].name: loss}
    reached = loss.mean <= target
    for objective in objectives[1:]:
        if objective.name != SECONDS_TO_TARGET:
            values[objective.name] = estimate(metric(objective.name))
        elif reached:
            values[objective.name] = seconds_to_target(curve, target, budget)
    return Fitness(values, 0.0 if reached else loss.mean - target)


def seed_fitness(
    objectives: Sequence[Objective], curve: Curve, metric: Callable[[str], Sequence[float]], budget: float
) -> Fitness:
    """Fitness of the seed program, which defines the target: it reaches its own mean loss at the full budget."""
    loss = estimate(curve[max(curve)])
    values = {objectives[0].name: loss}
    for objective in objectives[1:]:
        at_budget = Estimate(budget, loss.n, 0.0)
        values[objective.name] = at_budget if objective.name == SECONDS_TO_TARGET else estimate(metric(objective.name))
    return Fitness(values)
