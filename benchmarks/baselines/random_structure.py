"""Random search over the structural space: transformations of the catalogue and all numbers at random."""

from __future__ import annotations

from benchmarks.comparison.drawn import OPERATOR, Drawn, FromSeed, uniform
from benchmarks.comparison.method import Given, Method, Setup


def setup(given: Given, seed: int) -> Setup:
    search = FromSeed(given.plan.objectives, given.population, seed)
    drawn = Drawn(given.operators, given.catalogue, uniform)
    return Setup(search, {OPERATOR: drawn}, given.by_loss)


METHOD = Method(
    "random_structure",
    "random search (Li & Talwalkar 2019, without shared weights) over the catalogue and all numbers",
    setup,
)
