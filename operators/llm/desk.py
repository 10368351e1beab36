"""The desk over which every question goes: within the caps, written down before it is sent and answered only once.

What a question may cost at most is reserved while it is under way, so that the caps hold for calls in flight too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from threading import Condition
from typing import Any

from evolve.model import Cost, digest
from evolve.protocols import CallLog
from operators.llm.prices import Prices
from operators.llm.wire import Extensive, Reply, Request, Transport, Unanswered, Usage, request_from, tokens_in

TOKENS_A_SEARCH = 10_000  # that a search of the server adds to what the model reads


@dataclass(frozen=True)
class Caps:
    """The most that a run may spend; 0 is no limit."""

    usd: float = 0.0
    tokens: int = 0


class Desk:
    """Asks the models of a run. `say` is told once of each model whose price is not known."""

    def __init__(
        self, transport: Transport, log: CallLog, prices: Prices, caps: Caps, say: Callable[[str], None]
    ) -> None:
        self._transport = transport
        self._log = log
        self._prices = prices
        self._caps = caps
        self._say = say
        self._in_flight = 0
        self._closed = False
        self._unpriced: set[str] = set()
        self._changed = Condition()

    def earlier(self, key: str) -> Request | None:
        """A question as an earlier process sent it, if no answer came: one may still wait for exactly this question."""
        known = self._log.unanswered(key)
        return request_from(known) if known else None

    def ask(self, key: str, request: Request) -> tuple[Reply, Cost]:
        """The answer and its cost. An answer that is on record is not asked for again. Raises Unanswered."""
        known = self._log.recall(key)
        if known is not None and "text" in known:
            return _reply(known), _cost(known)
        most = _most(request, self._transport)
        self._reserve(key, request, most)
        try:
            return self._sent(key, request)
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Whoever waits for an answer, or for room below a cap, gives up soon."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._transport.close()

    def _sent(self, key: str, request: Request) -> tuple[Reply, Cost]:
        """Ask, and write down what came of it."""
        begin = time.monotonic()
        try:
            reply = self._transport.send(key, request)
        except Unanswered as error:
            failure = {"error": str(error)} | ({"again": True} if self._closed else {})
            self._settle(key, failure, (request.model,), error.usage or Usage(), begin)
            raise
        usage = reply.usage or Usage(input=estimated(request), output=tokens_in(len(reply.text)))
        said = {"text": reply.text, "stop": reply.stop, "model": reply.model, "estimated": reply.usage is None}
        return reply, _cost(self._settle(key, said, (request.model, reply.model), usage, begin))

    def _reserve(self, key: str, request: Request, most: Usage) -> None:
        """Write the question down, once it fits below the caps. Raises Unanswered if it never will, or once closed."""
        question = {
            "way": request.way,
            "digest": digest("\n".join(request.texts)),
            "request": asdict(request),
            "tokens": most.tokens,
            "usd": self._dollars((request.model,), most),
        }
        with self._changed:
            while (over := self._over(question)) and self._in_flight and not self._closed:
                self._changed.wait()
            if self._closed:
                raise Unanswered("nobody is asked any more")
            if over:
                raise Unanswered(over, "operator")
            self._log.sent(key, question)
            self._in_flight += 1

    def _over(self, question: dict[str, Any]) -> str:
        """Why a question would break a cap, "" if it does not."""
        tokens, usd = self._log.spent()
        if self._caps.usd and usd + question["usd"] > self._caps.usd:
            next_one = f"the next call may cost {question['usd']:.2f}"
            return f"the budget of {self._caps.usd:g} USD is used: {usd:.2f} spent, {next_one}"
        if self._caps.tokens and tokens + question["tokens"] > self._caps.tokens:
            next_one = f"the next call may take {question['tokens']:,}"
            return f"the budget of {self._caps.tokens:,} tokens is used: {tokens:,} spent, {next_one}"
        return ""

    def _settle(
        self, key: str, said: dict[str, Any], models: Sequence[str], usage: Usage, begin: float
    ) -> dict[str, Any]:
        """Write an answer or a failure down with what it cost."""
        answer = said | {
            "usage": asdict(usage),
            "tokens": usage.tokens,
            "usd": self._dollars(models, usage),
            "seconds": time.monotonic() - begin,
        }
        with self._changed:
            self._log.received(key, answer)
        return answer

    def _dollars(self, models: Sequence[str], usage: Usage) -> float:
        """At the dearest price of who was asked and who says that it answered: a name that is not known hides none."""
        prices = [price for model in models if (price := self._prices.find(model))]
        if not prices and models[0] not in self._unpriced:
            self._unpriced.add(models[0])
            self._say(f"no price is known for {models[0]}: its tokens are counted, its dollars are not")
        return max((price.of(usage) for price in prices), default=0.0)


def estimated(request: Request) -> int:
    """Tokens of a prompt, rather too many."""
    return tokens_in(request.characters) + 50


def _most(request: Request, transport: Transport) -> Usage:
    """What a question may cost at most. A further call reads again what was answered before it."""
    calls, searches = 1, 0
    if isinstance(transport, Extensive):
        calls, searches = transport.calls_at_most, transport.searches_at_most
    again = sum(range(calls)) * request.max_tokens
    read = calls * estimated(request) + again + searches * TOKENS_A_SEARCH
    return Usage(written=read, output=calls * request.max_tokens, searches=searches)


def _reply(answer: Any) -> Reply:
    return Reply(answer["text"], answer["stop"], answer["model"], Usage(**answer["usage"]))


def _cost(answer: Any) -> Cost:
    usage = Usage(**answer["usage"])
    return Cost(0.0, 1, usage.input + usage.written, usage.cached, usage.output, answer["usd"])
