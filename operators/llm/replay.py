"""The answers of a recorded run, for a run without a model: a `Transport` that asks nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from evolve.model import digest
from operators.llm.wire import Reply, Request, Unanswered, Usage


class Replay:
    """Answers a question that was asked before, word for word, with what was answered then.

    Measurements differ from run to run and with them the questions, so another question has the next unused answer
    of its kind: to a mutation or a crossover, first or second turn. It costs nothing.
    """

    def __init__(self, recorded: Sequence[Mapping[str, Any]]) -> None:
        self._left = [answer for answer in recorded if "text" in answer]
        self._one_at_a_time = Lock()

    def send(self, key: str, request: Request) -> Reply:
        """Raises Unanswered when none is left."""
        name, way, turn = digest("\n".join(request.texts)), request.way, _turn(key)
        with self._one_at_a_time:
            same = [a for a in self._left if a.get("digest") == name]
            kind = [a for a in self._left if a.get("way") == way and _turn(a["key"]) == turn]
            if not (found := same or kind):
                raise Unanswered(f"no recorded answer is left for {way}", "operator")
            self._left.remove(found[0])
        return Reply(found[0]["text"], found[0]["stop"], found[0]["model"], Usage())

    def close(self) -> None:
        """Nobody waits."""


def _turn(key: str) -> str:
    """`0` or `1` of `ask/12/call/0.1`: the shorter form of a question is the same question."""
    return key.rpartition("/")[2].partition(".")[0]
