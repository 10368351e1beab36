"""One run in numbers: what it claimed, and what is confirmed on fresh seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.comparison.anytime import Steps, claimed_front, counted, hypervolume_steps, loss_steps
from benchmarks.comparison.fronts import Point, Problem, hypervolume, nondominated, point_of
from benchmarks.comparison.trace import Retrained, Trace

VOLUME, LOSS = "hypervolume", "loss"
CONFIRMED_VOLUME, CONFIRMED_LOSS = "confirmed_hypervolume", "confirmed_loss"
CONFIRMED_TEST_LOSS = "confirmed_test_loss"
AREA = "hypervolume_area"
MEASURES = (CONFIRMED_VOLUME, CONFIRMED_TEST_LOSS, CONFIRMED_LOSS, VOLUME, LOSS, AREA)


@dataclass(frozen=True)
class Outcome:
    """A run. `values` by measure, in its own direction and unit; a measure that is not known is not in it.

    `confirmed` is the front after the means over fresh seeds are filtered again; None where nothing was trained again
    though something was claimed. `retrained` counts the members that were. `held`: the best claimed loss is that of a
    member whose fresh trainings all succeeded.
    """

    trace: Trace
    volume: Steps
    loss: Steps
    claimed: list[Point]
    confirmed: list[Point] | None
    retrained: int
    held: bool
    values: dict[str, float]


def measured(trace: Trace, problem: Problem) -> Outcome:
    """The numbers of a run.

    `confirmed_loss`, `confirmed_test_loss` (on text that the search never saw), and every further metric of the fresh
    runs (second corpus) are means of the member that the run hands over, see `handed_over`. Where there is none it is
    the seed program, at the task's value.
    """
    volume, loss = hypervolume_steps(trace, problem), loss_steps(trace, problem)
    claimed = claimed_front(trace, problem)
    values = {VOLUME: float(volume.values[-1]), LOSS: float(loss.values[-1]), AREA: volume.mean(trace.total)}
    members = by_claim(trace, problem)
    handed = handed_over(members, problem)
    confirmed = None if claimed and not members else _confirmed(members, problem)
    if confirmed is not None:
        values[CONFIRMED_VOLUME] = hypervolume(confirmed, problem)
        first = problem.objectives[0].name
        means = _means(handed) if handed else {first: problem.seed[first]}
        values[CONFIRMED_LOSS] = means.pop(first)
        if unseen(problem) in means:
            values[CONFIRMED_TEST_LOSS] = means.pop(unseen(problem))
        others = {axis.name for axis in problem.objectives}
        values |= {name: value for name, value in means.items() if name not in others}
    held = not members or handed is members[0]
    return Outcome(trace, volume, loss, claimed, confirmed, len(members), held, values)


def unseen(problem: Problem) -> str:
    """The metric that is the first objective on test text: `test_bpb` where that is `val_bpb`."""
    return f"test_{problem.objectives[0].name.rpartition('_')[2]}"


def by_claim(trace: Trace, problem: Problem) -> list[Retrained]:
    """The members that were trained again, the best *claimed* loss first: fresh seeds choose nothing.

    Who does not count, as it was told after the total, is none of them.
    """
    first = problem.objectives[0]
    sign = 1 if first.direction == "minimize" else -1
    claims = {
        p.candidate: sign * p.values[first.name] for p in counted(trace) if p.confirmed and first.name in p.values
    }
    return sorted((m for m in trace.retrained if m.candidate in claims), key=lambda m: claims[m.candidate])


def handed_over(members: Sequence[Retrained], problem: Problem) -> Retrained | None:
    """What can be relied on: the first of these whose fresh trainings all succeeded.

    The seed program is one of them, trained again beside the others. So a claim that does not hold costs a run what it
    had gained with it, and no run is without a number.
    """
    return next((member for member in members if problem.objectives[0].name in _means(member)), None)


def _confirmed(members: Sequence[Retrained], problem: Problem) -> list[Point]:
    found = [point_of(_means(member), problem) for member in members]
    points = [point for point in found if point is not None]
    return [point for point, kept in zip(points, nondominated(points), strict=True) if kept]


def _means(member: Retrained) -> dict[str, float]:
    """Over fresh seeds; a metric that one of them lacks has none."""
    whole = {n: v for n, v in member.metrics.items() if v and all(x is not None and math.isfinite(x) for x in v)}
    return {name: fmean(values) for name, values in whole.items()}
