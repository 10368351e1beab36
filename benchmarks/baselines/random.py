"""Random search over the numbers of the seed program: uniform over their ranges, in logs where a knob is in logs."""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup
from benchmarks.comparison.numbers import OPERATOR, Numbers, Sampled
from benchmarks.comparison.samplers import RANDOM


def setup(given: Given, seed: int) -> Setup:
    search = Numbers(given.plan.objectives, given.population, seed)
    return Setup(search, {OPERATOR: Sampled(search, RANDOM, seed)}, given.by_loss)


METHOD = Method("random", "random search (Bergstra & Bengio 2012) on the seed's numbers", setup)
