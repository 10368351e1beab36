"""A server of the Messages API on loopback that says what a test wants: real HTTP, real streams, and every misfortune.

    with FakeServer([Fails(529), Says("hello")]) as server:
        ...                                   # ask server.url
    assert server.requests[-1].model == "m"

A function from the request to the answer serves as well as a list. Nothing here waits unless it is told to.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"input_tokens": 10, "output_tokens": 5}


@dataclass(frozen=True)
class Received:
    """A request as it arrived. Names of headers are in lower case."""

    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def model(self) -> str:
        return str(self.body["model"])

    @property
    def prompt(self) -> str:
        """The text of system and turns, one block after the other."""
        blocks = [*self.body.get("system", ()), *(b for turn in self.body["messages"] for b in turn["content"])]
        return "\n\n".join(block["text"] for block in blocks if block["type"] == "text")


@dataclass(frozen=True)
class Says:
    """An answer. `blocks` takes the place of `text`; `model` "" is the one that was asked; `usage` None: none is told.

    `cut` is the number of events after which the stream ends (`cleanly`: as if it were whole; `error` (type, message):
    with an error event); `silent` the number of events after which nothing more comes until the server is closed.
    `delay` is in seconds, before the first event.
    """

    text: str = ""
    stop: str = "end_turn"
    model: str = ""
    usage: Mapping[str, Any] | None = field(default_factory=lambda: USAGE)
    blocks: tuple[Mapping[str, Any], ...] = ()
    cut: int | None = None
    cleanly: bool = False
    error: tuple[str, str] | None = None
    silent: int | None = None
    delay: float = 0.0

    def events(self, asked: str) -> Iterator[dict[str, Any]]:
        start = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": self.model or asked}
        told = {} if self.usage is None else {"usage": {**self.usage, "output_tokens": 1}}
        yield {"type": "message_start", "message": {**start, "stop_reason": None, **told}}
        for index, block in enumerate(self.blocks or [{"type": "text", "text": self.text}]):
            yield from _spelled(index, block)
        last = {} if self.usage is None else {"usage": dict(self.usage)}
        yield {"type": "message_delta", "delta": {"stop_reason": self.stop, "stop_sequence": None}, **last}
        yield {"type": "message_stop"}


@dataclass(frozen=True)
class Fails:
    """Any other response: a status with a body, which a mapping makes JSON. `kind` and `message` make an API error."""

    status: int = 500
    message: str = "no reason"
    kind: str = "api_error"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | Mapping[str, Any] | None = None
    content_type: str = "application/json"

    def text(self) -> str:
        error = {"type": "error", "error": {"type": self.kind, "message": self.message}}
        body = error if self.body is None else self.body
        return body if isinstance(body, str) else json.dumps(body)


Answer = Says | Fails


class FakeServer:
    """Serves `answers` in order, or what `answers` makes of each request, from `with` to its end. Threads may ask."""

    def __init__(self, answers: Iterable[Answer] | Callable[[Received], Answer]) -> None:
        self._answers = answers if callable(answers) else iter(answers)
        self._lock = threading.Lock()
        self.requests: list[Received] = []
        self.connections = 0  # that are open
        self.closing = threading.Event()
        self._server = _Loopback(("127.0.0.1", 0), _Line)
        self._server.fake = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, received: Received) -> Answer:
        with self._lock:
            self.requests.append(received)
            if not callable(self._answers):
                return next(self._answers, Fails(418, "the test has no further answers"))
        return self._answers(received)

    def count(self, change: int) -> None:
        with self._lock:
            self.connections += change

    def __enter__(self) -> FakeServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Loopback(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # connections that come at once; with the usual five, the sixth waits a second


class _Line(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle(self) -> None:
        fake: FakeServer = self.server.fake  # type: ignore[attr-defined]
        fake.count(1)
        with suppress(ConnectionError):  # the client may have gone
            super().handle()
        fake.count(-1)

    def do_POST(self) -> None:
        fake: FakeServer = self.server.fake  # type: ignore[attr-defined]
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.path != "/v1/messages":
            return self._send(Fails(404, f"no such path: {self.path}", "not_found_error"))
        answer = fake.answer(Received(headers, body))
        if isinstance(answer, Fails):
            self._send(answer)
        else:
            self._stream(answer, str(body["model"]), fake.closing)

    def _send(self, answer: Fails) -> None:
        data = answer.text().encode()
        self.send_response(answer.status)
        headers = {"content-type": answer.content_type, "content-length": str(len(data)), **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, answer: Says, asked: str, closing: threading.Event) -> None:
        time.sleep(answer.delay)
        if answer.silent == 0:
            closing.wait()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number, event in enumerate(answer.events(asked)):
            if number == answer.cut:
                break
            if number == answer.silent:
                closing.wait()
            self._event(event)
        if answer.error is not None:
            kind, message = answer.error
            self._event({"type": "error", "error": {"type": kind, "message": message}})
        if answer.cut is None or answer.cleanly or answer.error is not None:
            self._chunk(b"")
        else:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def _event(self, event: Mapping[str, Any]) -> None:
        self._chunk(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


def _spelled(index: int, block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of a content block: text and the input of a tool come in two pieces each, other blocks whole."""
    pieces: list[dict[str, Any]] = []
    if block["type"] == "text":
        half = len(block["text"]) // 2
        pieces = [{"type": "text_delta", "text": text} for text in (block["text"][:half], block["text"][half:])]
        pieces += [{"type": "citations_delta", "citation": citation} for citation in block.get("citations", ())]
        block = {"type": "text", "text": ""}
    elif "input" in block:
        text = json.dumps(block["input"])
        pieces = [{"type": "input_json_delta", "partial_json": part} for part in (text[:3], text[3:])]
        block = {**block, "input": {}}
    yield {"type": "content_block_start", "index": index, "content_block": dict(block)}
    for piece in pieces:
        yield {"type": "content_block_delta", "index": index, "delta": piece}
    yield {"type": "content_block_stop", "index": index}
