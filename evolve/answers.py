"""What an evaluation that asks about the rest of the population is told. Recorded, so an answer is given once."""

from __future__ import annotations

from dataclasses import replace

from evolve.evaluation import JUMP, Ask
from evolve.history import History
from evolve.proposals import child_of


def answer(history: History, owner: str, ask: Ask) -> bool:
    """Whether the child of `owner` goes on; for `JUMP`, whether its next training is to be an audit."""
    if ask.fitness is None:
        return history.goes_on(ask.name, ask.loss)
    if ask.name != JUMP:
        return history.would_enter(ask.fitness)
    index = int(owner.partition("/")[2])
    child = child_of(history.matings[index], history.proposals[index])
    return history.is_jump(replace(child, verdict="ok", fitness=ask.fitness, losses={"1": (ask.loss,)}))
