"""A clean process from which boxes are forked, so that none has to import torch again.

Started afresh by the judge, so it holds no text; it imports torch, runs no operation and never reads a candidate.
Each box has a keeper between it and the zygote: the keeper takes namespaces of its own, its child is their first
process and dies with it. When a box is gone everything that it left behind is killed before the next one starts.

    python -I zygote.py CONTROL_FD FOLDER MEMORY_MB LEVEL CLIENT [HIDDEN ...]

LEVEL is one of the ladder's (ladder.py) or "none"; CLIENT is the folder of the module
`prepare` that scripts import; HIDDEN are folders that no box may read.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import sandbox
from children import sweep

if __name__ == "__main__":  # the judge may end within the seconds that the next import takes
    sandbox.prctl(sandbox.PR_SET_PDEATHSIG, signal.SIGKILL)
    sys.path.insert(0, sys.argv[5])
    hidden = list(map(Path, sys.argv[6:]))
    shared_memory = sandbox.settle_in(sys.argv[4], Path(sys.argv[2]), hidden, Path(sys.argv[5]))

import torch  # noqa: F401  imported here so that no box has to
import torch._dynamo  # noqa: F401

import box

Message = dict[str, object]


class Zygote:
    """Forks one box at a time at the judge's request and reports its process id, its end and its peak memory."""

    def __init__(
        self,
        control: socket.socket,
        folder: Path,
        memory_mb: int,
        level: str,
        shared_memory: str,
        hidden: Sequence[Path],
    ) -> None:
        self.control, self.folder, self.memory_mb, self.level = control, folder, memory_mb, level
        self.shared_memory = shared_memory
        writable = [] if shared_memory == "none" else [sandbox.SHARED_MEMORY]
        self.ruleset = sandbox.landlock([], folder, writable, hidden) if level in ("N", "L") else None
        self.namespaces = level != "none" and can_unshare(user=level != "U")

    def serve(self) -> None:
        """Until the judge closes the control socket."""
        self.tell(
            {
                "ready": True,
                "landlock": self.ruleset is not None,
                "namespaces": self.namespaces,
                "shared_memory": self.shared_memory,
                "baseline_mb": fresh_mb(),
                "torch": torch.__version__,
            }
        )
        while True:
            line, fds, _, _ = socket.recv_fds(self.control, 4096, 2)
            if not line:
                return
            before = set(os.listdir(sandbox.SHARED_MEMORY)) if self.shared_memory == "shared" else set()
            try:
                keeper = os.fork()
            except OSError as error:  # too many processes, too little memory
                self.tell({"error": f"the zygote cannot fork a box: {error}"})
                return
            if keeper == 0:
                os._exit(self.keep(*fds))
            for fd in fds:
                os.close(fd)
            os.waitpid(keeper, 0)
            swept = sweep()
            sandbox.tidy(self.shared_memory, before)
            self.tell({"swept": swept})

    def keep(self, sock: int, log: int) -> int:
        """In the keeper: fork the box into namespaces of its own, wait for it, report what it used.

        Where the zygote was ready with namespaces, a box that cannot have them is never begun. The keeper outlives the
        zygote by the moment that it takes to kill the box: a script can undo the box's own wish to die with its parent.
        """
        parent, boxes = os.getppid(), list[int]()

        def orphaned(*_: object) -> None:
            for pid in boxes:
                os.kill(pid, signal.SIGKILL)
            os._exit(1)

        if self.namespaces:
            try:
                sandbox.unshare(user=self.level != "U")
            except OSError as error:
                self.tell({"error": f"a box could not have the namespaces that boxes had before: {error}"})
                return 1
        signal.signal(signal.SIGTERM, orphaned)
        sandbox.prctl(sandbox.PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            return 1
        entered = mmap.mmap(-1, mmap.PAGESIZE)  # shared with the box until its doors are shut
        ready, go = os.pipe()  # the box waits until the judge's clock watches it
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.close(go)
            os.read(ready, 1)
            os._exit(self.live(sock, log, entered))
        boxes.append(pid)
        process = os.pidfd_open(pid)  # names the box for the judge, to whom its number here says nothing
        socket.send_fds(self.control, [b'{"started": true}\n'], [process])
        os.close(process)
        os.close(sock)
        os.close(log)
        os.close(ready)
        os.close(go)
        _, status, usage = os.wait4(pid, 0)
        boxes.clear()
        code = os.waitstatus_to_exitcode(status)
        if code > 0 and not entered[0]:
            said = entered[1:200].rstrip(b" \0").decode(errors="replace")
            self.tell({"error": f"a box could not be shut: {said}"})
        self.tell({"exit": code, "peak_mb": usage.ru_maxrss / 1024})
        return 0

    def live(self, sock: int, log: int, entered: mmap.mmap) -> int:
        """In the box."""
        try:
            box.enter(sock, log, self.folder, self.memory_mb, self.ruleset, self.level)
        except Exception as error:
            traceback.print_exc()
            entered[1:200] = f"{type(error).__name__}: {error}".encode()[:199].ljust(199)
            return 1
        entered[0] = 1
        entered.close()
        return box.run(sock, self.folder)

    def tell(self, message: Message) -> None:
        self.control.sendall(json.dumps(message).encode() + b"\n")


def can_unshare(user: bool) -> bool:
    """Whether namespaces can be had here, tried in a child."""
    pid = os.fork()
    if pid == 0:
        try:
            sandbox.unshare(user)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def fresh_mb() -> float:
    """Peak memory of a child that ends at once. This process's own peak is of no use as a baseline: importing torch
    needs several times what is resident afterwards, and only that is handed to a child."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    return os.wait4(pid, 0)[2].ru_maxrss / 1024


def main() -> None:
    control, folder, memory_mb, level = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    hidden = list(map(Path, sys.argv[6:]))
    sandbox.prctl(sandbox.PR_SET_CHILD_SUBREAPER, 1)
    torch.set_num_threads(1)
    Zygote(socket.socket(fileno=control), folder, memory_mb, level, shared_memory, hidden).serve()


if __name__ == "__main__":
    main()
