"""Independent samples, then tuning: what is left of the project without evolution.

Until half of the total is charged, children are made of the seed program by one to eight transformations of the
catalogue and keep its numbers; none is made of another. From then on the best is trained with other numbers, which the
project's tuner draws from all trainings of that structure. Every child is one trial at the full budget.
"""

from __future__ import annotations

from random import Random
from statistics import fmean

from benchmarks.comparison.drawn import OPERATOR as DRAWN
from benchmarks.comparison.drawn import Drawn, inherited
from benchmarks.comparison.method import Given, Method, Setup
from evolve.model import Briefing, Candidate, Mating, Proposal, Rejected
from evolve.protocols import Operator
from evolve.search import ParetoSearch
from evolve.tuner import Study, TpeTuner

TUNED = "tuned"
SHARE = 0.5  # of the total, for the samples


class Halves(ParetoSearch):
    """The charge says which half it is; a child under way counts with what others cost on average.

    A sample that comes later may still be the best.
    """

    def __init__(self, given: Given, seed: int) -> None:
        super().__init__(given.plan.objectives, given.population, {}, seed)
        self._sampling = SHARE * given.total

    def ask(self, index: int) -> Mating:
        if "0" not in self.archive:
            raise ValueError("the seed program has to be told before the first ask")
        sampling = self._charge(index) < self._sampling
        parent = self.archive["0"] if sampling or not self.front else self.front[0]
        number = Random(f"{self._seed}:{index}").getrandbits(32)
        return Mating(index, DRAWN if sampling else TUNED, (parent,), None, number)

    def _charge(self, index: int) -> float:
        """Expected, of all children that were asked for before this one, and the seed program."""
        seed, *children = (candidate.seconds for candidate in self.archive.values())
        return seed + (index - 1) * fmean(children) if children else seed


class Tuned:
    """An `Operator`: the parent with the numbers that a `TpeTuner` says, given all trainings of its structure."""

    name, arity, mended_by, structural = TUNED, 1, "", False

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        parent, loss = mating.parents[0], briefing.objectives[0].name
        knobs = parent.genome.knobs
        if not knobs:
            return Rejected("the program has no numbers")
        same = [c for c in briefing.candidates if c.genome.key == parent.genome.key]
        study = Study(tuple((c.params, _loss(c, loss)) for c in same if c.verdict in ("ok", "failed")))
        tuner = TpeTuner(parent.params, study, mating.seed)
        return Proposal(parent.genome, (), "the best sample with other numbers", tuner.ask(knobs))


def _loss(candidate: Candidate, name: str) -> float | None:
    return candidate.fitness.values[name].mean if candidate.fitness else None


def setup(given: Given, seed: int) -> Setup:
    operators: dict[str, Operator] = {
        DRAWN: Drawn(given.operators, given.catalogue, inherited, least=1),
        TUNED: Tuned(),
    }
    return Setup(Halves(given, seed), operators, given.by_loss)


METHOD = Method(
    "independent",
    "independent samples of the catalogue for half of the total, then the best is tuned",
    setup,
    by_total=True,
)
