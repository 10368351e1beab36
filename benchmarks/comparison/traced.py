"""The trace of a run, from its log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.comparison.trace import Point, Retrained, Trace
from evolve.history import History
from evolve.reports.open import history_of, read_events


def trace_of(
    directory: Path, method: str, task: str, seed: int, total: float, retrained: Sequence[Retrained] = ()
) -> Trace:
    """What the log in `directory` says: a point for each candidate that was told, the seed program first.

    A point has the charge and the wall time at which its candidate was told. `trials` are all that ended or were lost,
    `failures` those of them that were not "ok". Raises `StoreError` or `ConfigError` as `read_events` does.
    """
    events = read_events(directory)
    history = history_of(events[:1])
    points = []
    for event in events[1:]:
        history.replay([event])
        if event.kind == "tell":
            points.append(_point(history, list(history.candidates)[-1]))
    trials = sum(history.statuses.values())
    failures = trials - history.statuses["ok"]
    latency = sum(c.cost.seconds for c in history.candidates.values())
    calls = history.calls
    return Trace(
        method, task, seed, total, tuple(points), tuple(retrained), trials, failures, calls.tokens, calls.usd, latency
    )


def _point(history: History, name: str) -> Point:
    """Of the candidate that was told last. What only some seeds reached has no value."""
    candidate = history.candidates[name]
    fitness = candidate.fitness if candidate.verdict == "ok" and not candidate.quarantined else None
    values = {objective: estimate.mean for objective, estimate in fitness.values.items()} if fitness else {}
    return Point(history.charged, history.wall, name, candidate.verdict, values, candidate.confirmed)
