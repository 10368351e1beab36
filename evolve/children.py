"""How a child is evaluated: as its operator and search have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evolve.evaluation import Evaluation, Plan, evaluate
from evolve.history import History
from evolve.model import Genome, Mating, Params
from evolve.protocols import Tuner


def evaluation_of(
    plan: Plan, history: History, mating: Mating, genome: Genome, anchor: Params, tuner: Tuner, seeds: Sequence[int]
) -> Evaluation:
    """The evaluation of a child whose rungs are in the history. `anchor` are its first parameters, `seeds` fresh ones.

    A child with other numbers alone is one training at the full budget, with what the tuner says of its ancestors'
    trainings there: the numbers that are best after a quarter of the budget are not those that are best at its end.
    """
    owner = f"ask/{mating.index}"
    assert history.seed is not None and history.seed.fitness is not None
    target = history.seed.fitness.values[history.loss].mean
    smoke = plan.smoke_seconds if history.search.smokes(mating) else 0.0
    plan = replace(plan, target=target, rungs=history.rungs_of[owner], smoke_seconds=smoke)
    if plan.tune_trials and history.search.numbers_only(mating):
        plan = replace(plan, tune_trials=0, curve="best")
        anchor = tuner.ask(genome.knobs)
    return evaluate(plan, genome, anchor, tuner, seeds, tuner.best)
