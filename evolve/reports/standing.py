"""Where a candidate stands among those that were measured at the full budget, and which one of a front to pick."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from evolve.config import ConfigError
from evolve.history import History
from evolve.model import Candidate, Objective
from evolve.selection import minimised

Standing = Literal["front", "dominated", "unconfirmed", "infeasible", "quarantined"]
STANDINGS: tuple[Standing, ...] = ("front", "unconfirmed", "dominated", "infeasible", "quarantined")
NEGLIGIBLE = 1e-9  # of a normalised distance


def standing(history: History, candidate: Candidate) -> Standing | None:
    """None for one that has no fitness.

    Unconfirmed: it was trained with fewer than three seeds, and no member of the front is as good in everything, within
    noise. Those that are dominated, or within noise of it, were mostly trained once, since that was enough to know.
    """
    if candidate.quarantined:
        return "quarantined"
    if candidate.fitness is None:
        return None
    if not candidate.fitness.feasible:
        return "infeasible"
    if any(member.id == candidate.id for member in history.front):
        return "front"
    return "unconfirmed" if not candidate.confirmed and history.would_enter(candidate.fitness) else "dominated"


def measured(history: History) -> list[Candidate]:
    """All that were measured at the full budget, those in quarantine and the seed included, by standing."""
    found = [(standing(history, c), c) for c in history.candidates.values() if c.fitness]
    return [c for _, c in sorted(found, key=lambda pair: (STANDINGS.index(pair[0] or "dominated"), pair[1].index))]


def being_confirmed(history: History) -> dict[str, tuple[float, int]]:
    """Would-be members of the front that are not told yet, by id: mean loss so far, and of how many trainings."""
    asked = set(history.confirming)
    losses: dict[str, list[float]] = {}
    for (owner, n), outcome in history.outcomes.items():
        full = owner in asked and history.trials[owner, n].rung == 1.0
        if full and outcome.status == "ok" and history.trials[owner, n].purpose != "tune":
            losses.setdefault(owner.removeprefix("ask/"), []).append(outcome.metrics[history.loss])
    return {name: (fmean(values), len(values)) for name, values in losses.items()}


def knee(members: Sequence[Candidate], objectives: Sequence[Objective]) -> tuple[Candidate, str]:
    """The member of a front with two objectives from which on a gain in one costs most in the other, and why it is.

    Both are normalised to 0..1 over the members; the knee is the one farthest from the line through the two extremes,
    on the side of the ideal (Das 1999, Structural Optimization 18, 107-115: the maximum bulge of the front). One
    member is its own knee. Of two, and where none lies before the line, it is the one with the better first objective.
    Raises `ConfigError` for no members, and for more than two objectives.
    """
    if not members:
        raise ConfigError("there is no front yet to take a knee from")
    if len(objectives) > 2:
        names = ", ".join(o.name for o in objectives)
        raise ConfigError(f"a knee is taken of two objectives; this run has {len(objectives)} ({names})")
    points = [minimised(c.fitness, objectives) for c in members]
    best = min(zip(points, members, strict=True), key=lambda pair: pair[0][0])[1]
    if len(members) == 1:
        return best, "the only one there is"
    scaled = [_normalised(values) for values in zip(*points, strict=True)]
    bulges = [(1 - sum(values)) / math.sqrt(2) for values in zip(*scaled, strict=True)]
    if len(objectives) < 2 or max(bulges) < NEGLIGIBLE:
        return best, f"none lies before the line through the extremes, so it is the best {objectives[0].name}"
    bulge, chosen = max(zip(bulges, members, strict=True), key=lambda pair: (pair[0], -pair[1].index))
    return chosen, f"{bulge:.2f} before the line through the extremes, both objectives scaled to 0..1"


def _normalised(values: Sequence[float]) -> list[float]:
    low, span = min(values), max(values) - min(values)
    return [(v - low) / span if span else 0.0 for v in values]
