"""Runs of methods whose quality is known: a task with two objectives, and traces that fall towards a level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.comparison.task import Axis
from benchmarks.comparison.trace import Point, Retrained, Trace

TOTAL = 1000.0
BUDGET = 8.0  # seconds of a trial


@dataclass(frozen=True)
class Problem:
    name: str = "toy"
    objectives: Sequence[Axis] = (Axis("val_bpb"), Axis("seconds_to_target", log=True))
    reference: Mapping[str, float] = field(default_factory=lambda: {"val_bpb": 4.0, "seconds_to_target": BUDGET})
    seed: Mapping[str, float] = field(default_factory=lambda: {"val_bpb": 4.0, "seconds_to_target": BUDGET})


def point(charged: float, bpb: float, seconds: float, name: str = "", confirmed: bool = True) -> Point:
    values = {"val_bpb": bpb, "seconds_to_target": seconds}
    return Point(charged, 1.2 * charged, name or f"{charged:g}", "ok", values, confirmed)


def failed(charged: float) -> Point:
    return Point(charged, charged, f"{charged:g}", "failed", {}, False)


def trace(points: Sequence[Point], retrained: Sequence[Retrained] = (), **other: object) -> Trace:
    failures = sum(p.status == "failed" for p in points)
    facts: dict = {"method": "ours", "task": "toy", "seed": 0, "total": TOTAL, "trials": len(points)}
    facts |= {"failures": failures, "tokens": 0, "usd": 0.0, "latency": 0.0}
    return Trace(points=tuple(points), retrained=tuple(retrained), **(facts | other))


def again(name: str, bpb: Sequence[float], seconds: Sequence[float], **other: Sequence[float]) -> Retrained:
    metrics = {"val_bpb": bpb, "seconds_to_target": seconds, **other}
    return Retrained(name, {metric: list(values) for metric, values in metrics.items()})


def search(method: str, level: float, seed: int, task: str = "toy", optimism: float = 0.02) -> Trace:
    """A run that falls from the seed program's 4.0 to about `level`, with a front of a few members.

    Its first draws are those of all methods with this seed, as paired runs have much in common. What it claims is
    `optimism` better than what fresh seeds say.
    """
    rng = np.random.default_rng([seed, 7])
    shift, times = rng.normal(0, 0.02), np.sort(rng.uniform(10, TOTAL, 30))
    rng = np.random.default_rng([seed, *method.encode()])
    points, members = [], []
    for at in times:
        if rng.random() < 0.1:
            points.append(failed(float(at)))
            continue
        reached = level + shift + (4.0 - level) * float(np.exp(-4 * at / TOTAL)) + rng.exponential(0.02)
        seconds = BUDGET * float(np.exp(-(4.0 - reached) * rng.uniform(0.6, 1.0)))
        points.append(point(float(at), reached - optimism, seconds * (1 - optimism)))
        members.append((points[-1], reached, seconds))
    best = sorted(members, key=lambda member: member[1])[:4]
    fresh = [
        again(
            p.candidate,
            (b + rng.normal(0, 0.01, 5)).tolist(),
            (s * rng.uniform(0.95, 1.05, 5)).tolist(),
            test_bpb=(b + 0.1 + rng.normal(0, 0.01, 5)).tolist(),
        )
        for p, b, s in best
    ]
    return trace(points, fresh, method=method, seed=seed, task=task)
