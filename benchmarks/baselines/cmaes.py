"""CMA-ES over the numbers of the seed program, on the loss alone.

With margin, which keeps a discrete number from being frozen once the distribution is narrower than its step; choices
are ordered numbers, so integers, and there are no categories. The mean begins at the seed program's numbers, which
every method knows, with a sixth of each range as standard deviation and a population of 4 + floor(3 ln n) for n
numbers (Hansen 2016, "The CMA evolution strategy: a tutorial", table 1; Optuna's defaults). No restarts. A failure has
the worst loss so far, so by rank it is among the last of its generation.
"""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup
from benchmarks.comparison.numbers import OPERATOR, Numbers, Sampled
from benchmarks.comparison.samplers import cma_es


def setup(given: Given, seed: int) -> Setup:
    search = Numbers(given.plan.objectives, given.population, seed)
    return Setup(search, {OPERATOR: Sampled(search, cma_es(), seed)}, given.by_loss)


METHOD = Method("cmaes", "CMA-ES with margin (Hamano et al. 2022) on the seed's numbers, Optuna", setup)
