"""The seed program again and again: what luck with seeds alone would claim."""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup
from benchmarks.comparison.numbers import OPERATOR, Numbers
from evolve.model import Briefing, Mating, Proposal


class Again:
    """An `Operator` that changes nothing."""

    name, arity, mended_by, structural = OPERATOR, 1, "", False

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal:
        parent = mating.parents[0]
        return Proposal(parent.genome, (), "the seed program again", parent.params)


def setup(given: Given, seed: int) -> Setup:
    search = Numbers(given.plan.objectives, given.population, seed)
    return Setup(search, {OPERATOR: Again()}, given.untuned)


METHOD = Method("seed", "the seed program re-run with fresh seeds", setup)
