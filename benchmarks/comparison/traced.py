"""The trace of a run, from its log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.comparison.trace import Point, Retrained, Trace
from evolve.model import Candidate
from evolve.reports.open import history_of, read_events

QUARANTINED = "quarantined"  # the status of a point whose candidate is out of the search for a proven violation


def trace_of(
    directory: Path, method: str, task: str, seed: int, total: float, retrained: Sequence[Retrained] = ()
) -> Trace:
    """What the log in `directory` says: a point for each candidate that was told, the seed program first.

    A point has the charge and the wall time at which its candidate was told, and what the candidate is at the log's
    end: one that is in quarantine then has claimed nothing, whenever the violation was proven. `trials` are all that
    ended or were lost, `failures` those of them that were not "ok". Raises `StoreError` or `ConfigError` as
    `read_events` does.
    """
    events = read_events(directory)
    history = history_of(events[:1])
    told: list[tuple[str, float, float]] = []  # candidate, charge, wall time
    for event in events[1:]:
        history.replay([event])
        if event.kind == "tell":
            told.append((list(history.candidates)[-1], history.charged, history.wall))
    points = [_point(history.candidates[name], charged, wall) for name, charged, wall in told]
    trials = sum(history.statuses.values())
    failures = trials - history.statuses["ok"]
    latency = sum(c.cost.seconds for c in history.candidates.values())
    calls = history.calls
    return Trace(
        method, task, seed, total, tuple(points), tuple(retrained), trials, failures, calls.tokens, calls.usd, latency
    )


def _point(candidate: Candidate, charged: float, wall: float) -> Point:
    """What only some seeds reached has no value."""
    if candidate.quarantined:
        return Point(charged, wall, candidate.id, QUARANTINED, {}, False)
    fitness = candidate.fitness if candidate.verdict == "ok" else None
    values = {objective: estimate.mean for objective, estimate in fitness.values.items()} if fitness else {}
    return Point(charged, wall, candidate.id, candidate.verdict, values, candidate.confirmed)
