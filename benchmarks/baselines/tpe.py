"""TPE over the numbers of the seed program, on the loss alone."""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup
from benchmarks.comparison.numbers import OPERATOR, Numbers, Sampled, tpe


def setup(given: Given, seed: int) -> Setup:
    search = Numbers(given.plan.objectives, given.population, seed)
    return Setup(search, {OPERATOR: Sampled(search, tpe, seed)}, given.untuned)


METHOD = Method(
    "tpe", "TPE (Bergstra et al. 2011; multivariate, Falkner et al. 2018) on the seed's numbers, Optuna", setup
)
