"""How far a run had come by when, computed anew once some of its gains turn out to be none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evolve.model import Candidate, Objective
from evolve.selection import front, hypervolume

Point = tuple[float, float, float]  # charged seconds, best confirmed loss, hypervolume


def progress(told: Iterable[tuple[Candidate, float]], objectives: Sequence[Objective]) -> list[Point]:
    """A point for each candidate that entered the front when it was told, at the charged seconds given with it.

    `told` are confirmed candidates in the order in which they were told, the seed first; those in quarantine count as
    if they had never been.
    """
    members: list[Candidate] = []
    points: list[Point] = []
    seed = None
    for candidate, charged in told:
        seed = seed or candidate.fitness
        members = front([*members, *([] if candidate.quarantined else [candidate])], objectives)
        if seed and members and any(member is candidate for member in members):
            best = members[0].fitness
            assert best is not None
            points.append((charged, best.values[objectives[0].name].mean, hypervolume(members, objectives, seed)))
    return points
