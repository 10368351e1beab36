"""The inside of a box that waits: imports torch, holds no code, no text and no device context, then becomes the box.

Boxes for a GPU cannot be forked from a process that has used it, and a box in a mount namespace of its own must be
exec'd anyway, so each is a process of its own, started under the prefix of its isolation while the one before trains.
It consists of two: a keeper, which imports nothing large and reports the box's end and peak memory, and the box.

    python -I waiter.py CONTROL_FD FOLDER MEMORY_MB LEVEL DEVICE [NODE ...] [-- HIDDEN ...]

LEVEL is one of the ladder's (ladder.py) or "none", NODE a node of the device, HIDDEN a folder that level U covers.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import sandbox
from children import sweep

Message = dict[str, object]
BUILT = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "TRITON_LIBCUDA_PATH")  # variables that the box keeps
CUDA_READS = ("/sys", "/proc/devices", "/proc/driver", "/proc/modules", "/proc/sys/vm", "/usr/local/nvidia")


@dataclass(frozen=True)
class Waiter:
    """What one box is started with."""

    control: socket.socket
    folder: Path
    memory_mb: int
    level: str
    device: str
    nodes: tuple[Path, ...]
    hidden: tuple[Path, ...]

    @classmethod
    def read(cls, arguments: list[str]) -> Waiter:
        control, folder, memory_mb, level, device, *paths = arguments
        end = paths.index("--") if "--" in paths else len(paths)
        nodes, hidden = (tuple(map(Path, part)) for part in (paths[:end], paths[end + 1 :]))
        return cls(socket.socket(fileno=int(control)), Path(folder), int(memory_mb), level, device, nodes, hidden)

    def tell(self, message: Message, *fds: int) -> None:
        socket.send_fds(self.control, [json.dumps(message).encode() + b"\n"], fds)

    def keep(self) -> int:
        """Fork the box, wait for its end, kill what it left behind, report."""

        def orphaned(*_: object) -> None:
            sweep()
            os._exit(1)

        parent = os.getppid()
        sandbox.prctl(sandbox.PR_SET_CHILD_SUBREAPER, 1)
        shared_memory = sandbox.settle_in(self.level, self.folder, self.hidden)
        before = set(os.listdir(sandbox.SHARED_MEMORY)) if shared_memory == "shared" else set()
        namespaces = self.level == "N" or self.unshared()
        signal.signal(signal.SIGTERM, orphaned)
        sandbox.prctl(sandbox.PR_SET_PDEATHSIG, signal.SIGTERM)  # which new credentials would undo
        if os.getppid() != parent:
            return 1
        entered = mmap.mmap(-1, mmap.PAGESIZE)  # shared with the box until its doors are shut
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os._exit(self.wait(entered, {"namespaces": namespaces, "shared_memory": shared_memory}))
        process = os.pidfd_open(pid)  # names the box for the judge, to whom its number here says nothing
        self.tell({"forked": True}, process)
        os.close(process)
        _, status, usage = os.wait4(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code > 0 and not entered[0]:
            self.tell({"error": "a box could not be shut; see the judge's standard error"})
        self.tell({"exit": code, "peak_mb": usage.ru_maxrss / 1024})
        swept = sweep()
        sandbox.tidy(shared_memory, before)
        self.tell({"swept": swept})
        return 0

    def unshared(self) -> bool:
        """Take namespaces for the box, where they are granted. CUDA finds its threads in /proc, which at this level is
        the machine's, so that a process namespace is only for the CPU."""
        if self.level == "none":
            return False
        flags = sandbox.CLONE_NEWNET | sandbox.CLONE_NEWIPC
        try:
            sandbox.unshare(self.level != "U", flags | (sandbox.CLONE_NEWPID if self.device == "cpu" else 0))
        except OSError:
            return False
        return True

    def wait(self, entered: mmap.mmap, about: Message) -> int:
        """In the box: import what every script needs, wait for GO, shut the doors and run the script."""
        sandbox.prctl(sandbox.PR_SET_PDEATHSIG, signal.SIGKILL)
        import torch
        import torch._dynamo  # noqa: F401

        import box

        if self.device == "cpu":
            torch.set_num_threads(1)
        else:
            import_compiler()
        ruleset = self.ruleset(about["shared_memory"] != "none")
        forget_peak()
        about |= {"landlock": ruleset is not None, "baseline_mb": peak_mb(), "torch": torch.__version__}
        self.tell({"waiting": True, **about})
        line, fds, _, _ = socket.recv_fds(self.control, 4096, 2)
        if not line:
            return 1
        built = {name: os.environ[name] for name in BUILT if name in os.environ}
        box.enter(*fds, self.folder, self.memory_mb, ruleset, self.level)
        os.environ.update(built)
        entered[0] = 1
        entered.close()
        return box.run(fds[0], self.folder)

    def ruleset(self, shared_memory: bool) -> object:
        """What Landlock grants, with what CUDA needs: its nodes, and the names of its threads in /proc."""
        if self.level not in ("N", "L"):
            return None
        writable = [sandbox.SHARED_MEMORY] if shared_memory else []
        if self.device == "cpu":
            return sandbox.landlock([], self.folder, writable)
        threads = Path("/proc") if self.level == "N" else Path(f"/proc/{os.getpid()}")
        return sandbox.landlock(map(Path, CUDA_READS), self.folder, [*writable, threads, *self.nodes])


def import_compiler() -> None:
    """Import what compiling for a device needs, three seconds' worth, and do not look whether there is one.

    It is looked for while this is imported, which would start the driver and a thread of its in a process that waits.
    """
    import torch

    there, torch.cuda.is_available = torch.cuda.is_available, lambda: True
    try:
        import torch._inductor.compile_fx  # noqa: F401
    finally:
        torch.cuda.is_available = there


def forget_peak() -> None:
    """Importing torch needs more for a moment than what is resident afterwards: that is no memory of the script's."""
    with contextlib.suppress(OSError):  # then the peak includes it
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Largest resident memory of this process until now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    sys.exit(Waiter.read(sys.argv[1:]).keep())
