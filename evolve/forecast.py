"""What a run will cost, said before the first trial.

Shares were measured in 53 runs with the built-in operators, on a recorded table (seeds 1001 to 1053): at first nearly
every child is better than what was seen. A child of `tune`, which costs about half, is counted as any other.
"""

from __future__ import annotations

from dataclasses import dataclass

from evolve.evaluation import FRONT_SEEDS, Plan

OVERHEAD = 1.25  # wall-clock over charged seconds: start-up, evaluation, idle slots at the end
EARLY = 18  # candidates that count as the beginning of a run


@dataclass(frozen=True)
class Shares:
    """How many of the candidates at a rung go on to the next one, and how many of all are confirmed."""

    promoted: float
    confirmed: float


AT_FIRST, LATER = Shares(0.93, 0.43), Shares(0.85, 0.21)
AROUND = 2 * FRONT_SEEDS  # trainings at the rungs around the target, of a child that is confirmed
RUNG_AROUND = 1 / 6  # of the budget: what one of them takes


@dataclass(frozen=True)
class Forecast:
    """Trials, charged seconds and wall-clock seconds."""

    trials: int
    charged: float
    wall: float


def forecast(plan: Plan, candidates: int, slots: int, done: int | None = None, speed: float = 1.0) -> Forecast:
    """Expected cost of `candidates` children after `done` ones, and of the seed if that is None.

    `speed` is how many charged seconds pass in a second of a core.
    """
    early = min(candidates, max(0, EARLY - (done or 0)))
    parts = [(early, *_child(plan, AT_FIRST)), (candidates - early, *_child(plan, LATER))]
    if done is None:
        parts.append((1, float(FRONT_SEEDS * len(plan.rungs)), FRONT_SEEDS * sum(plan.rungs) * plan.budget))
    trials = sum(n * trials for n, trials, _ in parts)
    charged = sum(n * seconds for n, _, seconds in parts)
    return Forecast(round(trials), charged, charged * OVERHEAD / slots / speed)


def _child(plan: Plan, shares: Shares) -> tuple[float, float]:
    """Trials and charged seconds of one child."""
    low, *middle = plan.rungs[:-1]
    jobs = [(float(plan.tune_trials), low)]
    reached = 1.0
    for rung in middle:
        reached *= shares.promoted
        jobs.append((reached, rung))
    reached *= shares.promoted
    jobs += [(reached + (FRONT_SEEDS - 1) * shares.confirmed, 1.0), (AROUND * shares.confirmed, RUNG_AROUND)]
    return sum(n for n, _ in jobs), sum(n * rung for n, rung in jobs) * plan.budget + plan.smoke_seconds
