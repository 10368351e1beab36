"""Numbers that a language model proposes, which sees what was measured with others."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

from evolve.model import Briefing, Candidate, Knob, Mating, Number, Params, Proposal, Rejected
from evolve.tuner import first_parameters
from operators.llm.desk import Desk
from operators.llm.dialogue import Question, Unusable, converse
from operators.llm.wire import Block, Request, Turn

WAY = "numbers"
BEST = 5  # shown first
LATEST = (20, 10, 5, 0)  # shown after them, less where a prompt does not fit
SYSTEM = (
    "You tune the numbers of a training script. You see numbers that were tried and the loss that each came to, lower "
    "is better. Propose one set of numbers that has a lower loss. Answer with one JSON object that has a value for "
    "each name, and nothing else."
)
_OBJECT = re.compile(r"\{[^{}]*\}")


class Advised:
    """An `Operator`: the parent's program with the numbers that `model` says; one that it leaves out is the best's.

    An answer that cannot be used has one more turn.
    """

    arity, mended_by, structural = 1, "", False

    def __init__(self, desk: Desk, model: str, answer_tokens: int, prompt_tokens: int = 0) -> None:
        self.name = name_of(model)
        self._desk = desk
        self._model = model
        self._answer_tokens = answer_tokens
        self._prompt_tokens = prompt_tokens

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        genome = mating.parents[0].genome
        loss = briefing.objectives[0].name
        tried = [c for c in briefing.candidates if c.verdict in ("ok", "failed")]
        best = sorted((c for c in tried if c.fitness), key=lambda c: _loss(c, loss))[:BEST]

        def request(brevity: int) -> Request:
            text = _question(genome.knobs, best, tried[-LATEST[brevity] :] if LATEST[brevity] else [], loss)
            turns = (Turn("user", (Block(text),)),)
            return Request(self._model, (Block(SYSTEM, cached=True),), turns, self._answer_tokens, WAY)

        def child(text: str, request: Request) -> Proposal:
            numbers = first_parameters(genome.knobs, {**best[0].params, **_said(text, genome.knobs)})
            if any(first_parameters(genome.knobs, c.params) == numbers for c in tried):
                raise Unusable("known", "These numbers were tried. Propose others.")
            return Proposal(genome, (), "a language model's numbers", numbers)

        question = Question(f"ask/{mating.index}/call", request, child, self._prompt_tokens)
        return converse(self._desk, question)


def name_of(model: str) -> str:
    """The operator that asks a model."""
    return f"{WAY}@{model}"


def _question(knobs: Sequence[Knob], best: Sequence[Candidate], latest: Sequence[Candidate], loss: str) -> str:
    parts = ["The names with their ranges:", *map(_range, knobs), "", "The best so far:"]
    parts += [_line(c, knobs, loss) for c in best]
    if latest:
        parts += ["", "The latest, oldest first:", *(_line(c, knobs, loss) for c in latest)]
    return "\n".join(parts)


def _range(knob: Knob) -> str:
    if knob.kind == "choice":
        return f"{json.dumps(knob.address)}: one of {', '.join(map(str, knob.values))}"
    whole = "integer " if knob.kind == "int" else ""
    return f"{json.dumps(knob.address)}: {whole}from {knob.low:g} to {knob.high:g}{', logarithmic' * knob.log}"


def _line(candidate: Candidate, knobs: Sequence[Knob], loss: str) -> str:
    numbers = json.dumps(first_parameters(knobs, candidate.params))
    return f"{loss} {_loss(candidate, loss):.4f}: {numbers}" if candidate.fitness else f"failed: {numbers}"


def _loss(candidate: Candidate, name: str) -> float:
    assert candidate.fitness is not None
    return candidate.fitness.values[name].mean


def _said(text: str, knobs: Sequence[Knob]) -> Params:
    """The numbers in an answer. Raises `Unusable`."""
    found = _OBJECT.search(text)
    try:
        said = json.loads(found[0]) if found else {}
    except ValueError as error:
        raise Unusable("format", f"That is no JSON: {error}.") from error
    names = {k.address for k in knobs}
    numbers: dict[str, Number] = {a: v for a, v in said.items() if a in names and _is_number(v)}
    if not numbers:
        raise Unusable("format", "Answer with one JSON object that has a number for each name.")
    return numbers


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
