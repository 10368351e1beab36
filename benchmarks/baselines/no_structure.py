"""Ours with new numbers only."""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup
from evolve.search import ParetoSearch


def setup(given: Given, seed: int) -> Setup:
    arms = {name: arm for name, arm in given.arms.items() if not arm.structural}
    search = ParetoSearch(given.plan.objectives, given.population, arms, seed)
    return Setup(search, {name: given.operators[name] for name in arms}, given.plan)


METHOD = Method("no_structure", "ours without new structures: the seed program is tuned on", setup)
