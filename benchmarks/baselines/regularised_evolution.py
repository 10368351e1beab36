"""Regularised evolution: the best of a sample of the youngest has the next child; who is old leaves.

Algorithm 1 of the paper begins with P individuals drawn uniformly from the search space. There that is architectures,
which are all trained with the same numbers; so here it is one to eight transformations of the catalogue, with the
numbers of the seed program, which only steps change. On the task with a known optimum that does better than numbers
drawn over their ranges. The seed program, which all methods know, is the first of the P. Nobody is waited for, and who
failed is in no sample.
"""

from __future__ import annotations

from itertools import islice
from random import Random

from benchmarks.comparison.drawn import OPERATOR as DRAWN
from benchmarks.comparison.drawn import Drawn, inherited
from benchmarks.comparison.method import Given, Method, Setup
from benchmarks.comparison.steps import Mutating, with_steps, works
from evolve.model import Candidate, Mating

POPULATION = 20  # the paper's are 100 and 25, for 20 000 trainings
SAMPLE = 5


class Ageing(Mutating):
    """A child's parent is the one with the least loss among `SAMPLE` of the `POPULATION` that were measured last."""

    def ask(self, index: int) -> Mating:
        mating = super().ask(index)
        if index >= POPULATION:
            return mating
        return Mating(index, DRAWN, (self.archive["0"],), None, mating.seed)

    def parent(self, rng: Random) -> Candidate:
        youngest = list(islice(filter(works, reversed(self.archive.values())), POPULATION))
        return min(rng.sample(youngest, min(SAMPLE, len(youngest))), key=self.loss)


def setup(given: Given, seed: int) -> Setup:
    search = Ageing(given.plan.objectives, given.population, given.catalogue, seed)
    operators = with_steps(given.operators, given.catalogue)
    drawn = Drawn(given.operators, given.catalogue, inherited, least=1)
    return Setup(search, operators | {DRAWN: drawn}, given.by_loss)


METHOD = Method(
    "regularised_evolution", "regularised evolution (Real et al. 2019) over the catalogue and steps of numbers", setup
)
