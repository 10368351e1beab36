"""Regularised evolution: the best of a sample of the youngest has the next child; who is old leaves."""

from __future__ import annotations

from itertools import islice
from random import Random

from benchmarks.comparison.method import Given, Method, Setup
from benchmarks.comparison.steps import Mutating, with_steps, works
from evolve.model import Candidate

POPULATION = 20  # the paper's are 100 and 25, for 20 000 trainings
SAMPLE = 5


class Ageing(Mutating):
    """A child's parent is the one with the least loss among `SAMPLE` of the `POPULATION` that were measured last."""

    def parent(self, rng: Random) -> Candidate:
        youngest = list(islice(filter(works, reversed(self.archive.values())), POPULATION))
        return min(rng.sample(youngest, min(SAMPLE, len(youngest))), key=self.loss)


def setup(given: Given, seed: int) -> Setup:
    search = Ageing(given.plan.objectives, given.population, given.catalogue, seed)
    return Setup(search, with_steps(given.operators, given.catalogue), given.by_loss)


METHOD = Method(
    "regularised_evolution", "regularised evolution (Real et al. 2019) over the catalogue and steps of numbers", setup
)
