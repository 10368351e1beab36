"""A language model behind the Messages API: the real one, or a server that speaks it (llama.cpp, Ollama, vLLM).

The only module that imports `anthropic`, and only once something is asked: the import takes seconds. The SDK brings the
connection and the types of errors. Retries are done here, so that whoever waits is told, and can be stopped; and the
events of a stream are read in `events`, because the SDK's own reader fails on a server that leaves out `usage`.
"""

from __future__ import annotations

import importlib.util
import math
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any
from urllib.parse import urlsplit

from operators.llm.events import NONSENSE, Message, Reading
from operators.llm.failures import Again, refusal, words_of
from operators.llm.wire import Block, Reply, Request, TooLong, Turn, Unanswered, Usage, tokens_in

ATTEMPTS = 6
PATIENCE = 1800.0  # seconds for which an outage is waited out
CONTINUATIONS = 3  # of a turn that the server pauses while it searches
SEARCHES = 3  # of the server, in one call
LONGEST_WAIT = 600.0  # seconds, if the server asks for it
LONGEST_BACKOFF = 60.0  # seconds, if it does not
BETWEEN_LINES = 60.0  # seconds between two lines that say that something is waited for
LENGTH_OF_A_REASON = 300
POLL = 0.05  # seconds until a caller notices `close`

SEARCH = {"type": "web_search_20260318", "name": "web_search", "max_uses": SEARCHES, "allowed_callers": ["direct"]}

VARIABLES = {"ANTHROPIC_API_KEY": "api_key", "ANTHROPIC_AUTH_TOKEN": "auth_token"}
NO_KEY = (
    "no key for the Messages API: set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN, "
    "or give the address of a local server that speaks the API"
)
KEYLESS = "a call without a key, which EVOLVE_LLM_KEY may hold"
CLOSED = "closed while waiting for an answer"


@dataclass(frozen=True)
class _Key:
    """What identifies us, and what a message may call it: its value is in no message."""

    value: str
    argument: str
    name: str


@dataclass(frozen=True)
class _Call:
    """One call of a question: the name for all its attempts, what is sent, an estimate of its tokens, and the bill of
    the question, to which each attempt adds."""

    key: str
    body: dict[str, Any]
    prompt: int
    bill: list[Usage]


NOBODY = _Key("local", "api_key", "")  # for a server that wants any key, or none


def configured(url: str | None, environ: Mapping[str, str], key: str | None = None) -> str | None:
    """Why no model can be asked, and the cure; None if nothing speaks against it. Makes no call."""
    if importlib.util.find_spec("anthropic") is None:
        return "the package anthropic is not installed: pip install anthropic"
    address = urlsplit(url or "http:")
    if address.scheme not in ("http", "https"):
        return "the address of a model's server starts with http:// or https://"
    if "@" in address.netloc:
        return "the address of a model's server may be seen: take user and password out of it, and set EVOLVE_LLM_KEY"
    ours = _key(url, key, environ)
    if ours is None:
        return NO_KEY
    return None if ours.value.isascii() else f"{ours.name} holds characters that no key has"


def served_by(url: str | None, environ: Mapping[str, str]) -> str:
    """Where questions go: the address of a server, without a password, or the Anthropic API."""
    address = urlsplit(url or environ.get("ANTHROPIC_BASE_URL", "").strip())
    return address._replace(netloc=address.netloc.rpartition("@")[2]).geturl() or "the Anthropic API"


class Messages:
    """A Transport over the Messages API.

    `url` is the address of a server; None: the real API, with the key of the environment. A server at a given `url`
    learns no key but a given `key`. `timeout` is how many seconds the server may be silent. `web` offers the model the
    server's own web search. `extra` are fields of the request besides ours, such as `temperature`. `say` is told, by
    the thread that waits, what is waited for: once a minute at most. `wait` sleeps; the usual one is woken by `close`;
    `clock` counts seconds.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 600.0,
        web: bool = False,
        extra: Mapping[str, object] | None = None,
        say: Callable[[str], None] = lambda _: None,
        wait: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url.rstrip("/").removesuffix("/v1") if url is not None else None
        self._key = _key(url, key, os.environ)
        self._timeout = timeout
        self._web = web
        self._extra = dict(extra or {})
        self._say = say
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait
        self._lock = threading.Lock()
        self._client: Any = None
        self._calls = 0  # under way
        self._ends: dict[str, str] = {}  # when old models end, as far as it was not said
        self._chance = random.Random()
        self._clock = clock
        self._reached = False  # the server has answered a question
        self._quiet_until = -math.inf  # on the clock

    @property
    def calls_at_most(self) -> int:
        """For one question. More than one only where the server may pause its turn: while it searches."""
        return 1 + CONTINUATIONS if self._web else 1

    @property
    def searches_at_most(self) -> int:
        return self.calls_at_most * SEARCHES if self._web else 0

    def send(self, key: str, request: Request) -> Reply:
        """The whole answer. Each call is tried up to six times; once the server has answered anything, an outage is
        waited out for half an hour.

        Raises TooLong if the prompt does not fit; Unanswered if there is no answer, or `close` was called.
        """
        return self._answer(key, request, ATTEMPTS, PATIENCE)

    def probe(self, model: str) -> Reply:
        """The answer to a tiny question, tried once. Raises Unanswered."""
        question = Request(model, (), (Turn("user", (Block("Say: ready."),)),), max_tokens=16)
        return self._answer(uuid.uuid4().hex, question, 1, 0.0)

    def close(self) -> None:
        """Makes every `send` raise Unanswered soon, also those under way."""
        self._stop.set()
        self._tidy()

    def _answer(self, key: str, request: Request, attempts: int, patience: float) -> Reply:
        body = _body(request, self._web, self._extra)
        parts: list[Message] = []
        bill: list[Usage] = []
        try:
            for number in range(self.calls_at_most):
                prompt = tokens_in(request.characters + sum(len(str(part.blocks)) for part in parts))
                call = _Call(f"{key}-{number}" if number else key, _continued(body, parts), prompt, bill)
                parts.append(self._ask(call, attempts, patience))
                if parts[-1].stop != "pause_turn":
                    break
            last = parts[-1]
            if last.stop == "model_context_window_exceeded":
                raise TooLong(f"prompt and answer do not fit the context of {request.model}")
        except Unanswered as error:
            error.usage = sum(bill, Usage()) if bill else None
            raise
        text = "".join(b.get("text", "") for part in parts for b in part.blocks if b.get("type") == "text")
        return Reply(text, last.stop, last.model, last.usage if len(bill) == 1 else sum(bill, Usage()))

    def _ask(self, call: _Call, attempts: int, patience: float) -> Message:
        """One call, tried again while that makes sense."""
        failed = short = 0  # attempts; those that were not an outage
        since: float | None = None  # when this outage was noticed
        while True:
            answer = self._watched(call)
            if isinstance(answer, Message):
                self._reached = True
                return answer
            if not isinstance(answer, Again):
                raise answer
            outage = answer.outage and self._reached
            failed, short, now = failed + 1, short + (not outage), self._clock()
            since = (now if since is None else since) if outage else None
            if short >= attempts or (since is not None and now - since >= patience):
                break
            self._rest(answer, failed)
        if answer.unreachable and not self._reached:
            where = served_by(self._url, os.environ)
            raise Unanswered(f"{where} cannot be reached: see that it runs, or name another address ({answer})", "run")
        raise Unanswered(f"{answer} (attempts: {failed})")

    def _rest(self, why: Again, attempt: int) -> None:
        """Waits as long as the server asks for, or twice as long each time; with chance, so that callers scatter."""
        if why.after is not None:
            seconds = min(LONGEST_WAIT, why.after * self._chance.uniform(1.0, 1.1))
        else:
            seconds = min(LONGEST_BACKOFF, 2.0 ** min(attempt - 1, 10)) * self._chance.uniform(0.75, 1.0)
        with self._lock:
            now = self._clock()
            told = now < self._quiet_until
            if not told:
                self._quiet_until = now + BETWEEN_LINES
        if not told:
            self._say(f"{why.what}: next try in {math.ceil(seconds)} s")
        self._wait(seconds)

    def _watched(self, call: _Call) -> Message | Unanswered:
        """One attempt, in a thread of its own: a read that blocks cannot be interrupted, but it can be left behind."""
        client = self._enter(call.body["model"])
        reading = Reading(call.prompt)
        outcome: list[Message | Unanswered] = []

        def attempt() -> None:
            try:
                outcome.append(self._attempt(client, call, reading))
            finally:
                with self._lock:
                    self._calls -= 1
                if self._stop.is_set():
                    self._tidy()

        thread = threading.Thread(target=attempt, name="messages", daemon=True)
        thread.start()
        while thread.is_alive() and not self._stop.is_set():
            thread.join(POLL)
        if not outcome:
            call.bill.append(reading.spent())  # it is under way: it may have been read
            raise Unanswered(CLOSED) if self._stop.is_set() else RuntimeError("the call failed; its own error is above")
        [answer] = outcome
        usage = answer.usage if isinstance(answer, Unanswered) else reading.spent()
        if usage is not None:
            call.bill.append(usage)
        return answer

    def _enter(self, model: str) -> Any:
        """The SDK's client, made on the first call, for a call that begins now."""
        with self._lock:
            if self._stop.is_set():
                raise Unanswered(CLOSED)
            if self._client is None:
                self._client = self._connected()
            if end := self._ends.pop(model, None):
                self._say(f"the model {model} is deprecated: its end is {end}")
            self._calls += 1
            return self._client

    def _connected(self) -> Any:
        problem = configured(self._url, os.environ, self._key.value if self._key else None)
        if problem is not None or self._key is None:
            raise Unanswered(problem or NO_KEY, ends="run")
        import anthropic
        from anthropic.resources.messages.messages import DEPRECATED_MODELS

        self._ends = dict(DEPRECATED_MODELS)  # the SDK's own calls would warn, which is an error in some programs
        headers: dict[str, Any] = {}
        if self._url is not None:  # the SDK adds headers from the environment, which may hold a key too
            names = [
                line.partition(":")[0].strip() for line in os.environ.get("ANTHROPIC_CUSTOM_HEADERS", "").split("\n")
            ]
            headers = {name: anthropic.Omit() for name in names if name.lower() not in ("", "authorization")}
            headers["Authorization"] = f"Bearer {self._key.value}"
        secret: dict[str, Any] = {self._key.argument: self._key.value}
        limits = anthropic.Timeout(self._timeout, connect=min(self._timeout, 10.0))
        return anthropic.Anthropic(**secret, base_url=self._url, max_retries=0, timeout=limits, default_headers=headers)

    def _tidy(self) -> None:
        """Closes the connections once no call uses them."""
        with self._lock:
            if self._client is not None and self._calls == 0:
                self._client.close()

    def _attempt(self, client: Any, call: _Call, reading: Reading) -> Message | Unanswered:
        import anthropic
        import httpx2

        named: Any = {"headers": {"Idempotency-Key": call.key}}
        try:
            with client.post(
                "/v1/messages",
                cast_to=object,
                body=call.body,
                options=named,
                stream=True,
                stream_cls=anthropic.Stream[object],
            ) as stream:
                message = reading.message(takewhile(lambda _: not self._stop.is_set(), stream))
                content = stream.response.headers.get("content-type", "no content type")
                what = f"the answer ended too early, or is no stream of messages ({content})"
                return message or Again(what, usage=reading.spent())
        except anthropic.APIStatusError as error:
            sent = self._key.name if self._key and self._key.name else KEYLESS
            usage = reading.spent() if reading.began else None
            return refusal(error, self._words(words_of(error)), call.body["model"], sent, usage)
        except anthropic.APIConnectionError as error:
            return self._broken(error.__cause__ or error, reading, "no connection to the server")
        except httpx2.HTTPError as error:
            return self._broken(error, reading, "the answer was cut off")
        except NONSENSE as error:
            return Again("the answer cannot be read", self._words(str(error)), usage=reading.spent())

    def _broken(self, cause: BaseException, reading: Reading, what: str) -> Again:
        """What a failure of the connection means. An answer that had begun costs too much to be tried for long."""
        import httpx2

        if isinstance(cause, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)):
            return Again("no connection to the server", self._words(str(cause)), unreachable=True)
        late = isinstance(cause, httpx2.TimeoutException)
        detail = "" if late else self._words(str(cause))
        what = "the server did not answer in time" if late else what
        return Again(what, detail, usage=reading.spent(), outage=not reading.began)

    def _words(self, text: str) -> str:
        """A text of the server in one short line, without our key: first hidden, then cut, as half a key is one too."""
        if self._key is not None and self._key is not NOBODY:
            text = text.replace(self._key.value, "[key]")
        return " ".join(text.split())[:LENGTH_OF_A_REASON]


def _key(url: str | None, key: str | None, environ: Mapping[str, str]) -> _Key | None:
    if key is not None and key.strip():
        return _Key(key.strip(), "api_key", "the key that was given")
    if url is not None:
        return NOBODY
    for variable, argument in VARIABLES.items():
        if value := environ.get(variable, "").strip():
            return _Key(value, argument, f"the key in {variable}")
    return None


def _body(request: Request, web: bool, extra: Mapping[str, object]) -> dict[str, Any]:
    messages = [{"role": turn.role, "content": _content(turn.blocks)} for turn in request.turns]
    body: dict[str, Any] = {"model": request.model, "max_tokens": request.max_tokens, "messages": messages}
    if system := _content(request.system):
        body["system"] = system
    if web:
        body["tools"] = [SEARCH]
    return {**body, **extra, "stream": True}


def _content(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    cache = {"cache_control": {"type": "ephemeral"}}
    return [{"type": "text", "text": b.text, **(cache if b.cached else {})} for b in blocks if b.text]


def _continued(body: dict[str, Any], parts: Sequence[Message]) -> dict[str, Any]:
    """The request again, with what was answered so far: the server goes on from there."""
    said = [block for part in parts for block in part.blocks]
    return {**body, "messages": [*body["messages"], {"role": "assistant", "content": said}]} if said else body
