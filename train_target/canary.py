"""The self-test's program: run as a candidate in a real box, it tries what must fail and what must work.

The judge tells it where a secret lies, who the judge is and where it listens; what it found goes back as one message
of a word for each attempt: "denied" or "ALLOWED" for what is forbidden, "ok" or the error for what is needed.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import torch

import prepare

PTRACE_SEIZE, IO_URING_SETUP, CLONE_NEWUSER = 0x4206, 425, 0x10000000
libc = ctypes.CDLL(None, use_errno=True)


def call(result: int) -> None:
    """Raise OSError for a failed call of the C library."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def connect(family: int, kind: int, address: object) -> None:
    with socket.socket(family, kind) as end:
        end.settimeout(1)
        end.connect(address)
        end.send(b"canary")


def write_any(*folders: Path) -> None:
    """Raises OSError only when no folder can be written to."""
    faults = [fault for folder in folders if (fault := tried(lambda folder=folder: touch(folder / ".canary")))]
    if len(faults) == len(folders):
        raise PermissionError


def read_any(paths: object) -> None:
    """Raises OSError only when no file can be read."""
    assert isinstance(paths, list)
    if all(tried(Path(path).read_bytes) for path in paths):
        raise PermissionError


def touch(path: Path) -> None:
    path.touch(exist_ok=False)
    path.unlink()


def own_user_namespace() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(bool(libc.unshare(CLONE_NEWUSER)))
    if os.waitpid(pid, 0)[1]:
        raise PermissionError


def same_processes(device: int, judge: int) -> None:
    """Raises where /proc is another than the judge's, so that it cannot show the judge's neighbours."""
    if os.stat("/proc").st_dev != device or not os.path.exists(f"/proc/{judge}"):
        raise PermissionError


def attempts(plan: dict[str, object]) -> dict[str, Callable[[], object]]:
    """What must fail, by name."""
    judge = int(str(plan["judge"]))
    secret, outside = (Path(str(plan[key])) for key in ("secret", "outside"))
    return {
        "read": secret.read_bytes,
        "stat": secret.stat,
        "masked": lambda: read_any(plan["masked"]),
        "write": lambda: write_any(outside, Path(torch.__file__).parent, Path("/tmp"), Path("/")),
        "environ": lambda: Path(f"/proc/{judge}/environ").read_bytes(),
        "memory": lambda: Path(f"/proc/{judge}/mem").open("rb").close(),
        "ptrace": lambda: call(libc.ptrace(PTRACE_SEIZE, judge, None, None)),
        "signal": lambda: os.kill(judge, int(str(plan["signal"]))),
        "tcp": lambda: connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", plan["tcp"])),
        "udp": lambda: connect(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", plan["udp"])),
        "socket": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, str(plan["socket"])),
        "abstract": lambda: connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + str(plan["abstract"])),
        "userns": own_user_namespace,
        "io_uring": lambda: call(libc.syscall(IO_URING_SETUP, 1, ctypes.create_string_buffer(120))),
        "pids": lambda: same_processes(int(str(plan["proc"])), judge),
    }


def needs() -> dict[str, Callable[[], object]]:
    """What must work, by name."""
    return {
        "compute": compute,
        "folder": lambda: Path("canary").write_text("here"),
        "thread": start_thread,
        "pair": socket.socketpair,
        "shared_memory": shared_memory,
        "compiler": compiler,
    }


def compute() -> None:
    x = torch.ones(8, 8, device=prepare.DEVICE)
    if prepare.DEVICE != "cpu":
        torch.ones(8).pin_memory()
    assert float((x @ x).sum()) == 512


def start_thread() -> None:
    """A thread that gives itself a name, as the threads of CUDA do."""
    thread = threading.Thread(target=libc.prctl, args=(15, b"canary", 0, 0, 0))
    thread.start()
    thread.join()


def shared_memory() -> None:
    """A semaphore and a file in shared memory, as the workers of a DataLoader use them."""
    import multiprocessing

    multiprocessing.Lock()
    torch.ones(4).share_memory_()


def compiler() -> None:
    """A shared object made by the compiler, where there is one, loads from the box's own folder."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler:
        folder = Path(tempfile.mkdtemp())
        source, made = folder / "one.c", folder / "one.so"
        source.write_text("int one(void) { return 1; }\n")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", str(made), str(source)], check=True, capture_output=True)
        assert ctypes.CDLL(str(made)).one() == 1


def tried(action: Callable[[], object]) -> str:
    """Nothing, or what went wrong."""
    try:
        action()
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
    return ""


def main() -> None:
    plan, _ = prepare._judge.ask(op="plan")
    found = {name: "denied" if tried(action) else "ALLOWED" for name, action in attempts(plan).items()}
    found |= {name: tried(action) or "ok" for name, action in needs().items()}
    prepare._judge.ask(op="found", **found)


if __name__ == "__main__":
    main()
