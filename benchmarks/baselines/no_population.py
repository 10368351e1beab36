"""Ours with a population of one: each child descends from the incumbent, and there are no mates."""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup
from evolve.search import ParetoSearch


def setup(given: Given, seed: int) -> Setup:
    search = ParetoSearch(given.plan.objectives, 1, given.arms, seed)
    return Setup(search, given.operators, given.plan)


METHOD = Method("no_population", "ours with a population of one", setup)
