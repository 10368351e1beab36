"""Jobs as ASHA and Hyperband hand them out: a child is one training of one draw at one rung.

A promotion is a child too, of the candidate that is promoted: the same numbers at the next rung. It is trained from the
beginning, as every trial of the engine, and so is charged what a method without checkpoints is. It has no smoke test,
which it passed at the rung before; nor has a draw at the lowest rung, which is one.

The rungs are not the target's, between which a search that stops early could gain little: they go down to where the
engine itself trains, a sixteenth of the budget, by the factor of four of ASHA's paper.
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
from evolve.objectives import LOWEST_RUNG
from evolve.protocols import Operator

PROMOTION = "promotion"
ETA = 4


@dataclass(frozen=True)
class Job:
    """`draw` is the index of the child that brought the numbers, `level` that of the rung, 0 for the lowest."""

    draw: int
    level: int

    @property
    def next(self) -> Job:
        return Job(self.draw, self.level + 1)


class Halving(Numbers, ABC):
    """A search of draws that are promoted from rung to rung, one in `eta`.

    `levels` are the rungs, ascending, the last one 1.
    """

    def __init__(
        self, objectives: Sequence[Objective], size: int, levels: Sequence[float], seed: int, eta: int = ETA
    ) -> None:
        super().__init__(objectives, size, seed)
        self.levels = tuple(levels)
        self.eta = eta
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

    def smokes(self, mating: Mating) -> bool:
        return mating.operator != PROMOTION and self.jobs[mating.index].level > 0

    def best(self, jobs: Iterable[Job]) -> list[Job]:
        """Those that ended and did not fail, by loss; of equals the first draw is the first."""
        ended = [job for job in jobs if math.isfinite(self.losses.get(job, math.inf))]
        return sorted(ended, key=lambda job: (self.losses[job], job.draw))

    def waiting(self, jobs: Iterable[Job]) -> Job | None:
        """The first of them that is not at the next rung yet."""
        return next((job for job in jobs if job.next not in self._given), None)


def levels(eta: int, lowest: float = LOWEST_RUNG) -> tuple[float, ...]:
    """1, 1 / eta, 1 / eta^2 ... as far as it is not below `lowest`, ascending."""
    most = math.floor(math.log(1 / lowest, eta) + 1e-9)
    return tuple(float(eta) ** -k for k in range(most, -1, -1))


def setup(given: Given, search: Halving, seed: int) -> Setup:
    """Random draws, and their promotions. The seed program is measured at the same rungs."""
    again = Again(PROMOTION, "promoted to the next rung")
    operators: Mapping[str, Operator] = {OPERATOR: Sampled(search, RANDOM, seed), PROMOTION: again}
    return Setup(search, operators, replace(given.plan, rungs=search.levels, tune_trials=0, curve="best"))
