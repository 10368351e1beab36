"""Who is better: Deb's rule, non-dominated rank, crowding distance, the Pareto front and its hypervolume.

Works on candidates that have a fitness; a failed one has none and never gets here. The only file that imports deap
and moocore.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby

import moocore
import numpy as np
from deap import base
from deap.tools import emo

from evolve.model import Candidate, Estimate, Fitness, Objective
from evolve.objectives import SECONDS_TO_TARGET

FAMILY_LIMIT = 2  # survivors with the same skeleton


def ranked(
    candidates: Sequence[Candidate], objectives: Sequence[Objective], children: Mapping[str, int]
) -> list[Candidate]:
    """Best first: feasible before infeasible (Deb 2000); then rank, crowding (Deb et al. 2002), fewer children."""
    order: list[Candidate] = []
    for front in _fronts([_box(c, objectives) for c in candidates if c.fitness and c.fitness.feasible]):
        front.sort(key=lambda b: (-b.fitness.crowding_dist, children.get(b.candidate.id, 0), b.candidate.index))
        order += [box.candidate for box in front]
    infeasible = [c for c in candidates if c.fitness and not c.fitness.feasible]
    return order + sorted(infeasible, key=lambda c: (c.fitness.violation if c.fitness else 0.0, c.index))


def survivors(
    candidates: Sequence[Candidate], objectives: Sequence[Objective], children: Mapping[str, int], size: int
) -> list[Candidate]:
    """The best `size` candidates, at most `FAMILY_LIMIT` of one skeleton, best first."""
    kept: list[Candidate] = []
    family: Counter[str] = Counter()
    for candidate in ranked(candidates, objectives, children):
        if family[candidate.genome.skeleton] < FAMILY_LIMIT and len(kept) < size:
            family[candidate.genome.skeleton] += 1
            kept.append(candidate)
    return kept


def front(candidates: Sequence[Candidate], objectives: Sequence[Objective]) -> list[Candidate]:
    """The confirmed, feasible, non-dominated candidates, in order of the first objective."""
    members = [c for c in candidates if c.confirmed and c.fitness and c.fitness.feasible]
    if not members:
        return []
    points = np.array([minimised(c.fitness, objectives) for c in members if c.fitness])
    keep = moocore.is_nondominated(points, keep_weakly=True)
    chosen = [c for c, kept in zip(members, keep, strict=True) if kept]
    return sorted(chosen, key=lambda c: minimised(c.fitness, objectives) if c.fitness else ())


def would_enter(fitness: Fitness, members: Sequence[Candidate], objectives: Sequence[Objective], margin: float) -> bool:
    """Whether no member of the front is at least as good in every objective, or within `margin` of noise as good.

    Noise is the standard error of a difference, sd * sqrt(1/n + 1/m) for means over n and m trainings, with the sd of
    one training pooled over the members; of seconds it is relative.
    """
    rivals = [c.fitness for c in members if c.fitness]
    if not fitness.feasible or not rivals:
        return fitness.feasible
    own, *others = (_point(f, objectives) for f in (fitness, *rivals))
    n, *ms = ([f.values[o.name].n for o in objectives] for f in (fitness, *rivals))
    variance = np.mean([[_variance(f.values[o.name], o) for o in objectives] for f in rivals], axis=0)
    noise = np.sqrt(variance * (1 / np.array(n) + 1 / np.array(ms)))
    return not bool((np.array(others) <= np.array(own) + margin * noise).all(axis=1).any())


def _variance(estimate: Estimate, objective: Objective) -> float:
    """Of one training; of seconds that of their logarithm."""
    scale = estimate.mean if objective.name == SECONDS_TO_TARGET else 1.0
    return estimate.n * ((estimate.sem or 0.0) / scale) ** 2


def hypervolume(members: Sequence[Candidate], objectives: Sequence[Objective], reference: Fitness) -> float:
    """Hypervolume dominated by `members`, with the seed's fitness as reference; seconds in natural log."""
    if not members:
        return 0.0
    corner = _point(reference, objectives)
    points = [_point(c.fitness, objectives) for c in members if c.fitness]
    return float(moocore.hypervolume(np.array(points), ref=np.array(corner)))


def minimised(fitness: Fitness | None, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Means in declared order, with the sign turned where more is better. Raises ValueError if one is not finite."""
    assert fitness is not None
    means = tuple(fitness.values[o.name].mean * (1 if o.direction == "minimize" else -1) for o in objectives)
    if not all(math.isfinite(m) for m in means):
        raise ValueError(f"a fitness must be finite, not {means}")
    return means


def _point(fitness: Fitness, objectives: Sequence[Objective]) -> list[float]:
    """Means to be minimised; of seconds their natural log."""
    means = minimised(fitness, objectives)
    return [math.log(v) if o.name == SECONDS_TO_TARGET else v for v, o in zip(means, objectives, strict=True)]


class _Box:
    """A candidate in the clothes that deap expects."""

    def __init__(self, candidate: Candidate, fitness: base.Fitness) -> None:
        self.candidate = candidate
        self.fitness = fitness


@cache
def _minimise(n: int) -> type[base.Fitness]:
    """A deap fitness of `n` objectives to be minimised; deap wants the weights as a class attribute."""
    return type("Minimise", (base.Fitness,), {"weights": (-1.0,) * n})


def _box(candidate: Candidate, objectives: Sequence[Objective]) -> _Box:
    return _Box(candidate, _minimise(len(objectives))(minimised(candidate.fitness, objectives)))


def _fronts(boxes: list[_Box]) -> list[list[_Box]]:
    """By rank, best first, each with its crowding distances. With one objective equals share a rank, none is crowded.

    deap sorts and measures two objectives or more (`sortLogNondominated` fails with one).
    """
    if boxes and len(boxes[0].fitness.values) == 1:
        for box in boxes:
            box.fitness.crowding_dist = 0.0
        boxes.sort(key=lambda box: box.fitness.values)
        return [list(equals) for _, equals in groupby(boxes, key=lambda box: box.fitness.values)]
    found: list[list[_Box]] = emo.sortLogNondominated(boxes, len(boxes)) if boxes else []
    for front in found:
        emo.assignCrowdingDist(front)
    return found
