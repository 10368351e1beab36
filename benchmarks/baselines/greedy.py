"""Keep if better: every child is one of the best program so far."""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup
from benchmarks.comparison.steps import Mutating, with_steps


def setup(given: Given, seed: int) -> Setup:
    search = Mutating(given.plan.objectives, given.population, given.catalogue, seed)
    return Setup(search, with_steps(given.operators, given.catalogue), given.by_loss)


METHOD = Method("greedy", "keep if better (the loop of autoresearch) with the catalogue and steps of numbers", setup)
