"""From losses to fitness: means over seeds, standard errors, and the seconds to reach the seed program's loss.

`seconds_to_target` is training speed as the field states it ("time to GPT-2"): the budget at which the loss, as a
function of the budget, crosses the target L*. Losses are averaged over seeds first and then interpolated linearly in
log time between the two rungs that bracket L*. Nothing is extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, stdev

from evolve.model import Estimate, Fitness, Objective

SECONDS_TO_TARGET = "seconds_to_target"
LOWEST_RUNG = 1 / 16  # a curve is not followed below this share of the budget

Curve = Mapping[float, Sequence[float]]  # rung -> losses, one a seed, in the same order of seeds


def alike(loss: str, metrics: Iterable[str]) -> list[str]:
    """Those metrics that measure what the loss does, on whatever data: `test_bpb` where the loss is `val_bpb`."""
    return [name for name in metrics if name.rpartition("_")[2] == loss.rpartition("_")[2]]


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and standard error of the mean, s / sqrt(n); no error for n = 1."""
    n = len(values)
    return Estimate(fmean(values), n, stdev(values) / math.sqrt(n) if n > 1 else None)


def next_rung(curve: Curve, target: float) -> float | None:
    """The rung to measure next so that `target` is bracketed, or None if it is, or cannot be."""
    lowest = min(curve)
    if fmean(curve[max(curve)]) > target or fmean(curve[lowest]) > target or lowest <= LOWEST_RUNG:
        return None
    return lowest / 2


def crossing(losses: Mapping[float, float], target: float) -> tuple[float, bool]:
    """The rung at which `losses` falls to `target`, and whether it is censored (reached below the lowest rung).

    Raises ValueError when the target is not reached at the highest rung.
    """
    rungs = sorted(losses, reverse=True)
    if losses[rungs[0]] > target:
        raise ValueError("the target loss is not reached at the full budget")
    for high, low in zip(rungs, rungs[1:], strict=False):
        if losses[low] > target:
            share = (losses[low] - target) / (losses[low] - losses[high])
            return math.exp(math.log(low) + share * (math.log(high) - math.log(low))), False
    return rungs[-1], True


def seconds_to_target(curve: Curve, target: float, budget: float) -> Estimate:
    """Seconds until the mean loss reaches `target`, with the delete-one jackknife error over seeds (Efron 1982).

    `budget` is the full budget in seconds. Raises ValueError when the target is not reached.
    """
    rung, censored = crossing({r: fmean(v) for r, v in curve.items()}, target)
    n = len(next(iter(curve.values())))
    parts = []
    for left_out in range(n if n > 1 else 0):
        means = {r: fmean([*v[:left_out], *v[left_out + 1 :]]) for r, v in curve.items()}
        parts.append(1.0 if means[max(means)] > target else crossing(means, target)[0])
    centre = fmean(parts) if parts else rung
    spread = math.sqrt((n - 1) / n * sum((p - centre) ** 2 for p in parts)) if parts and not censored else None
    return Estimate(rung * budget, n, None if spread is None else spread * budget, censored)


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
