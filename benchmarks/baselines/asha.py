"""ASHA over random numbers for the seed program: whoever is in the top 1 / eta of its rung goes on to the next.

Algorithm 2 of the paper: a free slot promotes from the highest rung that has somebody to promote, else it is given a
new draw at the lowest. Nobody is waited for, and who was not promoted may be later. Eta is the paper's, 4, and the
rungs are a sixteenth of the budget, a quarter and all of it. What fails reaches no rung and does not count at it. The
seed program is no draw, and competes with none.
"""

from __future__ import annotations

from benchmarks.comparison import halving
from benchmarks.comparison.halving import ETA, Halving, Job, levels
from benchmarks.comparison.method import Given, Method, Setup


class Asha(Halving):
    def promotable(self) -> Job | None:
        for level in reversed(range(len(self.levels) - 1)):
            seen = self.best(job for job in self.jobs.values() if job.level == level)
            if job := self.waiting(seen[: len(seen) // self.eta]):
                return job
        return None

    def first_level(self) -> int:
        return 0


def setup(given: Given, seed: int) -> Setup:
    search = Asha(given.plan.objectives, given.population, levels(ETA), seed)
    return halving.setup(given, search, seed)


METHOD = Method("asha", "random search on the seed's numbers with early stopping by ASHA (Li et al. 2020)", setup)
