"""What a run is given by the judge, and what it ends with."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Verdict:
    """How a session ended and what was measured."""

    status: str
    reason: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    violation: str = ""
    checks: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Terms:
    """What one run is given: a budget in charged seconds, the share of the full budget that this is, a seed, what
    it is for, and the wall-clock seconds that it may lose besides."""

    budget: float
    rung: float
    seed: int
    purpose: str
    patience: float = 10.0
