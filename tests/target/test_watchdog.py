"""The clock and the watchdog on real processes; and whose fault it is when a trial is spoiled."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from select import select

import psutil
import pytest

import nursery
import watchdog
from clock import CpuClock
from ladder import Isolation
from tests.target.conftest import SCORE, TINY
from tests.target.test_kills import BEGIN, HANG, START, Slot
from watchdog import Watchdog, disk_trouble, occupied
from wire import Message

BURN = """
import os, signal, sys, threading, time
def burn(seconds):
    stop = time.thread_time() + seconds
    while time.thread_time() < stop: pass
def child(work):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid
"""
# Each uses 0.6 CPU-seconds besides what starting its processes costs.
PROGRAMS = {
    "waited for": "for _ in range(60): os.waitpid(child(lambda: burn(0.01)), 0)\n",
    "never waited for": "for _ in range(60): child(lambda: burn(0.01)); time.sleep(0.02)\n",
    "orphans": "for _ in range(60): os.waitpid(child(lambda: child(lambda: burn(0.01))), 0); time.sleep(0.03)\n",
    "grandchildren": "for _ in range(6): os.waitpid(child(lambda: [os.waitpid(child(lambda: burn(0.01)), 0) for _ in "
    "range(10)]), 0)\n",
    "threads": "for _ in range(60):\n    t = threading.Thread(target=burn, args=[0.01])\n    t.start(); t.join()\n",
}
SUBREAPER = "import ctypes; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
OUTER = """
import resource, subprocess, sys
program = subprocess.Popen([sys.executable, "-c", SOURCE], pass_fds=[GATE])
print(program.pid, flush=True)
program.wait()
try:
    while True: os.wait()
except ChildProcessError:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(used.ru_utime + used.ru_stime, flush=True)
"""


def charged(program: str, own: bool) -> tuple[float, float]:
    """What the clock charges a program for, and what the kernel says that all of it together used.

    Orphans become the program's, or else its parent's, as in a box that has no process namespace.
    """
    gate, go = os.pipe()
    source = f"import os\n{SUBREAPER * own}os.read({gate}, 1)\n{BURN}{program}time.sleep(0.2)\n"
    source += f"print(flush=True)\nos.read({gate}, 1)\n"
    source += "try:\n    while True: os.wait()\nexcept ChildProcessError: pass\n" * own
    outer = f"import os\n{SUBREAPER * (not own)}SOURCE = {source!r}\nGATE = {gate}\n{OUTER}"
    with subprocess.Popen([sys.executable, "-c", outer], stdout=subprocess.PIPE, pass_fds=[gate]) as process:
        assert process.stdout
        clock = CpuClock(int(process.stdout.readline()), process.pid)
        os.write(go, b".")
        while not select([process.stdout], [], [], 0.005)[0]:
            clock.read()
        process.stdout.readline()
        seconds = clock.read(exact=True)
        os.write(go, b".")
        truth = float(process.stdout.readline())
    os.close(gate)
    os.close(go)
    return seconds, truth


@pytest.mark.parametrize("own", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PROGRAMS)
def test_no_worker_escapes_the_clock_and_none_is_charged_twice(name: str, own: bool) -> None:
    seconds, truth = charged(PROGRAMS[name], own)
    assert truth > 0.6
    assert seconds == pytest.approx(truth, rel=0.05)


def test_a_worker_that_nobody_waits_for_stays_charged_with_what_was_seen_of_it() -> None:
    """A box may not ignore its children; where a kernel lets it, little of a long worker is lost."""
    ignoring = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    workers = "for _ in range(3):\n    child(lambda: (burn(0.3), time.sleep(0.3)))\n"
    workers += "    try: os.wait()\n    except ChildProcessError: pass\n"  # comes when all have ended
    seconds, _ = charged(ignoring + workers, own=True)
    assert seconds > 0.9 * 0.7


@pytest.fixture(scope="module")
def slot(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slot]:
    made = Slot(cache, tmp_path_factory.mktemp("faults"), Isolation("L"))
    yield made
    made.judge.nursery.close()


WAIT = START + "open('there', 'w').close()\n" + HANG


def during(slot: Slot, source: str, act: Callable[[psutil.Process, psutil.Process, psutil.Process], object]) -> Message:
    """The outcome of a trial; `act` does something to zygote, keeper and box as soon as the script made a file."""

    def watch() -> None:
        while not (slot.judge.folder / "there").exists():
            time.sleep(0.01)
        zygote = psutil.Process(slot.judge.nursery.process.pid)
        (keeper,) = zygote.children()
        act(zygote, keeper, keeper.children()[0])

    thread = threading.Thread(target=watch)
    thread.start()
    outcome = slot.run(source, budget=2.0)
    thread.join()
    return outcome


def goes_on(slot: Slot) -> None:
    """Nothing is left of the trial, and the next one is scored."""
    assert len(slot.below()) == 1  # the zygote
    outcome = slot.run(TINY + SCORE)
    assert outcome["status"] == "ok", outcome


FAULTS = {
    "box killed": (lambda zygote, keeper, box: box.kill(), "killed from outside by SIGKILL"),
    "keeper killed": (lambda zygote, keeper, box: keeper.kill(), "the zygote said"),
    "zygote killed": (lambda zygote, keeper, box: zygote.kill(), "the zygote did not answer"),
    "keeper stopped": (lambda zygote, keeper, box: (keeper.suspend(), box.kill()), "the zygote did not answer"),
    "zygote stopped": (lambda zygote, keeper, box: (zygote.suspend(), box.kill()), "the zygote did not answer"),
}


@pytest.mark.parametrize("name", ["box killed", *(pytest.param(n, marks=pytest.mark.slow) for n in list(FAULTS)[1:])])
def test_what_befalls_a_box_from_outside_voids_one_trial(
    slot: Slot, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nursery, "END_WALL", 1.0)
    act, reason = FAULTS[name]
    outcome = during(slot, WAIT, act)
    assert outcome["status"] == "infrastructure" and reason in outcome["reason"], outcome
    monkeypatch.undo()
    goes_on(slot)


@pytest.fixture
def small_group(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A cgroup in which little can be had of what the parameter names: a controller, a file of it, and a limit."""
    controller, file, limit = request.param
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    line = next((line for line in lines if f":{controller}:" in line), "")
    group = Path(f"/sys/fs/cgroup/{controller}", line.rpartition(":")[2].strip("/"), f"box-{os.getpid()}")
    try:
        group.mkdir()
        (group / file).write_text(limit)
    except OSError:
        pytest.skip(f"no cgroup of {controller} can be made here")
    yield group
    group.rmdir()


@pytest.mark.parametrize("small_group", [("memory", "memory.limit_in_bytes", "100M")], indirect=True)
def test_the_kernels_oom_killer_is_told_from_another_kill(slot: Slot, small_group: Path) -> None:
    eat = "time.sleep(0.5)\nheld = [bytearray(os.urandom(2**20)) for _ in range(200)]\n"
    source = WAIT.replace(HANG, eat + HANG)
    outcome = during(slot, source, lambda zygote, keeper, box: (small_group / "cgroup.procs").write_text(str(box.pid)))
    assert outcome["status"] == "oom" and "OOM killer" in outcome["reason"], outcome
    goes_on(slot)


@pytest.mark.slow
@pytest.mark.parametrize("small_group", [("pids", "pids.max", "1")], indirect=True)
def test_a_zygote_that_cannot_fork_voids_the_trial(slot: Slot, small_group: Path) -> None:
    (small_group / "cgroup.procs").write_text(str(slot.judge.nursery.process.pid))
    outcome = slot.run(TINY + SCORE)
    assert outcome["status"] == "infrastructure" and os.strerror(errno.EAGAIN) in outcome["reason"], outcome
    goes_on(slot)


@pytest.mark.slow
def test_a_judge_without_descriptors_voids_the_trial_and_goes_on(slot: Slot) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, limits[1]))
    try:
        outcome = slot.run(TINY + SCORE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert outcome["status"] == "infrastructure" and os.strerror(errno.EMFILE) in outcome["reason"], outcome
    assert slot.run(TINY + SCORE)["status"] == "ok", "it has a zygote again as soon as one can be started"
    goes_on(slot)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs the right to mount")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


WRITE = (
    BEGIN
    + "file = open('big', 'wb', buffering=0)\nfor _ in range(100): assert file.write(bytes(2**20)) == 2**20, 'full'\n"
)


@pytest.mark.slow
def test_a_full_disk_is_blamed_on_a_script_only_if_that_filled_it(
    cache: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = Slot(cache, small_disk, Isolation("L"))
    try:
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(20 << 20))
        spoiled = slot.run(WRITE)
        assert spoiled["status"] == "infrastructure" and spoiled["reason"].startswith("disk full: 0.0 MB"), spoiled
        goes_on(slot)
        monkeypatch.setattr(watchdog, "DISK_MB", 15)
        monkeypatch.setattr(watchdog, "DISK_EVERY", 60.0)  # only what is looked at in the end
        caught = slot.run(WRITE)
        assert caught["status"] == "crashed" and caught["reason"].startswith("killed: disk: "), caught
        goes_on(slot)
        with pytest.raises(OSError), ballast.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        assert disk_trouble(small_disk).startswith("disk full")
        ballast.unlink()
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        refused = slot.again()
        assert refused["status"] == "infrastructure" and "is read-only" in refused["reason"], refused
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
        assert slot.run(TINY + SCORE)["status"] == "ok"
    finally:
        slot.judge.nursery.close()


def test_what_a_folder_holds_is_counted_and_not_what_it_pretends_to(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "real").write_bytes(os.urandom(2**20))
    os.link(tmp_path / "below" / "real", tmp_path / "twice")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**32)
    (tmp_path / "away").symlink_to("/usr")
    size, files = occupied(tmp_path, 100)
    assert size == pytest.approx(2**20, rel=0.05) and files == 5
    assert occupied(tmp_path, 3)[1] == 4


@pytest.mark.slow
def test_a_look_at_a_plain_box_costs_little(tmp_path: Path) -> None:
    """Ten milliseconds of each second would be a hundredth of the core that the box trains on."""
    with subprocess.Popen([sys.executable, "-c", "import torch, time; time.sleep(60)"]) as process:
        time.sleep(5)
        dog = Watchdog(process.pid, os.getpid(), tmp_path, 4096, 300.0)
        until = time.monotonic() + 4
        while time.monotonic() < until:
            assert dog.look() is None
            time.sleep(0.01)
        process.kill()
    assert dog.looks >= 15 and dog.spent < 0.01 * 4
