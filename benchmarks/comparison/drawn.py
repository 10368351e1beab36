"""Points of the structural space at random: the seed program after some transformations of the catalogue, and numbers.

The genes of a program are the transformations that it went through. Each is drawn by the shares of the task's catalogue
and applied to what the ones before it left, as the operators of all methods do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random

from evolve.arms import Arm, Arms
from evolve.model import Briefing, Edit, Knob, Mating, Number, Objective, Params, Proposal, Rejected
from evolve.proposals import child_of
from evolve.protocols import Operator
from evolve.search import ParetoSearch
from evolve.tuner import decoded, first_parameters

OPERATOR = "drawn"
MOST_EDITS = 8
NewNumbers = Callable[[Sequence[Knob], Params, Random], Params]


class Drawn:
    """An `Operator`: a number of transformations drawn uniformly from `least` to `MOST_EDITS`, one after another.

    `numbers` makes the child's numbers of its knobs and those it inherited. Which transformations are drawn depends on
    no gain: `arms` are told nothing.
    """

    name, arity, mended_by = OPERATOR, 1, ""

    def __init__(
        self, operators: Mapping[str, Operator], arms: Mapping[str, Arm], numbers: NewNumbers, least: int = 0
    ) -> None:
        self._operators = operators
        self._arms = Arms(arms)
        self._numbers = numbers
        self._least = least

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        rng = Random(mating.seed)
        seed = mating.parents[0]
        made = Proposal(seed.genome, (), "the seed program", seed.params)
        edits: list[Edit] = []
        for _ in range(rng.randint(self._least, MOST_EDITS)):
            name = self._arms.draw(rng)
            parent = replace(child_of(mating, made), params=made.anchor)
            next_one = self._operators[name].propose(
                Mating(mating.index, name, (parent,), None, rng.getrandbits(32)), briefing
            )
            if isinstance(next_one, Rejected):
                return next_one
            made = next_one
            edits += made.edits
        numbers = self._numbers(made.genome.knobs, made.anchor, rng)
        return Proposal(made.genome, tuple(edits), f"{len(edits)} edits at random", numbers)


class FromSeed(ParetoSearch):
    """A search whose children are all made of the seed program by `OPERATOR`."""

    def __init__(self, objectives: Sequence[Objective], size: int, seed: int) -> None:
        super().__init__(objectives, size, {}, seed)

    def ask(self, index: int) -> Mating:
        if "0" not in self.archive:
            raise ValueError("the seed program has to be told before the first ask")
        return Mating(index, OPERATOR, (self.archive["0"],), None, Random(f"{self._seed}:{index}").getrandbits(32))


def inherited(knobs: Sequence[Knob], anchor: Params, rng: Random) -> Params:
    """The numbers that the child was made with."""
    return first_parameters(knobs, anchor)


def uniform(knobs: Sequence[Knob], anchor: Params, rng: Random) -> Params:
    """Each number uniform over its range, on a logarithmic scale where the knob has one."""
    return {k.address: _uniform(k, rng) for k in knobs}


def _uniform(knob: Knob, rng: Random) -> Number:
    if knob.kind == "choice":
        return rng.choice(knob.values)
    if knob.log:
        return decoded(knob, math.exp(rng.uniform(math.log(knob.low), math.log(knob.high))))
    return (
        rng.randint(int(knob.low), int(knob.high))
        if knob.kind == "int"
        else decoded(knob, rng.uniform(knob.low, knob.high))
    )
