"""Ours without children of two parents."""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup
from evolve.search import ParetoSearch


def setup(given: Given, seed: int) -> Setup:
    arms = {name: arm for name, arm in given.arms.items() if arm.arity == 1}
    search = ParetoSearch(given.plan.objectives, given.population, arms, seed)
    return Setup(search, {name: given.operators[name] for name in arms}, given.plan)


METHOD = Method("no_crossover", "ours without crossover", setup)
