"""Ours with all trials at the full budget."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.comparison.method import Given, Method, Setup
from evolve.search import ParetoSearch


def setup(given: Given, seed: int) -> Setup:
    search = ParetoSearch(given.plan.objectives, given.population, given.arms, seed)
    return Setup(search, given.operators, replace(given.plan, rungs=(1.0,)))


METHOD = Method("no_rungs", "ours without rungs", setup)
