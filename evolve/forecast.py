"""What a run will cost, said before the first trial. Shares are those of successive halving, not measurements."""

from __future__ import annotations

from dataclasses import dataclass

from evolve.evaluation import FRONT_SEEDS, Plan

OVERHEAD = 1.25  # wall-clock over charged seconds: start-up, evaluation, idle slots at the end
ENTERS = 0.1  # share of candidates that are confirmed


@dataclass(frozen=True)
class Forecast:
    """Trials, charged seconds and wall-clock seconds."""

    trials: int
    charged: float
    wall: float


def forecast(plan: Plan, candidates: int, slots: int, seed: bool = True, speed: float = 1.0) -> Forecast:
    """Expected cost of the seed, unless it is done, and of `candidates` children; half are promoted at each rung.

    `speed` is how many charged seconds pass in a second of a core.
    """
    low, *middle = plan.rungs[:-1]
    jobs = [(plan.tune_trials, low, 1.0)]
    share = 1.0
    for rung in middle:
        share /= 2
        jobs.append((3, rung, share))
    share /= 2
    jobs += [(1, rung, share) for rung in plan.rungs]
    jobs += [(FRONT_SEEDS - 1, rung, ENTERS) for rung in plan.rungs]
    trials = sum(n * share for n, _, share in jobs)
    seconds = sum(n * rung * share for n, rung, share in jobs) * plan.budget + plan.smoke_seconds
    seeds = FRONT_SEEDS if seed else 0
    charged = seeds * sum(plan.rungs) * plan.budget + candidates * seconds
    return Forecast(round(seeds * len(plan.rungs) + candidates * trials), charged, charged * OVERHEAD / slots / speed)
