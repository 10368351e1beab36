"""Bayesian optimisation with a Gaussian process over the numbers of the seed program, on the loss alone.

Optuna's defaults, written out: ten trials at random first; a Matérn 5/2 kernel with a length scale for each number; the
noise is fitted, as a trial's loss has some; log expected improvement, over trials under way too. A failure has the
worst loss so far.
"""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup
from benchmarks.comparison.numbers import OPERATOR, Numbers, Sampled
from benchmarks.comparison.samplers import gaussian_process

STARTUP = 10


def setup(given: Given, seed: int) -> Setup:
    search = Numbers(given.plan.objectives, given.population, seed)
    return Setup(search, {OPERATOR: Sampled(search, gaussian_process(STARTUP), seed)}, given.by_loss)


METHOD = Method(
    "gp",
    "a Gaussian process with expected improvement (Jones et al. 1998; in logs, Ament et al. 2023) on the seed's "
    "numbers, Optuna",
    setup,
)
