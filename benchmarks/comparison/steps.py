"""Mutation without tuning: a transformation of the catalogue, or a step of some numbers."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from evolve.arms import Arm
from evolve.model import Briefing, Candidate, Mating, Proposal, Rejected
from evolve.protocols import Operator
from evolve.search import ParetoSearch
from evolve.tuner import first_parameters, small_step

OPERATOR = "step"
STRUCTURAL = 0.5  # of the children


class Step:
    """An `Operator`: half of the parent's numbers, at least one, moved by a normal step of 12 % of their range."""

    name, arity, mended_by, structural = OPERATOR, 1, "", False

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        parent = mating.parents[0]
        knobs = parent.genome.knobs
        if not knobs:
            return Rejected("the program has no numbers")
        start = first_parameters(knobs, parent.params)
        return Proposal(parent.genome, (), "a step", start | small_step(knobs, start, Random(mating.seed)))


class Mutating(ParetoSearch):
    """A search whose children have one parent; half of them a new structure by its `arms`, half other numbers."""

    def ask(self, index: int) -> Mating:
        if not self.population:
            raise ValueError("the seed program has to be told before the first ask")
        rng = Random(f"{self._seed}:{index}")
        operator = self.arms.draw(rng) if rng.random() < STRUCTURAL else OPERATOR
        parent = self.parent(rng)
        return Mating(index, operator, (parent,), None, rng.getrandbits(32))

    def parent(self, rng: Random) -> Candidate:
        """Whose child it is. Of the methods that do not say otherwise: the confirmed candidate with the least loss."""
        return self.front[0] if self.front else self.archive["0"]

    def loss(self, candidate: Candidate) -> float:
        """The mean over its seeds, of one that `works`."""
        assert candidate.fitness is not None
        return candidate.fitness.values[self.objectives[0].name].mean


def works(candidate: Candidate) -> bool:
    """Whether it was measured at the full budget and may have children."""
    return candidate.verdict == "ok" and not candidate.quarantined


def with_steps(operators: Mapping[str, Operator], arms: Mapping[str, Arm]) -> dict[str, Operator]:
    """The operators of these arms, and the step."""
    return {name: operators[name] for name in arms} | {OPERATOR: Step()}
