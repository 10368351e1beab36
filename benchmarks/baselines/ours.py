"""The engine as `python -m evolve` runs it."""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup
from evolve.search import ParetoSearch


def setup(given: Given, seed: int) -> Setup:
    search = ParetoSearch(given.plan.objectives, given.population, given.arms, seed)
    return Setup(search, given.operators, given.plan)


METHOD = Method("ours", "NSGA-II on structures with tuned numbers, this project", setup)
