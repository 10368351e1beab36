"""What stands around a judge and notes what is done to it: a neighbour, listeners, a look at processes."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil

VICTIM = """
import ctypes, sys
secret = ctypes.create_string_buffer(sys.argv[2].encode(), 64)
print(ctypes.addressof(secret), flush=True)
for line in sys.stdin:
    print(secret.value.decode(errors="replace"), flush=True)
"""


class Victim:
    """A process of somebody else, with a secret in its environment and in its memory."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.process = subprocess.Popen(
            [sys.executable, "-c", VICTIM, "redteam-victim", secret],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.address = int(self.process.stdout.readline())

    def harm(self) -> Iterator[str]:
        if self.process.poll() is not None:
            yield f"a neighbour was killed by signal {-self.process.returncode}"
            return
        if psutil.Process(self.process.pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP):
            yield "a neighbour was stopped"
            self.process.send_signal(signal.SIGCONT)
            return
        assert self.process.stdin is not None and self.process.stdout is not None
        print("?", file=self.process.stdin, flush=True)
        if self.process.stdout.readline().strip() != self.secret:
            yield "the memory of a neighbour was overwritten"

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


class Listeners:
    """Sockets on loopback, at a path and without one; what they hear is harm."""

    def __init__(self, folder: Path) -> None:
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.path = folder / "engine.sock"
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(self.path))
        self.path.chmod(0o777)
        self.name = f"redteam-{os.getpid()}-{random.getrandbits(32):x}"
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind("\0" + self.name)
        for listener in (self.unix, self.abstract):
            listener.listen()

    def heard(self) -> Iterator[str]:
        while ready := select.select([self.tcp, self.udp, self.unix, self.abstract], [], [], 0)[0]:
            for listener in ready:
                if listener is self.udp:
                    yield f"a word arrived by udp: {listener.recv(512)!r}"
                    continue
                link, _ = listener.accept()
                link.settimeout(0.5)
                with link, contextlib.suppress(OSError):
                    if word := link.recv(512):
                        yield f"a word arrived at a listener: {word!r}"

    def close(self) -> None:
        for listener in (self.tcp, self.udp, self.unix, self.abstract):
            listener.close()


class Watcher(threading.Thread):
    """Looks at the processes below the judge while a trial runs: how many, what they hold, what the machine lost."""

    def __init__(self, judge: int, core: int) -> None:
        super().__init__(daemon=True)
        self.judge, self.core = judge, core
        self.ended = threading.Event()
        self.seen: set[str] = set()
        self.processes = self.threads = 0
        self.available = self.lowest = psutil.virtual_memory().available
        self.free = self.least = psutil.disk_usage("/").free

    def run(self) -> None:
        while not self.ended.wait(0.03):
            with contextlib.suppress(psutil.Error, OSError):
                self.look()

    def look(self) -> None:
        below = psutil.Process(self.judge).children(recursive=True)
        self.processes = max(self.processes, len(below))
        self.lowest = min(self.lowest, psutil.virtual_memory().available)
        self.least = min(self.least, psutil.disk_usage("/").free)
        threads = 0
        for process in below[:24]:
            with contextlib.suppress(psutil.Error, OSError):
                threads += process.num_threads()
                self.seen |= set(self.unusual(process))
        self.threads = max(self.threads, threads)

    def unusual(self, process: psutil.Process) -> Iterator[str]:
        if process.nice() < 0:
            yield "ran with a priority above the others'"
        if os.sched_getscheduler(process.pid) != os.SCHED_OTHER:
            yield "ran with real-time priority"
        if set(os.sched_getaffinity(process.pid)) != {self.core}:
            yield "left its core"
        for fd in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                for kind in ("io_uring", "perf_event", "bpf-map", "userfaultfd"):
                    if kind in os.readlink(fd):
                        yield f"held {kind} open"

    def stop(self, killed: bool) -> list[str]:
        """What was seen; that a box had too much for a moment is no harm where it was killed for it."""
        self.ended.set()
        self.join()
        harms = sorted(self.seen)
        if killed:
            return harms
        if self.processes > 300:
            harms.append(f"{self.processes} processes ran")
        if self.threads > 2100:
            harms.append(f"{self.threads} threads ran")
        if (taken := (self.available - self.lowest) / 2**30) > 4.3:
            harms.append(f"{taken:.1f} GB of memory were taken")
        if (written := (self.free - self.least) / 2**30) > 2.3:
            harms.append(f"{written:.1f} GB of disk were taken")
        return harms
