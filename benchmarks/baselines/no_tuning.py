"""Ours without tuning: a child keeps the numbers that it was made with."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.comparison.method import Given, Method, Setup, Untuned
from evolve.search import ParetoSearch


def setup(given: Given, seed: int) -> Setup:
    arms = {name: arm for name, arm in given.arms.items() if arm.structural}
    search = ParetoSearch(given.plan.objectives, given.population, arms, seed)
    return Setup(search, {name: given.operators[name] for name in arms}, replace(given.plan, tune_trials=1), Untuned)


METHOD = Method("no_tuning", "ours without tuning", setup)
