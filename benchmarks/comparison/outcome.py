"""One run in numbers: what it claimed, and what is confirmed on fresh seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

from benchmarks.comparison.anytime import Steps, claimed_front, counted, hypervolume_steps, loss_steps
from benchmarks.comparison.fronts import Point, Problem, hypervolume, nondominated, point_of
from benchmarks.comparison.trace import Retrained, Trace

VOLUME, LOSS = "hypervolume", "loss"
CONFIRMED_VOLUME, CONFIRMED_LOSS = "confirmed_hypervolume", "confirmed_loss"
AREA = "hypervolume_area"
MEASURES = (CONFIRMED_VOLUME, CONFIRMED_LOSS, VOLUME, LOSS, AREA)


@dataclass(frozen=True)
class Outcome:
    """A run. `values` by measure, in its own direction and unit; a measure that is not known is not in it.

    `confirmed` is the front after the means over fresh seeds are filtered again; None where nothing was trained again
    though something was claimed. `retrained` counts the members that were.
    """

    trace: Trace
    volume: Steps
    loss: Steps
    claimed: list[Point]
    confirmed: list[Point] | None
    retrained: int
    values: dict[str, float]


def measured(trace: Trace, problem: Problem) -> Outcome:
    """The numbers of a run.

    `confirmed_loss`, and every further metric of the fresh runs (test text, second corpus), is the mean of the member
    with the best *claimed* loss: fresh seeds choose nothing. A run without a front hands over the seed program.
    """
    volume, loss = hypervolume_steps(trace, problem), loss_steps(trace, problem)
    claimed = claimed_front(trace, problem)
    values = {VOLUME: float(volume.values[-1]), LOSS: float(loss.values[-1]), AREA: volume.mean(trace.total)}
    members = _in_time(trace)
    confirmed = None if claimed and not members else _confirmed(members, problem)
    if confirmed is not None:
        values[CONFIRMED_VOLUME] = hypervolume(confirmed, problem)
        first = problem.objectives[0].name
        best = _best_claim(trace, members, problem)
        means = _means(best) if best else {first: problem.seed[first]}
        if first in means:
            values[CONFIRMED_LOSS] = means.pop(first)
        others = {axis.name for axis in problem.objectives}
        values |= {name: value for name, value in means.items() if name not in others}
    return Outcome(trace, volume, loss, claimed, confirmed, len(members), values)


def _in_time(trace: Trace) -> list[Retrained]:
    """What was trained again, less what was only finished after the total."""
    late = {p.candidate for p in trace.points if p.charged > trace.total} - {p.candidate for p in counted(trace)}
    return [member for member in trace.retrained if member.candidate not in late]


def _confirmed(members: list[Retrained], problem: Problem) -> list[Point]:
    found = [point_of(_means(member), problem) for member in members]
    points = [point for point in found if point is not None]
    return [point for point, kept in zip(points, nondominated(points), strict=True) if kept]


def _means(member: Retrained) -> dict[str, float]:
    """Over fresh seeds; a metric that one of them lacks has none."""
    whole = {n: v for n, v in member.metrics.items() if v and all(x is not None and math.isfinite(x) for x in v)}
    return {name: fmean(values) for name, values in whole.items()}


def _best_claim(trace: Trace, members: list[Retrained], problem: Problem) -> Retrained | None:
    first = problem.objectives[0]
    sign = 1 if first.direction == "minimize" else -1
    claims = {
        p.candidate: sign * p.values[first.name] for p in counted(trace) if p.confirmed and first.name in p.values
    }
    return min(members, key=lambda member: claims.get(member.candidate, math.inf), default=None)
