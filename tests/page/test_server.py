"""The served page: live, on loopback, read-only, and nothing but the page."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from itertools import islice
from pathlib import Path

import pytest

from evolve.cli import main
from evolve.page.server import Server
from evolve.store import FILE, Store
from tests.page.conftest import serving
from tests.page.synthetic import Run, write

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Of a run that does not change."""
    with serving(write(tmp_path_factory.mktemp("served") / "run", Run(12).events())) as found:
        yield found


def ask(server: Server, method: str = "GET", path: str = "/", host: str = "") -> tuple[HTTPResponse, str]:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
    connection.endheaders()
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response, text


def revision(server: Server) -> str:
    return str(json.loads(ask(server, path="/revision")[1])["revision"])


def test_the_page_is_served_to_this_machine_only(server: Server) -> None:
    response, text = ask(server)
    assert response.status == 200 and response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Pareto front" in text and f'data-revision="{revision(server)}"' in text
    assert "connect-src &#39;self&#39;" in text
    assert response.headers["X-Content-Type-Options"] == "nosniff" and response.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in response.headers
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "ANYTHING"])
def test_it_is_read_only(server: Server, method: str) -> None:
    response, _ = ask(server, method)
    assert response.status == 405 and response.headers["Allow"] == "GET, HEAD"


def test_head_has_the_headers_without_the_page(server: Server) -> None:
    response, text = ask(server, "HEAD")
    assert response.status == 200 and int(response.headers["Content-Length"]) > 100_000 and text == ""


@pytest.mark.parametrize(
    "path",
    [
        "/run.sqlite",
        "/../run.sqlite",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/static/page.js",
        "/index.html",
        "/revision/../run.sqlite",
        "/revision?x=/etc/passwd",
        "http://127.0.0.1/etc/passwd",
        "/\\..\\run.sqlite",
        "*",
    ],
)
def test_no_other_file_can_be_reached(server: Server, path: str) -> None:
    response, text = ask(server, path=path)
    assert (response.status, text) == (404, "there is only /\n")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "127.0.0.1", "[::1]"]
)
def test_another_name_of_this_machine_is_refused(server: Server, host: str) -> None:
    response, text = ask(server, host=host.format(port=server.server_port))
    assert response.status == 421 and "Pareto" not in text
    assert ask(server, host=f"localhost:{server.server_port}")[0].status == 200


def test_a_request_without_a_host_is_refused(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b" 421 " in connection.recv(200)


def test_a_browser_that_goes_away_is_no_error(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(5):
        connection = socket.create_connection(("127.0.0.1", server.server_port))
        connection.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode())
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with a reset
        connection.close()
    assert ask(server)[0].status == 200
    assert capfd.readouterr().err == ""


def test_the_page_follows_the_run(tmp_path: Path) -> None:
    """From before it began to its end, and another that takes its place; a page that is open learns of it."""
    rows = Run(12).events()
    directory = tmp_path / "run"
    with serving(directory) as server:
        assert "The run has not begun" in ask(server)[1]
        waiting = revision(server)
        store = Store.open(directory, durable=False)
        for kind, key, body in islice(rows, 3):
            store.append(kind, key, body)
        begun = revision(server)
        assert "Nothing is measured yet" in ask(server)[1] and "running" in ask(server)[1]
        for kind, key, body in rows:
            store.append(kind, key, body)
        going = revision(server)
        assert "Pareto front" in ask(server)[1]
        store.close()
        ended = revision(server)
        assert len({waiting, begun, going, ended}) == 4
        assert ended == revision(server)
        assert "stopped" in ask(server)[1]
        (directory / FILE).unlink()
        assert revision(server) == waiting
        write(directory, Run(14).events())
        assert revision(server) not in (begun, going, ended)


def test_a_log_that_cannot_be_read_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"<b>no database</b>" * 100)
    with serving(tmp_path) as server:
        response, text = ask(server)
    assert response.status == 200 and "cannot be read" in text


def test_the_command_serves_until_ctrl_c(tmp_path: Path) -> None:
    """Also in a folder where no run has begun."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    command = [sys.executable, "-m", "evolve", "serve", str(tmp_path), "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    said = process.stdout.readline()
    port = int(said.partition("http://127.0.0.1:")[2].partition("/")[0])
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/revision")
    assert connection.getresponse().status == 200
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0 and err == "" and "Traceback" not in out


@pytest.mark.parametrize(
    ("folder", "cure"), [("", "choose another --port; 0 is any"), ("misspelt", "there is no folder")]
)
def test_what_cannot_be_served_is_told_with_the_cure(
    server: Server, tmp_path: Path, folder: str, cure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A port that is taken, and a folder that is not there, which nobody should wait for."""
    assert main(["serve", str(tmp_path / folder), "--port", str(server.server_port)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and cure in err
