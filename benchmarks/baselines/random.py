"""Random search over the numbers of the seed program."""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup
from benchmarks.comparison.numbers import OPERATOR, Numbers, Sampled, uniform


def setup(given: Given, seed: int) -> Setup:
    search = Numbers(given.plan.objectives, given.population, seed)
    return Setup(search, {OPERATOR: Sampled(search, uniform, seed)}, given.untuned)


METHOD = Method("random", "random search (Bergstra & Bengio 2012) on the seed's numbers", setup)
