"""The seed program again and again: what luck with seeds alone would claim."""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup
from benchmarks.comparison.numbers import OPERATOR, Again, Numbers


def setup(given: Given, seed: int) -> Setup:
    search = Numbers(given.plan.objectives, given.population, seed)
    return Setup(search, {OPERATOR: Again(OPERATOR, "the seed program again")}, given.untuned)


METHOD = Method("seed", "the seed program re-run with fresh seeds", setup)
