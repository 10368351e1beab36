"""Children in the making: an operator's work in a thread, what it may return, what is known of a child by then."""

from __future__ import annotations

import math
import time
from concurrent.futures import Future
from dataclasses import replace
from threading import Thread
from typing import Literal

from evolve.model import Briefing, Candidate, Genome, Mating, Params, Proposal, Rejected
from evolve.protocols import Operator
from evolve.tuner import first_parameters

Made = Proposal | Rejected
Seen = Literal["structure", "numbers", "nothing"]  # what makes a child one that was seen before


def start(operator: Operator, mating: Mating, briefing: Briefing) -> Future[Made]:
    """Make a child in a thread of its own, which does not keep the process from ending."""
    future: Future[Made] = Future()
    future.set_running_or_notify_cancel()
    work = Thread(
        target=lambda: future.set_result(make(operator, mating, briefing)), name=f"ask/{mating.index}", daemon=True
    )
    work.start()
    return future


def make(operator: Operator, mating: Mating, briefing: Briefing) -> Made:
    """What the operator returns; a `Rejected` if that is not what it may return, or if it raises."""
    begin = time.monotonic()
    try:
        made = _sound(operator.propose(mating, briefing))
    except Exception as error:  # the boundary: one child lost, with a reason, not the run
        made = Rejected(f"{mating.operator} broke: {type(error).__name__}: {error}")
    return replace(made, cost=replace(made.cost, seconds=time.monotonic() - begin))


def _sound(made: Made) -> Made:
    """What an operator returned, if it is what it may return. Raises TypeError or ValueError."""
    if not isinstance(made, Proposal | Rejected):
        raise TypeError(f"returned a {type(made).__name__}, no Proposal or Rejected")
    numbers = dict(made.anchor) if isinstance(made, Proposal) else {}
    if not all(type(value) in (int, float) and math.isfinite(value) for value in numbers.values()):
        raise ValueError(f"gave numbers that are no finite int or float: {numbers}")
    expected = made.expected if isinstance(made, Proposal) else None
    if expected is not None and not math.isfinite(expected):
        raise ValueError(f"expects an effect that is no finite number: {expected}")
    return made


def child_of(mating: Mating, made: Made) -> Candidate:
    """What is known of a child before it was measured; a refused one has its parent's genome."""
    child = Candidate(
        id=str(mating.index),
        index=mating.index,
        genome=mating.parents[0].genome,
        params={},
        parents=tuple(p.id for p in mating.parents),
        operator=mating.operator,
        verdict="rejected",
        cost=made.cost,
    )
    if isinstance(made, Rejected):
        return child
    return replace(
        child,
        genome=made.genome,
        edits=made.edits,
        hypothesis=made.hypothesis,
        expected=made.expected,
        idea=made.idea,
    )


def identities(genome: Genome, anchor: Params) -> dict[Seen, str]:
    """What a child with these first numbers is known by: its structure, alone or with the numbers."""
    numbers = sorted(first_parameters(genome.knobs, anchor).items())
    return {"structure": genome.key, "numbers": f"{genome.key} {numbers}"}
