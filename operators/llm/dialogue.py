"""A question to a model, and one more turn if the answer cannot be used: the complaint is sent back, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from evolve.model import Cost, Proposal, Rejected
from operators.llm.desk import Desk, estimated
from operators.llm.prompt import FULL, ONE, render
from operators.llm.wire import Block, Reply, Request, TooLong, Turn, Unanswered

LONGEST_COMPLAINT = 700

Child = Callable[[str, Request], Proposal]


class Unusable(Exception):
    """An answer that makes no child; the message tells the model what to mend. `stage` is that of `Rejected`."""

    def __init__(self, stage: str, complaint: str) -> None:
        super().__init__(complaint)
        self.stage = stage


@dataclass(frozen=True)
class Question:
    """How to ask: `request` builds the prompt with a brevity, `child` makes a proposal of an answer's text and
    what it answers.

    `child` raises Unusable. `prompt_tokens` bounds the prompt, 0 is no limit but the model's.
    """

    key: str
    request: Callable[[int], Request]
    child: Child
    prompt_tokens: int = 0


def converse(desk: Desk, question: Question) -> Proposal | Rejected:
    """The child that an answer describes, or why there is none."""
    costs: list[Cost] = []
    try:
        request, reply = _first(desk, question, costs)
        try:
            return replace(_child(question, reply, request), cost=sum(costs, Cost()))
        except Unusable as error:
            complaint = _shortened(str(error))
        again = (
            *request.turns,
            Turn("assistant", (Block(reply.text.strip() or "(nothing)"),)),
            Turn("user", (Block(render("again", complaint=complaint)),)),
        )
        key = f"{question.key}/1"
        reply = _ask(desk, key, desk.earlier(key) or replace(request, turns=again), costs)
        return replace(_child(question, reply, request), cost=sum(costs, Cost()))
    except Unusable as error:
        return Rejected(_shortened(str(error)), sum(costs, Cost()), error.stage)
    except Unanswered as error:
        return Rejected(str(error), sum(costs, Cost()), "answer", error.ends)


def _first(desk: Desk, question: Question, costs: list[Cost]) -> tuple[Request, Reply]:
    """The first answer; what does not fit is asked again with less around it. Raises Unanswered."""
    for brevity in range(FULL, ONE + 1):
        key = f"{question.key}/0" + f".{brevity}" * (brevity > FULL)
        request = desk.earlier(key) or question.request(brevity)
        if brevity < ONE and 0 < question.prompt_tokens < estimated(request):
            continue
        try:
            return request, _ask(desk, key, request, costs)
        except TooLong:
            if brevity == ONE:
                raise
    raise AssertionError("the shortest prompt is always tried")


def _ask(desk: Desk, key: str, request: Request, costs: list[Cost]) -> Reply:
    """The answer; what it cost is added, also what a call took that failed. Raises Unanswered."""
    try:
        reply, cost = desk.ask(key, request)
    except Unanswered as error:
        if (used := error.usage) is not None:
            costs.append(Cost(0.0, 1, used.input + used.written, used.cached, used.output))
        raise
    costs.append(cost)
    return reply


def _child(question: Question, reply: Reply, request: Request) -> Proposal:
    """Raises Unusable, also for an answer that is cut or refused: a part of an answer is never made into code."""
    if reply.stop == "max_tokens":
        raise Unusable("answer", f"it was cut after {request.max_tokens} tokens. Say it with less.")
    if reply.stop == "refusal" or not reply.text.strip():
        raise Unusable("answer", f"there is no answer (stop reason {reply.stop!r}).")
    return question.child(reply.text, request)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_COMPLAINT else text[: LONGEST_COMPLAINT - 1] + "…"
