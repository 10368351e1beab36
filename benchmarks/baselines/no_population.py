"""Ours with a population of one, the incumbent: each child descends from it, and there are no mates."""

from __future__ import annotations

from random import Random

from benchmarks.comparison.method import Given, Method, Setup
from evolve.model import Candidate
from evolve.search import ParetoSearch


class OneParent(ParetoSearch):
    """Whoever NSGA-II would have in a population of one, the incumbent is the parent."""

    def parent(self, rng: Random) -> Candidate:
        assert self.incumbent is not None, "the seed program was told"
        return self.incumbent

    def _mates(self, parent: Candidate) -> list[Candidate]:
        return []


def setup(given: Given, seed: int) -> Setup:
    search = OneParent(given.plan.objectives, 1, given.arms, seed)
    return Setup(search, given.operators, given.plan)


METHOD = Method("no_population", "ours with a population of one", setup)
