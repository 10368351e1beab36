"""Multi-objective TPE over the numbers of the seed program, on all objectives of the task.

Optuna's defaults, written out: ten trials at random first, each number by itself, the best tenth by rank and then by
hypervolume as good ones, trials under way as bad ones. What does not reach the target loss is infeasible by the
difference, as in the engine (Deb 2000), and worse than all that does; a failure is worse than any.
"""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup
from benchmarks.comparison.numbers import OPERATOR, Numbers, Sampled
from benchmarks.comparison.samplers import motpe

STARTUP = 10


def setup(given: Given, seed: int) -> Setup:
    search = Numbers(given.plan.objectives, given.population, seed)
    return Setup(search, {OPERATOR: Sampled(search, motpe(STARTUP), seed)}, given.untuned)


METHOD = Method(
    "motpe", "multi-objective TPE (Ozaki et al. 2020, 2022) on the seed's numbers and all objectives, Optuna", setup
)
