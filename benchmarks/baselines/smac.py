"""SMAC3 over the numbers of the seed program, on the loss alone: `python -m benchmarks.smac` makes its environment.

The facade for hyperparameters as it is by default (random forest, expected improvement in logs), but for an initial
design of ten points, which is what TPE and the Gaussian process begin with. A failure has the worst loss so far.
"""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup
from benchmarks.comparison.numbers import OPERATOR, Numbers, Sampled
from benchmarks.smac.draws import Smac, SmacError, without_smac
from evolve.model import Briefing, Mating, Proposal, Rejected

STARTUP = 10


class Asked(Sampled):
    """Without its process there are no numbers: the run ends."""

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        try:
            return super().propose(mating, briefing)
        except SmacError as error:
            return Rejected(str(error), ends="run")


def setup(given: Given, seed: int) -> Setup:
    search = Numbers(given.plan.objectives, given.population, seed)
    return Setup(search, {OPERATOR: Asked(search, Smac(STARTUP), seed)}, given.by_loss)


METHOD = Method(
    "smac", "SMAC3 (Lindauer et al. 2022) on the seed's numbers, in an environment of its own", setup, without_smac
)
