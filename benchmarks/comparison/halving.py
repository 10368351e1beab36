"""Jobs as ASHA and Hyperband hand them out: a child is one training of one draw at one rung.

A promotion is a child too, of the candidate that is promoted: the same numbers at the next rung. It is trained from the
beginning, as every trial of the engine, and so is charged what a method without checkpoints is.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.comparison.method import Given, Setup
from benchmarks.comparison.numbers import OPERATOR, Again, Numbers, Sampled
from benchmarks.comparison.samplers import RANDOM
from evolve.model import Candidate, Mating, Objective
from evolve.protocols import Operator

PROMOTION = "promotion"


@dataclass(frozen=True)
class Job:
    """`draw` is the index of the child that brought the numbers, `level` that of the rung, 0 for the lowest."""

    draw: int
    level: int

    @property
    def next(self) -> Job:
        return Job(self.draw, self.level + 1)


class Halving(Numbers, ABC):
    """A search of draws that are promoted from rung to rung. `levels` are the rungs, ascending, the last one 1."""

    def __init__(self, objectives: Sequence[Objective], size: int, levels: Sequence[float], seed: int) -> None:
        super().__init__(objectives, size, seed)
        self.levels = tuple(levels)
        self.jobs: dict[int, Job] = {}  # by the index of the child
        self.losses: dict[Job, float] = {}  # of those that ended, infinite for a failure
        self._given: set[Job] = set()
        self._ended: dict[Job, Candidate] = {}

    @abstractmethod
    def promotable(self) -> Job | None:
        """Who is trained at the next rung; None if a new draw is to be."""

    @abstractmethod
    def first_level(self) -> int:
        """Where the next draw is trained first."""

    def ask(self, index: int) -> Mating:
        if job := self.promotable():
            return Mating(index, PROMOTION, (self._ended[job],), None, index)
        return super().ask(index)

    def asked(self, mating: Mating) -> None:
        super().asked(mating)
        promoted = mating.operator == PROMOTION
        job = self.jobs[mating.parents[0].index].next if promoted else Job(mating.index, self.first_level())
        self.jobs[mating.index] = job
        self._given.add(job)

    def tell(self, candidate: Candidate) -> None:
        super().tell(candidate)
        if job := self.jobs.get(candidate.index):
            self._ended[job] = candidate
            self.losses[job] = candidate.losses.get(f"{self.levels[job.level]:g}", (math.inf,))[0]

    def rungs(self, mating: Mating, usual: tuple[float, ...]) -> tuple[float, ...]:
        return (self.levels[self.jobs[mating.index].level],)

    def best(self, jobs: Iterable[Job]) -> list[Job]:
        """Those that ended and did not fail, by loss; of equals the first draw is the first."""
        ended = [job for job in jobs if math.isfinite(self.losses.get(job, math.inf))]
        return sorted(ended, key=lambda job: (self.losses[job], job.draw))

    def waiting(self, jobs: Iterable[Job]) -> Job | None:
        """The first of them that is not at the next rung yet."""
        return next((job for job in jobs if job.next not in self._given), None)


def levels(rungs: Sequence[float], eta: int) -> tuple[float, ...]:
    """1, 1 / eta, 1 / eta^2 ... down to the lowest of the target's rungs, ascending."""
    most = math.floor(math.log(1 / rungs[0], eta) + 1e-9)
    return tuple(float(eta) ** -k for k in range(most, -1, -1))


def setup(given: Given, search: Halving, seed: int) -> Setup:
    """Random draws, and their promotions. The seed program is measured at the target's rungs, as in `ours`."""
    again = Again(PROMOTION, "promoted to the next rung")
    operators: Mapping[str, Operator] = {OPERATOR: Sampled(search, RANDOM, seed), PROMOTION: again}
    return Setup(search, operators, replace(given.plan, tune_trials=0, curve="best"))
