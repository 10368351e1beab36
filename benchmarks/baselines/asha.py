"""Random search with early stopping: a child has to be in the better half at each rung to go on."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.comparison.method import Given, Method, Setup, Untuned
from benchmarks.comparison.numbers import OPERATOR, Numbers, Sampled, uniform


def setup(given: Given, seed: int) -> Setup:
    search = Numbers(given.plan.objectives, given.population, seed)
    plan = replace(given.plan, tune_trials=1)
    return Setup(search, {OPERATOR: Sampled(search, uniform, seed)}, plan, Untuned)


METHOD = Method(
    "asha", "random search on the seed's numbers, halved at each rung in the manner of ASHA (Li et al. 2020)", setup
)
