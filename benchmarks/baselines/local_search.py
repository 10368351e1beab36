"""Local search: a child of where the climb stands is the next place as soon as it is better.

As White, Nolen & Savani 2021 have it, in the variant that moves to the first better neighbour and begins anew at a
local optimum, from the best of ten points at random. A neighbour is one transformation of the catalogue or one step of
numbers away; there is no end of steps, so a place counts as a local optimum when `NEIGHBOURS` were no better. The first
climb begins at the seed program, which all methods know.
"""

from __future__ import annotations

from random import Random

from benchmarks.comparison.drawn import OPERATOR as DRAWN
from benchmarks.comparison.drawn import Drawn, uniform
from benchmarks.comparison.method import Given, Method, Setup
from benchmarks.comparison.steps import Mutating, with_steps, works
from evolve.model import Candidate, Mating

NEIGHBOURS = 50
STARTS = 10  # the paper's


class Climbing(Mutating):
    """Where it stands follows from the archive, in the order in which its candidates were told."""

    def ask(self, index: int) -> Mating:
        if "0" in self.archive and self.place() is None:
            return Mating(index, DRAWN, (self.archive["0"],), None, Random(f"{self._seed}:{index}").getrandbits(32))
        return super().ask(index)

    def parent(self, rng: Random) -> Candidate:
        place = self.place()
        assert place is not None
        return place

    def place(self) -> Candidate | None:
        """The best of the present climb; None while its starting points are measured.

        A child counts for the climb that its parent belongs to: what comes in late changes no other.
        """
        seed, *rest = self.archive.values()
        place: Candidate | None = seed
        climb, starts, worse = {seed.id}, list[Candidate](), 0
        for candidate in rest:
            if place is None:
                starts += [candidate] if candidate.operator == DRAWN else []
                able = [start for start in starts if works(start)]
                if len(starts) >= STARTS and able:
                    place = min(able, key=self.loss)
                    climb, starts, worse = {place.id}, [], 0
            elif candidate.parents[0] in climb:
                climb.add(candidate.id)
                if works(candidate) and self.loss(candidate) < self.loss(place):
                    place, worse = candidate, 0
                else:
                    worse += 1
                    place = place if worse < NEIGHBOURS else None
        return place


def setup(given: Given, seed: int) -> Setup:
    search = Climbing(given.plan.objectives, given.population, given.catalogue, seed)
    operators = with_steps(given.operators, given.catalogue)
    return Setup(
        search,
        operators | {DRAWN: Drawn(given.operators, given.catalogue, uniform)},
        given.by_loss,
    )


METHOD = Method(
    "local_search", "local search (White et al. 2021) over the catalogue and steps of numbers, with restarts", setup
)
