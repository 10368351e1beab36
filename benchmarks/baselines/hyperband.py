"""Hyperband over random numbers for the seed program: brackets of successive halving, one after another, repeated.

Algorithm 1 of the paper: with s from s_max = log_eta(1 / lowest rung) to 0, a bracket draws
n = ceil((s_max + 1) / (s + 1) eta^s) and trains them at eta^-s of the budget; the best floor(n / eta) go on with eta
times as much, and so on. A rung ends when all at it have ended, and a failure has the worst loss there. A slot that
would wait begins the next bracket, older ones come first (as in Falkner et al. 2018, BOHB). Eta is 4,
of the 3 or 4 that the paper advises, and the lowest rung a sixteenth of the budget: brackets of 16, 6 and 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import cycle, islice

from benchmarks.comparison import halving
from benchmarks.comparison.halving import ETA, Halving, Job, levels
from benchmarks.comparison.method import Given, Method, Setup
from evolve.model import Mating, Objective


def brackets(most: int, eta: int) -> list[tuple[int, int]]:
    """The first level of each bracket and how many it draws; `most` is s_max, the highest level."""
    return [(most - s, math.ceil((most + 1) * eta**s / (s + 1))) for s in range(most, -1, -1)]


class Hyperband(Halving):
    def __init__(
        self, objectives: Sequence[Objective], size: int, levels: Sequence[float], seed: int, eta: int = ETA
    ) -> None:
        super().__init__(objectives, size, levels, seed, eta)
        self._brackets = brackets(len(levels) - 1, eta)
        self._draws: list[int] = []

    def asked(self, mating: Mating) -> None:
        super().asked(mating)
        if self.jobs[mating.index].draw == mating.index:
            self._draws.append(mating.index)

    def promotable(self) -> Job | None:
        return next((job for begin, draws in self._full() if (job := self._promotable(begin, draws))), None)

    def first_level(self) -> int:
        left = len(self._draws)
        for begin, n in cycle(self._brackets):
            if left < n:
                return begin
            left -= n
        raise AssertionError("brackets are repeated for ever")

    def _full(self) -> Iterator[tuple[int, list[int]]]:
        """The brackets that have all of their draws."""
        draws = iter(self._draws)
        for begin, n in cycle(self._brackets):
            members = list(islice(draws, n))
            if len(members) < n:
                return
            yield begin, members

    def _promotable(self, begin: int, draws: Sequence[int]) -> Job | None:
        jobs = [Job(draw, begin) for draw in draws]
        for level in range(begin, len(self.levels) - 1):
            if any(job not in self.losses for job in jobs):
                return None
            best = self.best(jobs)[: len(draws) // self.eta ** (level - begin + 1)]
            if job := self.waiting(best):
                return job
            jobs = [job.next for job in best]
        return None


def setup(given: Given, seed: int) -> Setup:
    search = Hyperband(given.plan.objectives, given.population, levels(ETA), seed)
    return halving.setup(given, search, seed)


METHOD = Method("hyperband", "Hyperband (Li et al. 2018) on the seed's numbers", setup)
