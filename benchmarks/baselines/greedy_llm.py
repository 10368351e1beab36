"""Keep if better, where a language model edits the best program so far: the loop of autoresearch.

As in the engine the model changes structures only, and half of the children are steps of numbers, as for `greedy`.
"""

from __future__ import annotations

from benchmarks.comparison.method import Given, Method, Setup, without_model
from benchmarks.comparison.steps import OPERATOR, Mutating, Step
from evolve import plugins


def setup(given: Given, seed: int) -> Setup:
    every = plugins.arms_of({plugins.LANGUAGE: 1.0}, {}, given.models)
    arms = {name: arm for name, arm in every.items() if arm.arity == 1}
    search = Mutating(given.plan.objectives, given.population, arms, seed)
    return Setup(search, {OPERATOR: Step()}, given.by_loss, asking=lambda opened: opened.operators)


METHOD = Method(
    "greedy_llm",
    "keep if better (the loop of autoresearch) with a language model and steps of numbers",
    setup,
    without_model,
)
