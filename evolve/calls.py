"""Calls of language models: what the log says of them, and the writer that operators are given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol


class Calls:
    """A view of the log: answers by question, and what was spent. Used by `History`."""

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, Any]] = {}
        self.requests: dict[str, dict[str, Any]] = {}  # as they were sent, of questions to be asked again
        self.times: Counter[str] = Counter()  # that a question was sent
        self.open: dict[str, tuple[int, float]] = {}  # the most that a question without an answer may cost
        self.tokens = 0
        self.usd = 0.0

    def on_question(self, body: Mapping[str, Any]) -> None:
        """A question of an earlier process that had no answer was sent for nothing, but it was sent: it stays spent."""
        key = body["key"]
        if key in self.open:
            tokens, usd = self.open[key]
            self.tokens, self.usd = self.tokens + tokens, self.usd + usd
        self.times[key] += 1
        self.requests[key] = body["request"]
        self.open[key] = body["tokens"], body["usd"]

    def on_reply(self, body: Mapping[str, Any]) -> None:
        self.open.pop(body["key"], None)
        self.answers[body["key"]] = dict(body)
        if not body.get("again"):
            self.requests.pop(body["key"], None)
        self.tokens += body["tokens"]
        self.usd += body["usd"]

    def spent(self) -> tuple[int, float]:
        """Tokens and dollars, with the most that open questions may cost."""
        waiting = list(self.open.values())
        return self.tokens + sum(t for t, _ in waiting), self.usd + sum(u for _, u in waiting)


class Records(Protocol):
    """Who writes: `evolve.log.Log`."""

    def record(self, kind: str, key: str, body: dict[str, Any]) -> None: ...


class CallWriter:
    """A `CallLog` on the log of a run."""

    def __init__(self, log: Records, calls: Calls) -> None:
        self._log = log
        self._calls = calls

    def recall(self, key: str) -> Mapping[str, Any] | None:
        return self._calls.answers.get(key)

    def unanswered(self, key: str) -> Mapping[str, Any] | None:
        return self._calls.requests.get(key)

    def sent(self, key: str, question: Mapping[str, Any]) -> None:
        body = {"key": key, **question}
        self._log.record("question", f"{key}/question/{self._calls.times[key]}", body)

    def received(self, key: str, answer: Mapping[str, Any]) -> None:
        body = {"key": key, **answer}
        self._log.record("reply", f"{key}/reply/{self._calls.times[key]}", body)

    def spent(self) -> tuple[int, float]:
        return self._calls.spent()
