"""NSGA-II over the numbers of the seed program, on all objectives of the task.

A population of 20: Optuna's 50 would be some five generations of a run. The rest are Optuna's defaults: uniform
crossover with probability 0.9, one number in a child drawn anew on average. What does not reach the target loss is
infeasible by the difference, as in the engine (Deb 2000); a failure is in no generation.
"""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup
from benchmarks.comparison.numbers import OPERATOR, Numbers, Sampled
from benchmarks.comparison.samplers import nsga2

POPULATION = 20


def setup(given: Given, seed: int) -> Setup:
    search = Numbers(given.plan.objectives, given.population, seed)
    return Setup(search, {OPERATOR: Sampled(search, nsga2(POPULATION), seed)}, given.untuned)


METHOD = Method("nsga2_knobs", "NSGA-II (Deb et al. 2002) on the seed's numbers and all objectives, Optuna", setup)
