"""The self-test of a level: the canary in a real box of it, against a secret, a listener and a judge that are there.

What is said of the isolation is built from what the canary found, not from what was intended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from select import select

from landlockpy import abi_version

from ladder import FOLDER, Isolation, candidates, lacking
from nursery import Box, Infrastructure, Nursery
from packages import test_folders
from wire import Message, WireError

WALL = 60.0  # seconds for the canary
DENIED = {  # what must have been refused for a level to hold; the rest is told
    "read": "reading files outside the box",
    "masked": "reading the masked texts",
    "write": "writing outside the box",
    "environ": "reading the judge's environment",
    "memory": "reading the judge's memory",
    "ptrace": "tracing the judge",
    "signal": "signals to the judge",
    "tcp": "TCP",
    "udp": "UDP",
    "userns": "new user namespaces",
    "io_uring": "io_uring",
    "stat": "stat() of hidden files",
    "socket": "path unix sockets",
    "abstract": "abstract unix sockets",
    "pids": "pid hiding",
}
MAY_BE_ALLOWED = {"N": set[str](), "L": {"stat", "socket", "abstract", "signal", "pids"}}
MAY_BE_ALLOWED["U"] = MAY_BE_ALLOWED["L"] | {"read"}
NEEDED = {  # what must have worked, and the layer and cure where it did not
    "compute": "torch cannot compute: for CUDA the nodes of the device, /sys and a writable /proc are needed",
    "folder": "the box's own folder cannot be written: is its file system read-only or full?",
    "thread": "no threads can be started: see ulimit -u, or pids.max of the container",
    "pair": "no socket pairs: the container's seccomp profile forbids them",
    "compiler": "a compiled library does not load: is the cache on a file system mounted noexec? choose --cache",
}
UNISOLATED = (
    "No isolation available ({}). LLM-written code would run with your full rights. "
    "Run inside a container or VM, or pass --unsafe-no-sandbox."
)
UNSAFE = "none: scripts run with all your rights (--unsafe-no-sandbox), within resource limits only"


class NoIsolation(Exception):
    """No level that may be taken holds here."""


@dataclass(frozen=True)
class Settled:
    """An isolation that holds here, a nursery under it, and a line that says what it is."""

    isolation: Isolation
    nursery: Nursery
    line: str


def settle(
    start: Callable[[Isolation], Nursery], asked: str, unsafe: bool, hidden: list[Path], say: Callable[[str], None]
) -> Settled:
    """The best isolation that holds here.

    `asked` is "auto" or the highest level to try; `unsafe` takes none where none holds, and `asked` "none" tries none.
    `hidden` are the folders with texts. Raises NoIsolation, and whatever else `start` raises but Infrastructure.
    """
    tried: dict[str, str] = {}
    for isolation in candidates(asked, hidden) if asked != "none" else ():
        tried[isolation.level] = lacking(isolation.level)
        if not tried[isolation.level]:
            try:
                return begin(start, isolation)
            except (Infrastructure, NoIsolation) as error:
                tried[isolation.level] = str(error)
        say(f"no isolation {isolation.level}: {tried[isolation.level]}")
    if not unsafe:
        reasons = "; ".join(f"{level}: {reason}" for level, reason in tried.items()) or "none was asked for"
        raise NoIsolation(UNISOLATED.format(reasons))
    isolation = Isolation("none")
    return Settled(isolation, start(isolation), UNSAFE)


def begin(start: Callable[[Isolation], Nursery], isolation: Isolation) -> Settled:
    """Start a nursery and try its boxes. Raises Infrastructure, or NoIsolation with what did not hold."""
    nursery = start(isolation)
    with contextlib.ExitStack() as failed:
        failed.callback(nursery.close)
        found = release(nursery, isolation)
        if faults := judged(isolation.level, found):
            raise NoIsolation("; ".join(faults))
        failed.pop_all()
    return Settled(isolation, nursery, describe(isolation.level, nursery.ready, found))


def release(nursery: Nursery, isolation: Isolation) -> dict[str, str]:
    """What the canary found in a box: a word for each attempt. Raises Infrastructure where it did not come back."""
    with plant(isolation, nursery.folder.parent) as (plan, signalled):
        plan["device"] = nursery.device
        box = nursery.start((FOLDER / "canary.py").read_bytes())
        try:
            found = listen(box, plan)
        finally:
            ended = nursery.end(box)
    if found is None:
        raise Infrastructure(f"the self-test ended with {ended['exit']}: {box.log.text()[-300:]}")
    return found | {"signal": "ALLOWED" if signalled else "denied"}


@contextlib.contextmanager
def plant(isolation: Isolation, otherwise: Path) -> Iterator[tuple[Message, list[int]]]:
    """A secret in the first hidden folder, or one `otherwise`, listeners, and a signal that is noted; the plan that
    tells the canary."""
    signalled: list[int] = []
    masked = [str(next(place.rglob("*.py"))) for place in test_folders()] or [str(FOLDER / "judge.py")]
    masked += [str(file) for place in isolation.hidden[1:] for file in _first_file(place)]
    secret = (*isolation.hidden, otherwise)[0] / f".secret-{os.getpid()}"
    with contextlib.ExitStack() as planted:
        outside = planted.enter_context(tempfile.TemporaryDirectory(prefix="evolve-"))
        os.chmod(outside, 0o777)  # whoever the canary is
        planted.callback(secret.unlink, missing_ok=True)
        secret.write_text("a secret")
        secret.chmod(0o644)
        abstract = f"evolve-{os.getpid()}-{os.urandom(4).hex()}"
        kinds = {
            "tcp": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "udp": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "socket": (socket.AF_UNIX, socket.SOCK_STREAM, f"{outside}/socket"),
            "abstract": (socket.AF_UNIX, socket.SOCK_STREAM, "\0" + abstract),
        }
        ports: Message = {}
        for name, (family, kind, address) in kinds.items():
            end = planted.enter_context(socket.socket(family, kind))
            end.bind(address)
            if kind == socket.SOCK_STREAM:
                end.listen()
            ports[name] = end.getsockname()[1] if family == socket.AF_INET else ""
        os.chmod(f"{outside}/socket", 0o777)
        before = signal.signal(signal.SIGURG, lambda number, _: signalled.append(number))
        planted.callback(signal.signal, signal.SIGURG, before)
        yield (
            (
                ports
                | {"socket": f"{outside}/socket", "abstract": abstract, "secret": str(secret), "masked": masked}
                | {
                    "outside": outside,
                    "judge": os.getpid(),
                    "signal": int(signal.SIGURG),
                    "proc": os.stat("/proc").st_dev,
                }
            ),
            signalled,
        )


def _first_file(folder: Path) -> list[Path]:
    """One file of a folder that is to be hidden, where it has any."""
    return list(islice((path for path in folder.rglob("*") if path.is_file()), 1))


def listen(box: Box, plan: Message) -> dict[str, str] | None:
    """Answer the canary until it says what it found; None when it ends before."""
    hello = {"budget": 1.0, "seed": 0, "device": plan.get("device", "cpu"), "max_seq_len": 8, "vocab_size": 256}
    until = time.monotonic() + WALL
    while (seconds := until - time.monotonic()) > 0:
        ready, _, _ = select([box.wire, box.log], [], [], seconds)
        if box.log in ready:
            box.log.drain()
        try:
            messages = box.wire.receive() if box.wire in ready else []
        except WireError:
            return None
        if messages is None:
            return None
        for message in messages:
            if message.get("op") == "found":
                return {name: str(word) for name, word in message.items() if name != "op"}
            box.wire.send(hello if message.get("op") == "hello" else plan)
    return None


def judged(level: str, found: dict[str, str]) -> list[str]:
    """Why a level does not hold, from what the canary found."""
    open_ = [why for name, why in DENIED.items() if found.get(name) != "denied" and name not in MAY_BE_ALLOWED[level]]
    broken = [f"{why} ({found.get(name)})" for name, why in NEEDED.items() if found.get(name) != "ok"]
    return ([f"not refused: {', '.join(open_)}"] if open_ else []) + broken


def describe(level: str, ready: Message, found: dict[str, str]) -> str:
    """One line: what isolates the boxes, and what does not."""
    parts = {
        "bwrap(mnt)": level == "N",
        "other user": level == "U",
        "namespaces(user,pid,net,ipc)": bool(ready["namespaces"]) and level != "U",
        "namespaces(pid,net,ipc)": bool(ready["namespaces"]) and level == "U",
        f"landlock(abi{abi_version()})": bool(ready["landlock"]),
        "seccomp": True,
        "rlimits": True,
    }
    lacks = [why for name, why in DENIED.items() if found[name] != "denied"]
    if found["shared_memory"] != "ok":
        lacks.append("shared memory (DataLoader only with num_workers=0)")
    elif ready["shared_memory"] == "shared":
        lacks.append("own /dev/shm")
    return (
        f"{level}: {'+'.join(part for part, there in parts.items() if there)}; "
        f"NOT: {', '.join([*lacks, 'memory cgroup (watchdog instead)'])}"
    )
