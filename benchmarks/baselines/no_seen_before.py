"""Ours without the filter that refuses structures seen before."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.comparison.method import Given, Method, Setup
from evolve.search import ParetoSearch


def setup(given: Given, seed: int) -> Setup:
    search = ParetoSearch(given.plan.objectives, given.population, given.arms, seed)
    return Setup(search, given.operators, replace(given.plan, seen="nothing"))


METHOD = Method("no_seen_before", "ours without the seen-before filter: a known structure is measured again", setup)
