"""A language model behind the Messages API: the real one, or a server that speaks it (llama.cpp, Ollama, vLLM).

The only module that imports `anthropic`, and only once something is asked: the import takes seconds. The SDK brings the
connection and the types of errors. Retries are done here, so that whoever waits is told, and can be stopped; and the
events of a stream are read as plain JSON, because the SDK's own reader fails on a server that leaves out `usage`.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import random
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from email.utils import mktime_tz, parsedate_tz
from itertools import takewhile
from typing import Any
from urllib.parse import urlsplit

from operators.llm.wire import Block, Reply, Request, TooLong, Turn, Unanswered, Usage

ATTEMPTS = 6
CONTINUATIONS = 3  # of a turn that the server pauses while it searches
LONGEST_WAIT = 600.0  # seconds, if the server asks for it
LONGEST_BACKOFF = 60.0  # seconds, if it does not
LENGTH_OF_A_REASON = 300
POLL = 0.05  # seconds until a caller notices `close`

SEARCH = {"type": "web_search_20260318", "name": "web_search", "max_uses": 3, "allowed_callers": ["direct"]}

VARIABLES = {"ANTHROPIC_API_KEY": "api_key", "ANTHROPIC_AUTH_TOKEN": "auth_token"}
NO_KEY = (
    "no key for the Messages API: set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN, "
    "or give the address of a local server that speaks the API"
)
NONSENSE = (ValueError, LookupError, TypeError, AttributeError)  # what reading raises if events are not as they should
CLOSED = "closed while waiting for an answer"

# An error inside a stream comes with status 200; what its type would have had, 500 if not listed:
STATUS = {"invalid_request_error": 400, "request_too_large": 413, "rate_limit_error": 429, "overloaded_error": 529}
FAILURES = {408: "the server timed out", 409: "conflict at the server", 429: "rate limited by the server"}

BILLING = re.compile(r"spend_limit|billing|billable|insufficient_quota")  # in the names of errors
NO_CREDIT = re.compile(r"credit balance|usage limits|spend(ing)? limit|insufficient (credit|funds|balance|quota)", re.I)
# "prompt is too long: 203284 tokens > 200000 maximum", "exceed context limit", "exceeds the available context size" …
TOO_LONG = re.compile(r"(prompt|input|request) is too long|context[ _](size|length|limit|window)", re.I)


@dataclass(frozen=True)
class _Key:
    """What identifies us, and what a message may call it: its value is in no message."""

    value: str
    argument: str
    name: str


NOBODY = _Key("local", "api_key", "")  # for a server that wants any key, or none


@dataclass(frozen=True)
class _Message:
    """An answer, whole: content blocks as they came, the stop reason, and what is said of model and usage."""

    blocks: tuple[dict[str, Any], ...]
    stop: str
    model: str
    usage: Usage | None


class _Again(Unanswered):
    """No answer this time. `after`: for how many seconds the server wants to be left alone, if it says so."""

    def __init__(self, what: str, detail: str = "", after: float | None = None) -> None:
        super().__init__(f"{what}: {detail}" if detail else what)
        self.what = what
        self.after = after


def configured(url: str | None, environ: Mapping[str, str], key: str | None = None) -> str | None:
    """Why no model can be asked, and the cure; None if nothing speaks against it. Makes no call."""
    if importlib.util.find_spec("anthropic") is None:
        return "the package anthropic is not installed: pip install anthropic"
    if url is not None and urlsplit(url).scheme not in ("http", "https"):
        return "the address of a model's server starts with http:// or https://"
    ours = _key(url, key, environ)
    if ours is None:
        return NO_KEY
    return None if ours.value.isascii() else f"{ours.name} holds characters that no key has"


class Messages:
    """A Transport over the Messages API.

    `url` is the address of a server; None: the real API, with the key of the environment. A server at a given `url`
    learns no key but a given `key`. `timeout` is how many seconds the server may be silent. `web` offers the model the
    server's own web search. `extra` are fields of the request besides ours, such as `temperature`. `say` is told, by
    the thread that waits, what is waited for. `wait` sleeps; the usual one is woken by `close`.
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

    def send(self, key: str, request: Request) -> Reply:
        """The whole answer, after up to six attempts for each call.

        Raises TooLong if the prompt does not fit; Unanswered if there is no answer, or `close` was called.
        """
        return self._answer(key, request, ATTEMPTS)

    def probe(self, model: str) -> Reply:
        """The answer to a tiny question, tried once. Raises Unanswered."""
        question = Request(model, (), (Turn("user", (Block("Say: ready."),)),), max_tokens=16)
        return self._answer(uuid.uuid4().hex, question, 1)

    def close(self) -> None:
        """Makes every `send` raise Unanswered soon, also those under way."""
        self._stop.set()
        self._tidy()

    def _answer(self, key: str, request: Request, attempts: int) -> Reply:
        body = _body(request, self._web, self._extra)
        parts: list[_Message] = []
        for number in range(1 + CONTINUATIONS):
            name = f"{key}-{number}" if number else key
            parts.append(self._ask(name, _continued(body, parts), attempts))
            if parts[-1].stop != "pause_turn":
                break
        last = parts[-1]
        if last.stop == "model_context_window_exceeded":
            raise TooLong(f"prompt and answer do not fit the context of {request.model}")
        text = "".join(b.get("text", "") for part in parts for b in part.blocks if b.get("type") == "text")
        return Reply(text, last.stop, last.model, _total([part.usage for part in parts]))

    def _ask(self, key: str, body: dict[str, Any], attempts: int) -> _Message:
        """One call, tried again while that makes sense."""
        for attempt in range(1, attempts + 1):
            answer = self._watched(key, body)
            if isinstance(answer, _Message):
                return answer
            if not isinstance(answer, _Again):
                raise answer
            if attempt < attempts:
                self._rest(answer, attempt)
        raise Unanswered(f"{answer} (attempts: {attempts})")

    def _rest(self, why: _Again, attempt: int) -> None:
        """Waits as long as the server asks for, or twice as long each time; with chance, so that callers scatter."""
        if why.after is not None:
            seconds = min(LONGEST_WAIT, why.after * self._chance.uniform(1.0, 1.1))
        else:
            seconds = min(LONGEST_BACKOFF, 2.0 ** (attempt - 1)) * self._chance.uniform(0.75, 1.0)
        self._say(f"{why.what}: next try in {math.ceil(seconds)} s")
        self._wait(seconds)

    def _watched(self, key: str, body: dict[str, Any]) -> _Message | Unanswered:
        """One attempt, in a thread of its own: a read that blocks cannot be interrupted, but it can be left behind."""
        client = self._enter(body["model"])
        outcome: list[_Message | Unanswered] = []

        def attempt() -> None:
            try:
                outcome.append(self._attempt(client, key, body))
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
            raise Unanswered(CLOSED) if self._stop.is_set() else RuntimeError("the call failed; its own error is above")
        return outcome[0]

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

    def _attempt(self, client: Any, key: str, body: dict[str, Any]) -> _Message | Unanswered:
        import anthropic
        import httpx2

        named: Any = {"headers": {"Idempotency-Key": key}}
        try:
            with client.post(
                "/v1/messages",
                cast_to=object,
                body=body,
                options=named,
                stream=True,
                stream_cls=anthropic.Stream[object],
            ) as stream:
                message = _assembled(takewhile(lambda _: not self._stop.is_set(), stream))
                content = stream.response.headers.get("content-type", "no content type")
                return message or _Again(f"the answer ended too early, or is no stream of messages ({content})")
        except (anthropic.APITimeoutError, httpx2.TimeoutException):
            return _Again("the server did not answer in time")
        except anthropic.APIConnectionError as error:
            return _Again("no connection to the server", self._words(str(error.__cause__ or error)))
        except anthropic.APIStatusError as error:
            return self._refused(error, body["model"])
        except httpx2.HTTPError as error:
            return _Again("the answer was cut off", self._words(str(error)))
        except NONSENSE as error:
            return _Again("the answer cannot be read", self._words(str(error)))

    def _refused(self, error: Any, model: str) -> Unanswered:
        """What an error of the server means for us. `error` is the SDK's APIStatusError."""
        status = error.status_code if error.status_code >= 400 else STATUS.get(str(error.type), 500)
        names = f"{error.type} {error.error_code}"
        words = self._words(str(error.api_message or error.body or error.message))
        if status == 402 or BILLING.search(names) or (status in (400, 403) and NO_CREDIT.search(words)):
            return Unanswered(f"no credit ({status}): {words}", ends="run")
        if status in (401, 403):
            sent = self._key.name if self._key and self._key.name else "a call without a key"
            return Unanswered(f"the server does not accept {sent} ({status}): {words}", ends="run")
        if status == 404:
            return Unanswered(f"the server does not know the model {model} (404): {words}", ends="operator")
        if status == 413 or (status != 429 and TOO_LONG.search(f"{names} {words}")):
            return TooLong(f"the prompt is too long ({status}): {words}")
        again = error.response.headers.get("x-should-retry")
        if again == "true" or (again != "false" and (status in FAILURES or status >= 500)):
            what = f"{FAILURES.get(status, 'the server failed')} ({status})"
            return _Again(what, words, _asked(error.response.headers))
        return Unanswered(f"refused by the server ({status}): {words}")

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


def _asked(headers: Mapping[str, str]) -> float | None:
    """The seconds that the server asks to wait, from the headers that the SDK knows; None if it does not say."""
    said = headers.get("retry-after", "")
    date = parsedate_tz(said)
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        else:
            seconds = mktime_tz(date) - time.time() if date else float(said)
    except ValueError:
        return None
    return seconds if seconds > 0 else None


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


def _continued(body: dict[str, Any], parts: Sequence[_Message]) -> dict[str, Any]:
    """The request again, with what was answered so far: the server goes on from there."""
    said = [block for part in parts for block in part.blocks]
    return {**body, "messages": [*body["messages"], {"role": "assistant", "content": said}]} if said else body


def _assembled(events: Iterable[Any]) -> _Message | None:
    """The message that a stream of events spells out; None if they end before it does. Raises what NONSENSE lists."""
    blocks: dict[int, dict[str, Any]] = {}
    model, stop = "", ""
    usage: dict[str, Any] = {}
    for event in events:
        match event:
            case {"type": "message_start", "message": message}:
                model = str(message.get("model") or "")
                usage.update(message.get("usage") or {})
            case {"type": "content_block_start", "index": index, "content_block": block}:
                blocks[index] = dict(block)
            case {"type": "content_block_delta", "index": index, "delta": delta}:
                _extend(blocks[index], delta)
            case {"type": "message_delta", "delta": delta}:
                stop = str(delta.get("stop_reason") or stop)
                usage.update((name, n) for name, n in (event.get("usage") or {}).items() if n is not None)
            case {"type": "message_stop"}:
                content = tuple(_finished(blocks[index], stop) for index in sorted(blocks))
                return _Message(content, stop, model, _usage(usage))
    return None


def _extend(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    match delta:
        case {"type": "text_delta" | "thinking_delta" | "input_json_delta" as kind, **piece}:
            name = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}[kind]
            block[name] = block.get(name, "") + str(piece[name])
        case {"type": "signature_delta", "signature": signature}:
            block["signature"] = signature
        case {"type": "citations_delta", "citation": citation}:
            block["citations"] = [*(block.get("citations") or ()), citation]


def _finished(block: dict[str, Any], stop: str) -> dict[str, Any]:
    """The block as it is sent back. The input of a tool is JSON in pieces, whole unless the answer was cut short."""
    text = block.pop("partial_json", "")
    return {**block, "input": json.loads(text)} if text and stop == "pause_turn" else block


def _usage(said: Mapping[str, Any]) -> Usage | None:
    """None if a server does not say both what it read and what it wrote."""
    if said.get("input_tokens") is None or said.get("output_tokens") is None:
        return None
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
    searches = (said.get("server_tool_use") or {}).get("web_search_requests")
    return Usage(*(int(n or 0) for n in [*map(said.get, names), searches]))


def _total(usages: Sequence[Usage | None]) -> Usage | None:
    """The sum; None if one of them is not known."""
    known = [astuple(usage) for usage in usages if usage is not None]
    return Usage(*map(sum, zip(*known, strict=True))) if len(known) == len(usages) else None
