"""The judge's end of a wire: one JSON line per message, followed by raw bytes where the line announces them.

A socket pair carries the messages; file descriptors may ride along. Nothing is ever unpickled, a line is at most
64 kB, and the other end is not trusted: whatever is not a JSON object of plain values is a `WireError`.
"""

from __future__ import annotations

import json
import re
import socket
from typing import Any

Message = dict[str, Any]
MAX_LINE = 65536
CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[^\n\t\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd]")


class WireError(Exception):
    """The other end sent something that is no message."""


class Wire:
    """Messages over a connected stream socket. With `takes_fds`, `fds` holds the descriptors that came along."""

    def __init__(self, sock: socket.socket, takes_fds: bool = False) -> None:
        self.sock, self.takes_fds = sock, takes_fds
        self.fds: list[int] = []
        self._buffer = b""

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, message: Message, raw: bytes | memoryview = b"", fds: tuple[int, ...] = ()) -> None:
        """Send one message; `raw` follows it and is announced by its key `bytes`."""
        head = message | ({"bytes": len(raw)} if raw else {})
        line = json.dumps(head).encode() + b"\n"
        if fds:
            socket.send_fds(self.sock, [line], list(fds))
        else:
            self.sock.sendall(line)
        if raw:
            self.sock.sendall(raw)

    def receive(self) -> list[Message] | None:
        """The messages that one read completes, perhaps none; None when the other end has closed."""
        try:
            if self.takes_fds:
                chunk, fds, _, _ = socket.recv_fds(self.sock, MAX_LINE, 4)
                self.fds += fds
            else:
                chunk = self.sock.recv(MAX_LINE)
        except ConnectionResetError:
            return None
        if not chunk:
            return None
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        if len(self._buffer) > MAX_LINE:
            raise WireError("a message longer than 64 kB")
        return [_parse(line) for line in lines]

    def close(self) -> None:
        self.sock.close()


def _parse(line: bytes) -> Message:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {line[:80]!r}") from error
    if not isinstance(message, dict) or any(isinstance(value, dict | list) for value in message.values()):
        raise WireError(f"not a JSON object of plain values: {line[:80]!r}")
    return message


def printable(text: str) -> str:
    """Text of a box without what could steer a terminal or cannot be encoded."""
    return CONTROL.sub("", text.replace("\r", "\n"))
