"""The judge's hold on its boxes: a zygote process, and one box at a time with its log, its process id and its end."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from select import select

from ladder import Isolation
from wire import Message, Wire, printable

FOLDER = Path(__file__).resolve().parent
START_WALL = 120.0  # seconds for importing torch
END_WALL = 30.0  # seconds for a killed box to be gone
SEND_WALL = 5.0  # seconds for a box to take an answer that it asked for
UNWRAPPED = Isolation("L")
ENVIRONMENT = {  # what every box sees of the world outside
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "USER": "box",  # torch asks for it, and no table of users may have the one inside
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
HEAD, TAIL = 1024, 3000  # characters kept of a log


class Infrastructure(Exception):
    """The harness failed, not the candidate."""


class Log:
    """The read end of a box's output: head and tail are kept, the middle is dropped, and what comes after `end`."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._ended = False
        self._head = self._tail = b""
        os.set_blocking(fd, False)

    def fileno(self) -> int:
        return self.fd

    def drain(self) -> bool:
        """Read what is there; False at its end."""
        for _ in range(16):
            try:
                chunk = os.read(self.fd, 65536)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            if self._ended:
                continue
            room = HEAD - len(self._head)
            self._head += chunk[:room]
            self._tail = (self._tail + chunk[room:])[-TAIL:] if room < len(chunk) else self._tail
        return True

    def end(self) -> None:
        """Keep what was printed until now, and nothing that is printed from now on."""
        self.drain()
        self._ended = True

    def text(self) -> str:
        """At most 4 kB without control characters."""
        text = self._head + (b"\n" if len(self._tail) == TAIL else b"") + self._tail
        return printable(text.decode(errors="replace"))


@dataclass
class Box:
    """A box that runs: the wire to it, its log, its process id and a descriptor that names the process for good."""

    wire: Wire
    log: Log
    pid: int
    process: int
    ended: Message = field(default_factory=dict)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it ended first
            signal.pidfd_send_signal(self.process, signal.SIGKILL)

    def close(self) -> None:
        self.wire.close()
        os.close(self.log.fd)
        os.close(self.process)


class Nursery:
    """A zygote and its folder, in which each box in turn finds its script and may write.

    `client` is the folder of the module `prepare` that the scripts import.
    """

    device = "cpu"

    def __init__(self, folder: Path, memory_mb: int, isolation: Isolation = UNWRAPPED, client: Path = FOLDER) -> None:
        self.folder = folder
        folder.mkdir(parents=True, mode=0o700)
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as failed:  # also by the signal that ends the judge
            failed.callback(ours.close)
            with theirs:
                self.process = subprocess.Popen(
                    [
                        *isolation.prefix(folder, client=client),
                        *(sys.executable, "-I", str(FOLDER / "zygote.py")),
                        *(str(theirs.fileno()), str(folder), str(memory_mb)),
                        *(isolation.level, str(client), *map(str, isolation.hidden)),
                    ],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=sys.stderr,
                    env={**ENVIRONMENT, "HOME": str(folder)},
                )
            self.control = Wire(ours, takes_fds=True)
            self._messages: list[Message] = []
            failed.callback(self.close)
            self.ready = self.expect("ready", START_WALL)
            failed.pop_all()

    def start(self, source: bytes) -> Box:
        """Put the script in place and fork a box that runs it."""
        try:
            self.clear()
            (self.folder / "tmp").mkdir()
            (self.folder / "train.py").write_bytes(source)
        except OSError as error:
            raise Infrastructure(f"cannot put the script in place: {error}") from error
        ours, theirs, read, write = ends()
        with contextlib.ExitStack() as failed:
            failed.callback(os.close, read)
            failed.callback(ours.close)
            try:
                self.control.send({"op": "start"}, fds=(theirs.fileno(), write))
            except OSError as error:
                raise Infrastructure(f"the zygote has gone ({error}); see the judge's standard error") from error
            finally:
                theirs.close()
                os.close(write)
            self.expect("started", END_WALL)
            process = self.control.fds.pop()
            box = Box(Wire(ours), Log(read), number(process), process)
            failed.pop_all()
        return box

    def end(self, box: Box) -> Message:
        """Kill the box and all that it left; returns its exit code and peak memory."""
        box.kill()
        try:
            box.ended = self.expect("exit", END_WALL)
            self.expect("swept", END_WALL)
        finally:
            box.log.drain()
            box.close()
        return box.ended

    def expect(self, key: str, seconds: float) -> Message:
        """The zygote's next message, which must have this key. Raises Infrastructure."""
        while not self._messages:
            ready, _, _ = select([self.control], [], [], seconds)
            messages = self.control.receive() if ready else None
            if not messages:
                raise Infrastructure(f"the zygote did not answer ({key}); see the judge's standard error")
            self._messages += messages
        message = self._messages.pop(0)
        if "error" in message:
            raise Infrastructure(message["error"])
        if key not in message:
            raise Infrastructure(f"the zygote said {message} where {key} was due")
        return message

    def clear(self) -> None:
        """Remove what the last box left."""
        self.folder.chmod(0o700)
        for entry in self.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                remove(entry)
            else:
                entry.unlink(missing_ok=True)
        if left := next(self.folder.iterdir(), None):
            raise OSError(errno.ENOTEMPTY, f"{left.name} of the last box cannot be removed")

    def close(self) -> None:
        """End the zygote, whatever runs below it, and the folder."""
        self.process.kill()
        self.process.wait()
        self.control.close()
        remove(self.folder)


def ends() -> tuple[socket.socket, socket.socket, int, int]:
    """Both ends of a box's wire, and of the pipe for its output. Raises Infrastructure."""
    with contextlib.ExitStack() as failed:
        try:
            ours, theirs = socket.socketpair()
            failed.callback(ours.close)
            failed.callback(theirs.close)
            read, write = os.pipe()
        except OSError as error:
            raise Infrastructure(f"cannot make the lines to a box: {error}") from error
        failed.pop_all()
    ours.settimeout(SEND_WALL)
    return ours, theirs, read, write


def number(process: int) -> int:
    """The id, in this process's namespace, of the process that a descriptor names; -1 when it is gone."""
    lines = Path(f"/proc/self/fdinfo/{process}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pid:"))


def remove(folder: Path) -> None:
    """Remove a folder of a box that has ended, whatever the box closed to itself.

    A box may nest folders deeper than Python's recursion or any path can go; rm and chmod know how to walk those.
    Where no descriptor or process is left to start them with, the folder stays, for who needs its place to try again.
    """
    with contextlib.suppress(OSError, RecursionError):
        shutil.rmtree(folder)
        return
    with contextlib.suppress(OSError):
        for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            if os.path.lexists(folder):
                subprocess.run([*command, "--", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
