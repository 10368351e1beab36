"""How good a run was by when: step functions of the charged seconds, their medians, bands and areas.

Nothing is smoothed or interpolated: what a run had stays until something better is confirmed. Everybody evaluates the
seed program first, and until then has no hypervolume and the task's fixed loss of the seed program. A point beyond the
total does not count, so that nobody gains by a last trial that is late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from benchmarks.comparison.fronts import Floats, Point, Problem, hypervolume, nondominated, point_of
from benchmarks.comparison.trace import Point as TracePoint
from benchmarks.comparison.trace import Trace

RESAMPLES = 2000
TIMES = 160  # at which curves are compared
EARLIEST = 0.01  # share of the total where curves begin to be shown


@dataclass(frozen=True)
class Steps:
    """`values[i]` from `times[i]` on, in charged seconds; the first time is 0."""

    times: Floats
    values: Floats

    def at(self, times: Floats) -> Floats:
        found: Floats = self.values[np.searchsorted(self.times, times, side="right") - 1]
        return found

    def mean(self, total: float) -> float:
        """The area below the steps until `total`, divided by it: its unit is that of the values."""
        return float(np.diff([*self.times, total]) @ self.values / total)


@dataclass(frozen=True)
class Band:
    """At each time the median over the runs with a 95 % interval; `low` and `high` are None with a single run."""

    times: Floats
    median: Floats
    low: Floats | None
    high: Floats | None


def hypervolume_steps(trace: Trace, problem: Problem) -> Steps:
    """Of the non-dominated confirmed points until then, with the task's reference point."""
    front: list[Point] = []
    times, values = [0.0], [0.0]
    for finished, point in _confirmed(trace, problem):
        candidates = [*front, point]
        keep = nondominated(candidates)
        if not keep[-1]:
            continue
        front = [p for p, kept in zip(candidates, keep, strict=True) if kept]
        volume = hypervolume(front, problem)
        if volume > values[-1]:
            times.append(finished.charged)
            values.append(volume)
    return Steps(np.array(times), np.array(values))


def loss_steps(trace: Trace, problem: Problem) -> Steps:
    """The best confirmed value of the first objective, the seed's at first; in its own direction and unit."""
    first = problem.objectives[0]
    sign = 1 if first.direction == "minimize" else -1
    times, values = [0.0], [problem.seed[first.name]]
    for point in counted(trace):
        value = point.values.get(first.name)
        if value is not None and point.confirmed and sign * value < sign * values[-1]:
            times.append(point.charged)
            values.append(value)
    return Steps(np.array(times), np.array(values))


def counted(trace: Trace) -> list[TracePoint]:
    """The finished points within the total that did not fail, in order of the charged seconds."""
    points = [p for p in trace.points if p.status == "ok" and p.charged <= trace.total]
    return sorted(points, key=lambda p: p.charged)


def _confirmed(trace: Trace, problem: Problem) -> list[tuple[TracePoint, Point]]:
    found = [(p, point_of(p.values, problem)) for p in counted(trace) if p.confirmed]
    return [(finished, point) for finished, point in found if point is not None]


def claimed_front(trace: Trace, problem: Problem) -> list[Point]:
    """The non-dominated confirmed points at the end."""
    return [point for _, point in claimed_members(trace, problem)]


def claimed_members(trace: Trace, problem: Problem) -> list[tuple[str, Point]]:
    """Those of the claimed front: candidate and point."""
    found = _confirmed(trace, problem)
    kept = nondominated([point for _, point in found])
    return [(finished.candidate, point) for (finished, point), keep in zip(found, kept, strict=True) if keep]


def grid(total: float) -> Floats:
    """Times at even distances in the logarithm, to the total."""
    return np.geomspace(EARLIEST * total, total, TIMES)


def band(curves: Sequence[Steps], times: Floats) -> Band:
    """Medians and percentile bootstrap intervals (`scipy.stats.bootstrap`) over runs, time by time."""
    values = np.array([curve.at(times) for curve in curves])
    median = np.median(values, axis=0)
    if len(curves) == 1:
        return Band(times, median, None, None)
    found = stats.bootstrap(
        (values,),
        np.median,
        axis=0,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Band(times, median, found.low, found.high)
