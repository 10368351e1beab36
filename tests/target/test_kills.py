"""Programs that take too much, hang, or refuse to die: each is ended with its reason, and leaves nothing.

The limits are lowered, so that a defence that fails harms the test and not the machine.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import corpus
import nursery
import watchdog
from ladder import Isolation, find_bwrap
from selftest import Settled
from tests.target.conftest import SCORE, TARGET, TINY
from texts import Scale, Texts
from trials import Engine, Judge

MEMORY_MB = 300

# A zygote on a kernel that grants no namespaces.
REFUSING = f"""
import errno, os, runpy, sys
sys.path.insert(0, {str(TARGET)!r})
import sandbox
def unshare(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
sandbox.unshare = unshare
runpy.run_path({str(TARGET / "zygote.py")!r}, run_name="__main__")
"""
CLEAN = "import os\nassert sorted(os.listdir('.')) == ['tmp', 'train.py'], os.listdir('.')\n"
BEGIN = "import ctypes, mmap, os, resource, signal, sys, threading, time\nimport prepare\n"
HANG = "time.sleep(60)\n"
START = BEGIN + "next(prepare.make_dataloader(None, 1, 8, 'train'))\n"


class Silent(Engine):
    """An engine that neither asks nor hangs up."""

    def __init__(self) -> None:
        super().__init__()
        self.end, self.ours = os.pipe()

    def fileno(self) -> int:
        return self.end


class Slot:
    """A judge with low limits, and what runs below it while no trial does."""

    def __init__(self, cache: Path, folder: Path, isolation: Isolation) -> None:
        self.job = folder / "job"
        self.job.mkdir()
        scale = Scale(**{**vars(Scale.read("cpu")), "memory_mb": MEMORY_MB})
        settled = Settled(isolation, nursery.Nursery(folder / "box", MEMORY_MB, isolation), "")
        self.judge = Judge(scale, Texts(corpus.load(cache, None, print), scale, print), Silent(), settled, 0.5)
        self.idle = self.below()

    def below(self) -> set[int]:
        """The zygote, what was started by it, and whatever carries the name of its folder."""
        found = {p.pid for p in psutil.Process(self.judge.nursery.process.pid).children(recursive=True)}
        folder = str(self.judge.folder)
        return found | {p.pid for p in psutil.process_iter(["cmdline"]) if folder in (p.info["cmdline"] or [])}

    def run(self, source: str, budget: float = 0.1) -> dict[str, Any]:
        (self.job / "train.py").write_text(source)
        return self.again(budget)

    def again(self, budget: float = 0.1) -> dict[str, Any]:
        request = {"job": str(self.job), "budget": budget, "rung": 0.02, "seed": 0, "purpose": "smoke"}
        return self.judge.trial(request)

    def check(self) -> None:
        """Nobody has survived, and the next trial finds an empty folder and is scored."""
        assert self.below() == self.idle
        outcome = self.run(TINY + CLEAN + SCORE)
        assert outcome["status"] == "ok", outcome


@pytest.fixture(scope="module", params=["L", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bare L", "N"))])
def level(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def slot(cache: Path, tmp_path_factory: pytest.TempPathFactory, level: str) -> Iterator[Slot]:
    folder = tmp_path_factory.mktemp("kills")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watchdog, "DISK_MB", 50)
        patch.setattr(watchdog, "FILES", 500)
        patch.setattr(watchdog, "PROCESSES", 60)
        patch.setattr(watchdog, "DISK_EVERY", 0.2)
        if level == "N" and not find_bwrap():
            pytest.skip("there is no bubblewrap")
        if level == "bare L":
            (folder / "zygote.py").write_text(REFUSING)
            patch.setattr(nursery, "FOLDER", folder)
        made = Slot(cache, folder, Isolation("N", find_bwrap()) if level == "N" else Isolation("L"))
        if made.judge.nursery.ready["namespaces"] != (level != "bare L"):
            pytest.skip("the kernel grants no namespaces")
        yield made
        made.judge.nursery.close()


FORKS = """
count = mmap.mmap(-1, 8)
def bomb(most):
    while int.from_bytes(count[:], "little") < most:
        count[:] = (int.from_bytes(count[:], "little") + 1).to_bytes(8, "little")
        os.fork()
"""
THREADS = """
threading.stack_size(32768)
for _ in range(2500): threading.Thread(target=time.sleep, args=[60]).start()
time.sleep(60)
"""
EATERS = """
for _ in range(4):
    if os.fork() == 0:
        held = bytearray(150 * 2**20)
        held[::4096] = b"x" * len(held[::4096])
        time.sleep(60)
"""
HIDDEN = """
for _ in range(50):
    part = mmap.mmap(-1, 10 * 2**20)
    part.write(b"x" * len(part))
    part.madvise(mmap.MADV_DONTNEED)
    kept = [part, *globals().get("kept", [])]
"""
DAEMON = """
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG: do not die with the parent
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for name in ("SIGTERM", "SIGHUP", "SIGINT"): signal.signal(getattr(signal, name), signal.SIG_IGN)
        while True: time.sleep(1)
    os._exit(0)
time.sleep(0.1)
"""
BUS = """
fd = os.open("short", os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 4096)
part = mmap.mmap(fd, 4096)
os.ftruncate(fd, 0)
part[0]
"""
ILLEGAL = """
part = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
part.write(bytes.fromhex("0f0b") if os.uname().machine == "x86_64" else bytes(4))
ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(part)))()
"""
DEEP = """
for _ in range({levels}):
    os.mkdir("x" * 250)
    os.chdir("x" * 250)
"""
PIPELINED = """
line = b'{"op":"batch","rows":16384,"length":127,"split":"train"}\\n'
prepare._judge._sock.send(line * 1000)
"""
UNTIL = "fd = os.open({name!r}, os.O_RDWR | os.O_CREAT)\n{extra}for _ in range({mb}): os.write(fd, bytes(2**20))\n"

ENDS = {
    "deadline": (START + HANG, "timeout", r"deadline: no end within the wall-clock limit of training, \d+ s"),
    "busy": (START + "while True: pass\n", "timeout", r"deadline: (trained for more than|no end within) .* s"),
    "SIGTERM ignored": (
        START
        + "for n in range(1, 65):\n    if n not in (9, 19, 32, 33): signal.signal(n, lambda *_: None)\n"
        + HANG * 9,
        "timeout",
        "deadline: ",
    ),
    "SIGSTOP of itself": (START + "os.kill(os.getpid(), signal.SIGSTOP)\n" + HANG, "timeout", "deadline: "),
    "memory of children": (BEGIN + EATERS + HANG, "oom", r"memory: \d+ MB on the host.* in 5 proc.*limit is 300 MB"),
    "shared memory": (
        BEGIN + "part = mmap.mmap(-1, 500 * 2**20)\nfor _ in range(500): part.write(bytes(2**20))\n" + HANG,
        "oom",
        r"memory: \d+ MB on the host, \d+ MB of them shared.*the limit is 300 MB",
    ),
    "memory of no page table": (BEGIN + HIDDEN + HANG, "oom", r"memory: .* \d\d\d MB of them shared"),
    "memory behind a descriptor": (
        BEGIN + "fd = os.memfd_create('x')\nfor _ in range(500): os.write(fd, bytes(2**20))\n" + HANG,
        "oom",
        r"memory: .* \d\d\d MB of them shared",
    ),
    "fork bomb": (BEGIN + FORKS + "bomb(200)\n" + HANG, "crashed", "killed: processes: more than 60, the limit"),
    "thread bomb": (
        BEGIN + THREADS + HANG,
        "crashed",
        r"killed: processes: \d+ threads in 1; the limit is 2000",
    ),
    "one big file": (
        BEGIN + UNTIL.format(name="tmp/big", extra="", mb=100) + HANG,
        "crashed",
        r"killed: disk: \d+ MB in \d files; the limit is 50 MB",
    ),
    "a file without a name": (
        BEGIN + UNTIL.format(name="big", extra="os.unlink('big')\n", mb=100) + HANG,
        "crashed",
        r"killed: disk: \d+ MB in \d files; the limit is 50 MB",
    ),
    "many files": (
        BEGIN + "for n in range(1000): os.makedirs(f'tmp/{n % 30}/{n}')\n" + HANG,
        "crashed",
        "killed: disk: more than 500 files, the limit",
    ),
    "folders in folders": (
        BEGIN + DEEP.format(levels=200) + HANG,
        "crashed",
        "killed: disk: more than 500 files, the limit",
    ),
    "folders in folders left behind": (
        BEGIN + DEEP.format(levels=1100) + "os._exit(4)\n",
        "crashed",
        "exit code 4|killed: disk",
    ),
    "many requests at once": (START + PIPELINED + HANG, "crashed", "broke the protocol: a request before the last one"),
    "closed socket": (BEGIN + "prepare._judge._sock.close()\n" + HANG, "crashed", "closed its connection to the judge"),
    "segfault": (BEGIN + "ctypes.string_at(0)\n", "crashed", "killed by SIGSEGV during startup"),
    "bus error": (BEGIN + BUS, "crashed", "killed by SIGBUS during startup"),
    "illegal instruction": (BEGIN + ILLEGAL, "crashed", "killed by SIGILL during startup"),
    "daemon": (BEGIN + DAEMON + "os._exit(4)\n", "crashed", "exit code 4 during startup"),
}

SLOW = ("busy", "SIGSTOP of itself", "shared memory", "a file without a name", "many files", "segfault", "bus error")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in ENDS])
def test_what_goes_too_far_is_ended_with_its_reason_and_leaves_nothing(slot: Slot, name: str) -> None:
    source, status, reason = ENDS[name]
    before = time.monotonic()
    outcome = slot.run(source)
    assert outcome["status"] == status and outcome["metrics"] == {}, outcome
    assert re.match(reason, outcome["reason"]), outcome
    assert time.monotonic() - before < 40, outcome
    slot.check()


HONEST = """
print("x" * 1000)
for _ in range(200): sys.stdout.write("flood" * 2**18)
with open("sparse", "wb") as file: file.truncate(900 * 2**20)
part = mmap.mmap(-1, 50 * 2**20)
for _ in range(50): part.write(bytes(2**20))
for _ in range(20):
    if os.fork() == 0:
        time.sleep(1)
        os._exit(0)
threading.stack_size(2**18)
workers = [threading.Thread(target=time.sleep, args=[1]) for _ in range(100)]
for worker in workers: worker.start()
time.sleep(0.8)
"""


def test_much_that_is_within_the_limits_is_let_be(slot: Slot) -> None:
    """Also a log of 200 MB: what is read of it is small. Memory that many processes share is counted once."""
    outcome = slot.run(BEGIN + HONEST + TINY + SCORE)
    assert outcome["status"] == "ok" and len(outcome["log_tail"]) < 4100, outcome
    slot.check()


def test_a_kill_by_itself_is_the_scripts_fault(slot: Slot, level: str) -> None:
    """The first process of a namespace cannot even do that."""
    outcome = slot.run(START + "os.kill(os.getpid(), signal.SIGKILL)\n" + HANG)
    if level == "bare L":
        assert (outcome["status"], outcome["reason"]) == ("crashed", "killed by SIGKILL during training"), outcome
    else:
        assert outcome["status"] == "timeout", outcome
    slot.check()
