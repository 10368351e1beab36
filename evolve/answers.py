"""What an evaluation that asks about the rest of the population is told. Recorded, so an answer is given once."""

from __future__ import annotations

from evolve.evaluation import Ask, of_front
from evolve.history import History


def answer(history: History, ask: Ask) -> bool:
    """Whether a candidate goes on."""
    if not of_front(ask.name):
        return history.goes_on(ask.name, ask.loss)
    return history.would_enter(ask.fitness) if ask.fitness else history.is_best(ask.loss)
