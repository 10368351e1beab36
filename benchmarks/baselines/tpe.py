"""TPE over the numbers of the seed program, on the loss alone.

Optuna's defaults, written out: ten trials at random first, multivariate, trials under way count as bad ones. A failure
is told as pruned, which TPE counts as worse than any loss.
"""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup
from benchmarks.comparison.numbers import OPERATOR, Numbers, Sampled
from benchmarks.comparison.samplers import tpe

STARTUP = 10


def setup(given: Given, seed: int) -> Setup:
    search = Numbers(given.plan.objectives, given.population, seed)
    return Setup(search, {OPERATOR: Sampled(search, tpe(STARTUP), seed)}, given.by_loss)


METHOD = Method(
    "tpe", "TPE (Bergstra et al. 2011; multivariate, Falkner et al. 2018) on the seed's numbers, Optuna", setup
)
