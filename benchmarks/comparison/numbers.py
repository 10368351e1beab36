"""Numbers for the seed program, whose structure stays: children whose numbers a sampler draws."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Protocol

from evolve.model import Briefing, Candidate, Mating, Objective, Params, Proposal, Rejected
from evolve.search import ParetoSearch

OPERATOR = "numbers"


class Numbers(ParetoSearch):
    """All children are the seed program's.

    `steps` are what a study goes through, in the order of the run's log: the index of a child that was asked for, or a
    candidate that was told.
    """

    def __init__(self, objectives: Sequence[Objective], size: int, seed: int) -> None:
        super().__init__(objectives, size, {}, seed)
        self.steps: list[int | Candidate] = []

    def ask(self, index: int) -> Mating:
        if "0" not in self.archive:
            raise ValueError("the seed program has to be told before the first ask")
        return Mating(index, OPERATOR, (self.archive["0"],), None, index)

    def asked(self, mating: Mating) -> None:
        if mating.operator == OPERATOR:
            self.steps.append(mating.index)

    def tell(self, candidate: Candidate) -> None:
        super().tell(candidate)
        self.steps.append(candidate)


class Again:
    """An `Operator` that changes nothing: its child is the parent's program with the parent's numbers."""

    arity, mended_by, structural = 1, "", False

    def __init__(self, name: str, hypothesis: str) -> None:
        self.name = name
        self._hypothesis = hypothesis

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal:
        parent = mating.parents[0]
        return Proposal(parent.genome, (), self._hypothesis, parent.params)


class Drawing(Protocol):
    """A study under way: numbers for the child with an index, and what became of a candidate."""

    def ask(self, index: int) -> Params: ...

    def tell(self, candidate: Candidate) -> None: ...


class Begins(Protocol):
    """A sampler. Its study begins with the measured seed program, and a seed for its draws."""

    def begin(self, seed: Candidate, objectives: Sequence[Objective], number: int) -> Drawing: ...


class Sampled:
    """An `Operator`: what one study draws that goes through the steps of `search`.

    It does so when a child needs it, up to the ask of that child. So its numbers depend on what had been asked and told
    by then, whatever was told meanwhile, and are the same in a process that goes on with the run: there the study goes
    through the steps of the log again. What is kept here is therefore a function of the log.
    """

    name, arity, mended_by, structural = OPERATOR, 1, "", False

    def __init__(self, search: Numbers, sampler: Begins, seed: int) -> None:
        self._search = search
        self._sampler = sampler
        self._seed = seed
        self._draws: Drawing | None = None
        self._drawn: dict[int, Params] = {}
        self._done = 0  # steps
        self._lock = Lock()

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        with self._lock:
            while mating.index not in self._drawn:
                self._take(self._search.steps[self._done])
                self._done += 1
            numbers = self._drawn[mating.index]
        return Proposal(mating.parents[0].genome, (), "a sampler's numbers", numbers)

    def _take(self, step: int | Candidate) -> None:
        if self._draws is None:
            assert isinstance(step, Candidate), "the seed program is told first"
            self._draws = self._sampler.begin(step, self._search.objectives, self._seed)
        elif isinstance(step, int):
            self._drawn[step] = self._draws.ask(step)
        else:
            self._draws.tell(step)
