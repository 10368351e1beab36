"""The page of a run served live: on loopback only, read-only, two routes, and no file can be reached by a name.

Whoever is at this machine may read it. A page of another site may not: a browser that was led here under another name
(DNS rebinding) sends that name as the host, which is refused, and no answer allows another origin to read it.
"""

from __future__ import annotations

import json
import sys
import threading
import webbrowser
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from evolve.config import ConfigError
from evolve.history import History
from evolve.model import digest
from evolve.page.html import page_of, waiting_page
from evolve.reports.watch import Follower
from evolve.store import FILE, StoreError

ADDRESS = "127.0.0.1"
NAMES = (ADDRESS, "localhost")
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Live:
    """The page of a run that grows. Any thread may ask; each event is read once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._follower = Follower(directory)
        self._file = 0  # inode of the log that is followed
        self._page = ("", "")  # a revision with its page

    def revision(self) -> str:
        """Changes when there is something new to show."""
        with self._lock:
            return self._look()[0]

    def page(self) -> str:
        with self._lock:
            revision, found = self._look()
            if self._page[0] != revision:
                if isinstance(found, str):
                    self._page = revision, waiting_page(self._directory, found, revision)
                else:
                    self._page = revision, page_of(self._directory, found, revision)
            return self._page[1]

    def close(self) -> None:
        with self._lock:
            self._follower.close()

    def _look(self) -> tuple[str, History | str]:
        """A revision, and the history; or the reason why there is none to show."""
        log = self._directory / FILE
        inode = log.stat().st_ino if log.exists() else 0
        if inode != self._file:  # there is a log now, or another one
            self._follower.close()
            self._follower, self._file = Follower(self._directory), inode
        try:
            look = self._follower.look()
        except StoreError as error:
            self._file = -1  # what was read until then is not to be trusted
            return f"unreadable {digest(str(error))}", str(error)
        if look is None:
            return "waiting", "The run has not begun: nothing is recorded yet."
        history = look.history
        told = (len(history.candidates), history.rulings, len(history.sessions), look.state.name)
        return f"{inode}." + ".".join(map(str, told)), history


class Server(ThreadingHTTPServer):
    """Answers for one run. Threads end with the process."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, directory: Path, port: int) -> None:
        self.live = Live(directory)
        super().__init__((ADDRESS, port), _Answer)

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.server_port}/"

    def hosts(self) -> set[str]:
        """What a browser at this machine sends as the host."""
        return {f"{name}:{self.server_port}" for name in NAMES} | set(NAMES if self.server_port == 80 else ())

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser may go away in the middle of an answer: nobody needs to hear of that."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def server_close(self) -> None:
        super().server_close()
        self.live.close()


class _Answer(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "evolve", ""
    timeout = 30  # seconds that a connection may say nothing

    def parse_request(self) -> bool:
        """Before any method is looked at: the right host, and only methods that read."""
        if not super().parse_request():
            return False
        if self.headers.get_all("Host", []) not in [[host] for host in self.server.hosts()]:
            self._send(HTTPStatus.MISDIRECTED_REQUEST, f"this is {self.server.url}\n")
            return False
        if self.command not in ("GET", "HEAD"):
            self._send(HTTPStatus.METHOD_NOT_ALLOWED, "the page is read-only\n", more={"Allow": "GET, HEAD"})
            return False
        return True

    def do_GET(self) -> None:
        if self.path == "/":
            self._send(HTTPStatus.OK, self.server.live.page(), "text/html")
        elif self.path == "/revision":
            self._send(HTTPStatus.OK, json.dumps({"revision": self.server.live.revision()}), "application/json")
        else:
            self._send(HTTPStatus.NOT_FOUND, "there is only /\n")

    do_HEAD = do_GET

    def _send(
        self, status: HTTPStatus, text: str, kind: str = "text/plain", more: dict[str, str] | None = None
    ) -> None:
        body = text.encode()
        self.send_response(status)
        length = {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(body)), "Connection": "close"}
        for name, value in (HEADERS | length | (more or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a person looks at the page, not at this."""


def serve(directory: Path, port: int, show: bool, say: Callable[[str], None]) -> int:
    """Serve until Ctrl-C. `port` 0 is any that is free. Raises `ConfigError` if the port cannot be had."""
    try:
        server = Server(directory, port)
    except OSError as error:
        raise ConfigError(f"cannot serve on port {port} ({error.strerror}): choose another --port; 0 is any") from error
    with server:
        say(f"Serving {directory} at {server.url} to this machine only. Ctrl-C ends it; the run is not touched.")
        if show and not webbrowser.open(server.url):
            say("No browser could be opened: open the address by hand.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("Ended.")
    return 0
