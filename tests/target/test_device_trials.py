"""Trials on a made-up device, by a real judge in real boxes: what they take of it, and what cannot be killed."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import corpus
import lease
import trials
import waiting
import watchdog
from devices import Device, User
from guard import Guard
from ladder import Isolation
from nursery import Infrastructure, Nursery
from selftest import Settled
from tests.target.conftest import SCORE, TINY
from tests.target.test_kills import Silent
from texts import Scale, Texts
from waiting import Waiting
from watchdog import lives

LIMIT_MB = 4096
FREEZER = Path("/sys/fs/cgroup/freezer")  # of version 1: what it has stopped does not die of SIGKILL before it goes on
TAKES = "open('device_mb', 'w').write('{}')\n"


class MadeUp:
    """A device of which a box holds as many MiB as it has written into its file `device_mb`, while it lives.

    Meanwhile a visitor may hold some too, and another run does as long as there is such a file beside the boxes.
    """

    cheap = True

    def __init__(self, folder: Path) -> None:
        self.boxes, self.other = folder / "boxes", folder / "device_mb"
        self.device = Device(0, "GPU-made-up", "Made-up GPU", 80 * 1024)
        self.box: Callable[[], int] = lambda: 0
        self.visitor: User | None = None

    def devices(self) -> list[Device]:
        return [self.device]

    def used_mb(self, device: Device) -> float:
        files = [*self.boxes.rglob("device_mb")] if lives(self.box()) else []
        held = float(sum(int(path.read_text() or 0) for path in files))
        visiting = self.visitor.memory_mb if held and self.visitor else 0.0
        return held + visiting + (float(self.other.read_text()) if self.other.exists() else 0.0)

    def users(self, device: Device) -> list[User]:
        used = self.used_mb(device)
        return (
            [User(self.box(), "python", used - self.visitor.memory_mb), self.visitor] if used and self.visitor else []
        )

    def xids(self, device: Device) -> list[int]:
        return []

    def state(self, device: Device) -> None:
        return None

    def minor(self, device: Device) -> None:
        return None

    def bus(self, device: Device) -> str:
        return ""


class Slot:
    """A judge with one made-up device. Its boxes are exec'd ahead and import torch, as on a real one, or forked."""

    def __init__(self, cache: Path, folder: Path, ahead: bool = False) -> None:
        self.job = folder / "job"
        self.job.mkdir()
        self.scale = replace(Scale.read("cpu"), clock="wall", device_memory_mb=LIMIT_MB)
        source = MadeUp(folder)
        probe = (sys.executable, "-I", "-c", "pass")
        self.guard = Guard(source, source.device, {}, probe, 0.5, self.scale.device_memory_mb, folder / "leases")
        given = source.boxes, self.scale.memory_mb, Isolation("L")
        boxes = Waiting(*given) if ahead else Nursery(*given)
        texts = Texts(corpus.load(cache, None, print), self.scale, print)
        settled = Settled(Isolation("L"), boxes, "")  # type: ignore[arg-type]
        self.judge = trials.Judge(self.scale, texts, Silent(), settled, 0.5, self.guard)
        source.box = lambda: next(iter(self.guard.box()), 0)

    def run(self, source: str, budget: float = 0.1) -> dict[str, Any]:
        (self.job / "train.py").write_text(source)
        request = {"job": str(self.job), "budget": budget, "rung": 0.02, "seed": 0, "purpose": "smoke"}
        return self.judge.trial(request)


@pytest.fixture(scope="module")
def slot(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slot]:
    slot = Slot(cache, tmp_path_factory.mktemp("device"))
    yield slot
    slot.judge.nursery.close()


@pytest.fixture(scope="module")
def ahead(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slot]:
    slot = Slot(cache, tmp_path_factory.mktemp("ahead"), ahead=True)
    yield slot
    slot.judge.nursery.close()


def test_what_takes_more_of_the_device_than_its_limit_is_ended(slot: Slot) -> None:
    """Row 13."""
    outcome = slot.run(TINY + TAKES.format(9000) + "import time; time.sleep(60)")
    assert outcome["status"] == "oom", outcome
    assert outcome["reason"] == "out of device memory: 9,000 MiB of Made-up GPU; the limit is 4,096 MiB"
    assert outcome["metrics"] == {"peak_device_mb": 9000, "device_memory_mb": 4096}


def test_what_stays_below_is_scored_and_its_peak_is_told(ahead: Slot) -> None:
    outcome = ahead.run(TINY + TAKES.format(3000) + "import time; time.sleep(0.7)\n" + SCORE)
    assert outcome["status"] == "ok", outcome
    assert outcome["metrics"]["peak_device_mb"] == 3000 and not ahead.guard.lost


@pytest.fixture
def visited(slot: Slot) -> Iterator[Callable[[float], None]]:
    """Somebody comes with the box, who takes so many MiB, and goes with it."""

    def come(memory_mb: float) -> None:
        slot.guard.source.visitor = User(1, "somebody", memory_mb)

    yield come
    slot.guard.source.visitor = None


def test_what_a_visitor_takes_is_not_the_program_s(slot: Slot, visited: Callable[[float], None]) -> None:
    visited(400)
    outcome = slot.run(TINY + TAKES.format(4000) + "import time; time.sleep(0.7)\n" + SCORE)
    assert outcome["status"] == "ok", outcome
    assert outcome["metrics"]["peak_device_mb"] == 4000


def test_a_trial_in_which_somebody_takes_much_is_void(slot: Slot, visited: Callable[[float], None]) -> None:
    """Row 36 of the faults: the program is not to blame, and the device is fit for the next trial."""
    visited(2000)
    outcome = slot.run(TINY + TAKES.format(3000) + "import time; time.sleep(60)\n" + SCORE)
    assert outcome["status"] == "infrastructure", outcome
    assert outcome["reason"] == "another user took 2,000 MiB of Made-up GPU (GPU 0): pid 1 (somebody, 2,000 MiB)"
    assert not slot.guard.lost


OUT_OF_MEMORY = 'raise RuntimeError("CUDA error: out of memory")\n'


def test_a_program_that_runs_out_of_device_memory_is_told_peak_and_limit(slot: Slot) -> None:
    """Row 14: it was looked at when it said so, though it was over before the first look that is due."""
    slot.guard._sampled = time.monotonic() + 60
    outcome = slot.run(TINY + TAKES.format(4000) + OUT_OF_MEMORY)
    assert outcome["status"] == "oom", outcome
    told = "out of device memory: peak 4,000 MiB of 4,096 MiB (Made-up GPU): RuntimeError at line"
    assert outcome["reason"].startswith(told) and outcome["reason"].endswith(": CUDA error: out of memory")
    assert outcome["metrics"] == {"peak_device_mb": 4000, "device_memory_mb": 4096}
    slot.guard._sampled = 0.0


def test_memory_that_runs_out_in_the_evaluation_is_told_without_the_program_s_words(slot: Slot) -> None:
    model = "class Big(nn.Module):\n    def forward(self, x): raise torch.OutOfMemoryError('CUDA: 2 GiB; a word')\n"
    outcome = slot.run(TINY + TAKES.format(4000) + model + "evaluate_bpb(Big(), tokenizer, 8)")
    assert outcome["status"] == "oom", outcome
    assert outcome["reason"].startswith("out of device memory: peak 4,000 MiB of 4,096 MiB (Made-up GPU): OutOfMem")
    assert "messages are not passed on" in outcome["reason"] and "word" not in outcome["reason"]


def test_another_crash_is_no_lack_of_memory(slot: Slot) -> None:
    outcome = slot.run(TINY + "raise RuntimeError('CUDA error: an illegal memory access was encountered')")
    assert (outcome["status"], outcome["metrics"]) == ("crashed", {})


def test_a_trial_waits_until_no_other_run_trains_on_the_device(slot: Slot, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither the memory that the other one uses nor the time that it takes is the trial's."""
    taken, free = slot.guard.source.other, threading.Event()

    def train() -> None:
        with lease.Lease("GPU-made-up", "pid 7 of another run", slot.guard.leases).held(lambda holder: None):
            taken.write_text("9000")
            begun.set()
            free.wait(20)
            taken.unlink()

    begun, other = threading.Event(), threading.Thread(target=train)
    other.start()
    assert begun.wait(10)
    threading.Timer(1.0, free.set).start()  # twice as long as memory in use by others is borne
    outcome = slot.run(TINY + SCORE)
    other.join()
    assert outcome["status"] == "ok", outcome
    assert outcome["metrics"]["peak_device_mb"] == 0
    said = capfd.readouterr()
    why = "waits for Made-up GPU (GPU 0), which another run trains on: pid 7 of another run"
    assert json.loads(said.out.splitlines()[0]) == {"waiting": why} and said.err.count(f"judge: {why}") == 1


def test_a_judge_whose_engine_has_gone_does_not_wait_for_a_device(slot: Slot) -> None:
    reading, writing = os.pipe()
    engine = trials.Engine()
    engine.fileno = lambda: reading  # type: ignore[method-assign]
    os.close(writing)
    another = lease.Lease("GPU-made-up", "another", slot.guard.leases).held(lambda holder: None)
    with another, pytest.raises(SystemExit), slot.guard.alone(engine.wait):
        raise AssertionError("it is another's")
    os.close(reading)


def test_the_judge_says_how_much_memory_a_trial_may_have(slot: Slot) -> None:
    assert slot.judge.ready({})["device_memory_mb"] == LIMIT_MB
    assert replace(slot.guard, limit_mb=0.0).memory_mb == 80 * 1024


class Frozen:
    """A group of processes that nothing can kill while it is frozen. Skips where there is no such thing."""

    def __init__(self) -> None:
        self.folder = FREEZER / f"evolve-test-{os.getpid()}"
        try:
            self.folder.mkdir()
        except OSError as error:
            pytest.skip(f"no process can be made unkillable here: {error}")

    def put(self, pid: int) -> None:
        (self.folder / "cgroup.procs").write_text(str(pid))
        (self.folder / "freezer.state").write_text("FROZEN")

    def close(self) -> None:
        (self.folder / "freezer.state").write_text("THAWED")
        until = time.monotonic() + 10
        while (self.folder / "cgroup.procs").read_text() and time.monotonic() < until:
            time.sleep(0.02)
        self.folder.rmdir()


@pytest.fixture
def frozen() -> Iterator[Frozen]:
    group = Frozen()
    yield group
    group.close()


@pytest.mark.slow
def test_a_process_that_cannot_be_killed_is_waited_for_a_while_and_its_device_is_given_up(
    ahead: Slot, frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 62: as when it hangs in the driver, in state D."""
    for module in (waiting, watchdog):
        monkeypatch.setattr(module, "END_WALL", 0.5)
    monkeypatch.setattr(waiting, "TERM_WALL", 0.5)
    start = ahead.judge.nursery.start

    def start_and_freeze(source: bytes) -> Any:
        box = start(source)
        frozen.put(box.pid)
        stuck.append(box.pid)
        return box

    stuck: list[int] = []
    monkeypatch.setattr(ahead.judge.nursery, "start", start_and_freeze)
    monkeypatch.setattr("session.STARTUP_WALL", 0.0)
    outcome = ahead.run(TINY + SCORE)
    state = Path(f"/proc/{stuck[0]}/stat").read_text().rpartition(")")[2].split()[0]
    assert state == "D", "it has to be there still, or nothing is shown"
    assert outcome["status"] == "infrastructure", outcome
    assert f"Made-up GPU (GPU 0) is not usable: process {stuck[0]} cannot be killed" in outcome["reason"]
    assert "reset the device or reboot the machine, then resume" in outcome["reason"]
    assert ahead.run(TINY + SCORE)["reason"] == outcome["reason"], "refused at once, for the same reason"
    assert ahead.judge.nursery.process.pid != stuck[0], "the judge has not waited for it"


class Unkillable:
    """A nursery whose box stays."""

    def end(self, box: Any) -> None:
        raise Infrastructure("the box's keeper did not answer (exit)")


@pytest.mark.parametrize(
    ("pid", "left", "lost"),
    [(os.getpid(), [], True), (2**22 + 1, [os.getpid()], True), (2**22 + 1, [], False)],
    ids=["the box", "what it left", "nothing"],
)
def test_a_keeper_that_does_not_answer_costs_the_device_only_where_something_lives(
    slot: Slot, pid: int, left: list[int], lost: bool
) -> None:
    judge = object.__new__(trials.Judge)
    judge.nursery = Unkillable()  # type: ignore[assignment]
    judge.guard = replace(slot.guard, lost="")
    box = type("Box", (), {"pid": pid})()
    with pytest.raises(Infrastructure, match=f"process {os.getpid()} cannot be killed" if lost else "did not answer"):
        judge.end(box, left)
    assert bool(judge.guard.lost) == lost
