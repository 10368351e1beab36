"""Sets of points: who is dominated, how much they dominate, and what a share of the runs attains. By moocore.

A point holds the objectives of a task in its order, all to be minimised: the sign is turned where more is better, and
the natural logarithm is taken where the task says so (seconds). The reference point is the task's, never the data's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import moocore
import numpy as np
from numpy.typing import NDArray

SURFACES = (25, 50, 75)  # per cent of the runs

Point = tuple[float, ...]
Floats = NDArray[np.float64]


class Axis(Protocol):
    """One objective of a task."""

    @property
    def name(self) -> str: ...
    @property
    def direction(self) -> str: ...  # minimize, maximize
    @property
    def log(self) -> bool: ...


class Problem(Protocol):
    """What the statistics must know of a task. `reference` and `seed` hold a value for each objective by name.

    `total` is in charged device-seconds, the same for every method.
    """

    @property
    def name(self) -> str: ...
    @property
    def objectives(self) -> Sequence[Axis]: ...
    @property
    def reference(self) -> Mapping[str, float]: ...
    @property
    def seed(self) -> Mapping[str, float]: ...


def point_of(values: Mapping[str, float], problem: Problem) -> Point | None:
    """None where an objective is missing or not finite, or not positive and on a logarithmic scale."""
    found = []
    for axis in problem.objectives:
        value = values.get(axis.name)
        if value is None or not math.isfinite(value) or (axis.log and value <= 0):
            return None
        value = math.log(value) if axis.log else value
        found.append(value if axis.direction == "minimize" else -value)
    return tuple(found)


def values_of(point: Sequence[float], problem: Problem) -> dict[str, float]:
    """The objectives of a point as they are measured."""
    found = {}
    for axis, value in zip(problem.objectives, point, strict=True):
        value = value if axis.direction == "minimize" else -value
        found[axis.name] = math.exp(value) if axis.log else value
    return found


def corner(problem: Problem) -> Point:
    """The reference point. Raises ValueError if a value is missing or not finite, or not positive where it must be."""
    found = point_of(problem.reference, problem)
    if found is None:
        raise ValueError(f"the reference point of task {problem.name} must have a finite value for each objective")
    return found


def nondominated(points: Sequence[Point]) -> list[bool]:
    """Which points no other one dominates; equal ones are all kept."""
    if not points:
        return []
    return [bool(kept) for kept in moocore.is_nondominated(np.array(points), keep_weakly=True)]


def hypervolume(points: Sequence[Point], problem: Problem) -> float:
    """What the points dominate up to the task's reference point; one that is not better than it in all is no credit."""
    return float(moocore.hypervolume(np.array(points), ref=np.array(corner(problem)))) if points else 0.0


def distance(points: Sequence[Point], pooled: Sequence[Point], problem: Problem) -> tuple[float, float]:
    """IGD+ (Ishibuchi et al. 2015) and additive epsilon (Zitzler et al. 2003) of a front to the pooled front.

    A run without a front is taken at the reference point.
    """
    front, ideal = np.array(points or [corner(problem)]), np.array(pooled)
    return float(moocore.igd_plus(front, ref=ideal)), float(moocore.epsilon_additive(front, ref=ideal))


def attainment(fronts: Sequence[Sequence[Point]], problem: Problem) -> dict[int, Floats]:
    """Surfaces that `SURFACES` per cent of the runs attain (Fonseca et al. 2011): points by the first objective.

    A run counts with its front and the reference point: one without a front attains that, and is not left out.
    """
    end = corner(problem)
    points = [point for front in fronts for point in [*_credited(front, end), end]]
    runs = [run for run, front in enumerate(fronts) for _ in [*_credited(front, end), end]]
    found = moocore.eaf(np.array(points), runs, percentiles=SURFACES)
    surfaces = {share: found[found[:, -1] == share][:, :-1] for share in SURFACES}
    return {share: rows[np.argsort(rows[:, 0], kind="stable")] for share, rows in surfaces.items()}


def _credited(front: Sequence[Point], end: Point) -> list[Point]:
    return [point for point in front if all(a < b for a, b in zip(point, end, strict=True))]
