"""A scripted model: a function answers each request. And a call log in memory, kept by the classes of a real run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

from evolve.calls import Calls, CallWriter
from operators.llm.wire import Reply, Request, Usage

Said = str | Reply | Exception
USAGE = Usage(input=1000, cached=2000, written=300, output=400)


class Script:
    """A `Transport`. What the function returns is the answer; an exception is raised instead of one.

    `usage` is that of an answer that is given as text. Requests are kept as they come, with their keys.
    """

    def __init__(self, answer: Callable[[Request], Said], usage: Usage | None = USAGE) -> None:
        self.sent: list[tuple[str, Request]] = []
        self.closed = False
        self._answer = answer
        self._usage = usage
        self._one_at_a_time = Lock()

    @property
    def keys(self) -> list[str]:
        return [key for key, _ in self.sent]

    @property
    def requests(self) -> list[Request]:
        return [request for _, request in self.sent]

    def send(self, key: str, request: Request) -> Reply:
        with self._one_at_a_time:
            self.sent.append((key, request))
        said = self._answer(request)
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, Reply) else Reply(said, "end_turn", request.model, self._usage)

    def close(self) -> None:
        self.closed = True


def in_turn(*answers: Said) -> Script:
    """One answer after the other; asking for more than there are is a failure of the test."""
    rest = list(answers)
    return Script(lambda request: rest.pop(0))


def always(answer: Said) -> Script:
    return Script(lambda request: answer)


def asked(request: Request) -> str:
    """All that the last turn says."""
    return "".join(block.text for block in request.turns[-1].blocks)


class Lines:
    """Takes what would go into a run's log, applies it as the run's history does, and keeps it."""

    def __init__(self, calls: Calls, before: Sequence[tuple[str, str, dict[str, Any]]] = ()) -> None:
        self.written: list[tuple[str, str, dict[str, Any]]] = []
        self._calls = calls
        self._one_at_a_time = Lock()
        for line in before:
            self.record(*line)

    def record(self, kind: str, key: str, body: dict[str, Any]) -> None:
        with self._one_at_a_time:
            body = json.loads(json.dumps(body, allow_nan=False))
            assert key not in {known for _, known, _ in self.written}, f"{key} is written twice"
            self.written.append((kind, key, body))
            {"question": self._calls.on_question, "reply": self._calls.on_reply}[kind](body)


class MemoryCallLog(CallWriter):
    """A `CallLog` without a file. `before` is what an earlier process wrote."""

    def __init__(self, before: Sequence[tuple[str, str, dict[str, Any]]] = ()) -> None:
        calls = Calls()
        self.lines = Lines(calls, before)
        super().__init__(self.lines, calls)

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.lines.written]
