"""The judge's hold on boxes that are exec'd ahead and wait for a script: those of a GPU.

A spare is always being prepared, so that its import of torch overlaps with the training of the box before it. Each
has a folder of its own, serves one trial and ends with all that it started.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from select import select

from box import CACHE
from ladder import Isolation
from nursery import (
    END_WALL,
    ENVIRONMENT,
    FOLDER,
    START_WALL,
    UNWRAPPED,
    Box,
    Infrastructure,
    Log,
    ends,
    number,
    remove,
)
from wire import Message, Wire

TERM_WALL = 5.0  # seconds for a keeper to sweep before it is killed itself
COMPILING = {  # a pool of compiling processes begins in the box, when it is needed, and imports nothing anew
    "TORCH_WARM_POOL": "0",
    "TORCHINDUCTOR_WORKER_START": "fork",
}


@dataclass
class Spare:
    """A keeper and its box, which waits, or will when it has imported torch. `box` names the box's process."""

    folder: Path
    process: subprocess.Popen[bytes]
    control: Wire
    box: int = -1
    about: Message = field(default_factory=dict)
    _messages: list[Message] = field(default_factory=list)

    def await_ready(self) -> Message:
        """What the box says when it waits. Raises Infrastructure when it does not."""
        if not self.about:
            self.expect("forked", START_WALL)
            self.box = self.control.fds.pop()
            self.about = self.expect("waiting", START_WALL)
        return self.about

    def expect(self, key: str, seconds: float) -> Message:
        """The next message, which must have this key. Raises Infrastructure."""
        while not self._messages:
            ready, _, _ = select([self.control], [], [], seconds)
            messages = self.control.receive() if ready else None
            if not messages:
                raise Infrastructure(f"the box's keeper did not answer ({key}); see the judge's standard error")
            self._messages += messages
        message = self._messages.pop(0)
        if "error" in message:
            raise Infrastructure(message["error"])
        if key not in message:
            raise Infrastructure(f"a box ended before it was ready ({message}); see the judge's standard error")
        return message

    def close(self) -> None:
        """End it with all that runs below it, and its folder."""
        self.process.terminate()
        try:
            self.process.wait(TERM_WALL)
        except subprocess.TimeoutExpired:
            self.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # it hangs in the driver: nothing ends it
                self.process.wait(TERM_WALL)
        self.control.close()
        if self.box >= 0:
            os.close(self.box)
            self.box = -1
        remove(self.folder)


class Waiting:
    """One box at a time and a spare. `parent` holds the folders of the boxes; `ready` is what the first spare said.

    `nodes` are those of the device; `environment` is what the box sees besides the usual. Each box begins with a copy
    of the compile cache in the folder `compiled`, where there is one. Has the interface of `nursery.Nursery`, whose
    `folder` and `process` are here those of the latest box.
    """

    def __init__(
        self,
        parent: Path,
        memory_mb: int,
        isolation: Isolation = UNWRAPPED,
        device: str = "cpu",
        nodes: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
        compiled: Path | None = None,
    ) -> None:
        self.parent, self.memory_mb, self.isolation = parent, memory_mb, isolation
        self.device, self.nodes, self.compiled = device, nodes, compiled
        self.environment = {**ENVIRONMENT, **COMPILING, **(environment or {})}
        self.kept: Path | None = None  # where the compile cache of the present box is to be moved at its end
        self._count = 0
        self._running: Spare | None = None
        self._spare: Spare | None = None
        parent.mkdir(parents=True, mode=0o700)
        with contextlib.ExitStack() as failed:  # also by the signal that ends the judge
            failed.callback(self.close)
            self._spare = self._prepare()
            self.folder, self.process = self._spare.folder, self._spare.process
            self.ready = self._spare.await_ready()
            failed.pop_all()

    def _prepare(self) -> Spare:
        """Begin another spare; it is not waited for. Raises Infrastructure."""
        self._count += 1
        folder = self.parent / f"box-{self._count}"
        with contextlib.ExitStack() as failed:
            try:
                ours, theirs = socket.socketpair()
                failed.callback(remove, folder)
                failed.callback(ours.close)
                with theirs:
                    (folder / "tmp").mkdir(parents=True, mode=0o700)
                    if self.compiled and self.compiled.is_dir():
                        shutil.copytree(self.compiled, folder / CACHE)
                    process = subprocess.Popen(
                        [
                            *self.isolation.prefix(folder, self.nodes),
                            *(sys.executable, "-I", str(FOLDER / "waiter.py"), str(theirs.fileno()), str(folder)),
                            *(str(self.memory_mb), self.isolation.level, self.device, *map(str, self.nodes)),
                            *("--", *map(str, self.isolation.hidden)),
                        ],
                        pass_fds=[theirs.fileno()],
                        cwd=folder,
                        stdin=subprocess.DEVNULL,
                        stdout=sys.stderr,
                        env=self.environment | self._places(folder),
                    )
            except OSError as error:
                raise Infrastructure(f"a box cannot be prepared: {error}") from error
            failed.pop_all()
        return Spare(folder, process, Wire(ours, takes_fds=True))

    @staticmethod
    def _places(folder: Path) -> dict[str, str]:
        """Where a box writes: its compile cache too is its own."""
        return {"HOME": str(folder), "TMPDIR": str(folder / "tmp"), "TORCHINDUCTOR_CACHE_DIR": CACHE}

    def _take(self) -> Spare:
        """The spare, ready; a new one where it has died while it waited. Raises Infrastructure."""
        spare, self._spare = self._spare, None
        if spare and (spare.process.poll() is not None or (spare.box >= 0 and select([spare.box], [], [], 0)[0])):
            spare.close()
            spare = None
        spare = spare or self._prepare()
        with contextlib.ExitStack() as failed:
            failed.callback(spare.close)
            spare.await_ready()
            failed.pop_all()
        return spare

    def start(self, source: bytes) -> Box:
        """Put the script into the folder of the spare, let it go, and begin to prepare the next one."""
        spare = self._take()
        with contextlib.ExitStack() as failed:
            failed.callback(spare.close)
            ours, theirs, read, write = ends()
            failed.callback(ours.close)
            failed.callback(os.close, read)
            try:
                (spare.folder / "train.py").write_bytes(source)
                spare.control.send({"op": "start"}, fds=(theirs.fileno(), write))
            except OSError as error:
                raise Infrastructure(f"the script cannot be put into a box: {error}") from error
            finally:
                theirs.close()
                os.close(write)
            box = Box(Wire(ours), Log(read), number(spare.box), os.dup(spare.box))
            failed.pop_all()
        self._running, self.folder, self.process = spare, spare.folder, spare.process
        self.renew()
        return box

    def renew(self) -> None:
        """Begin the spare anew, with the compile cache as it is now. Where it fails, the next trial tries again."""
        if self._spare:
            self._spare.close()
            self._spare = None
        try:
            self._spare = self._prepare()
        except Infrastructure as error:
            print(f"judge: no box waits: {error}", file=sys.stderr, flush=True)

    def end(self, box: Box) -> Message:
        """Kill the box and all that it left; returns its exit code and peak memory."""
        spare, self._running = self._running, None
        assert spare is not None, "a box ends once"
        try:
            box.kill()
            box.ended = spare.expect("exit", END_WALL)
            spare.expect("swept", END_WALL)
            box.log.drain()
            if self.kept and (spare.folder / CACHE).is_dir():
                shutil.move(spare.folder / CACHE, self.kept)
        finally:
            spare.close()
            box.close()
        return box.ended

    def close(self) -> None:
        """End the box, the spare, whatever runs below them, and the folder."""
        for spare in (self._running, self._spare):
            if spare:
                spare.close()
        self._running = self._spare = None
        remove(self.parent)
