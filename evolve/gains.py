"""The front over time, and how far a run had come by when: anew, once some of its gains turn out to be none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from evolve.model import Candidate, Objective
from evolve.selection import front, hypervolume

Point = tuple[float, float, float]  # charged seconds, best confirmed loss, hypervolume


def fronts(told: Iterable[Candidate], objectives: Sequence[Objective]) -> Iterator[tuple[Candidate, list[Candidate]]]:
    """Each candidate in the order in which they were told, with the front after it.

    As if those in quarantine had never been. Who is among the members with whom it comes entered when it was told.
    """
    members: list[Candidate] = []
    for candidate in told:
        if candidate.confirmed and not candidate.quarantined:
            members = front([*members, candidate], objectives)
        yield candidate, members


def progress(told: Iterable[tuple[Candidate, float]], objectives: Sequence[Objective]) -> list[Point]:
    """A point for each candidate that entered the front when it was told, at the charged seconds given with it.

    `told` are confirmed candidates in the order in which they were told, the seed first; those in quarantine count as
    if they had never been.
    """
    told = list(told)
    points: list[Point] = []
    seed = None
    for (candidate, members), (_, charged) in zip(fronts((c for c, _ in told), objectives), told, strict=True):
        seed = seed or candidate.fitness
        if seed and members and any(member is candidate for member in members):
            best = members[0].fitness
            assert best is not None
            points.append((charged, best.values[objectives[0].name].mean, hypervolume(members, objectives, seed)))
    return points
