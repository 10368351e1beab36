"""Ours with a population of one: each child descends from its one survivor, and there are no mates."""

from __future__ import annotations

from random import Random

from benchmarks.comparison.method import Given, Method, Setup
from evolve.model import Candidate
from evolve.search import ParetoSearch


class OneParent(ParetoSearch):
    """Draws no parent from the front either, which it keeps as the answer of the run."""

    def parent(self, rng: Random) -> Candidate:
        return self.population[0]


def setup(given: Given, seed: int) -> Setup:
    search = OneParent(given.plan.objectives, 1, given.arms, seed)
    return Setup(search, given.operators, given.plan)


METHOD = Method("no_population", "ours with a population of one", setup)
