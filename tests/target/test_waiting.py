"""Boxes that are exec'd ahead and wait, on the CPU: the same trials as in forked boxes, and what they leave behind."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from select import select

import psutil
import pytest

import corpus
import nursery
import waiting as waiting_boxes
from clock import WallClock
from ladder import Isolation, find_bwrap
from nursery import Box, Infrastructure, Nursery
from session import Session, Terms, Verdict
from tests.target.conftest import SCORE, TINY
from texts import FOLDER, Scale, Texts
from trials import answer
from waiting import Waiting
from wire import Message

STEPS = """
for step, (x, y, epoch) in enumerate(make_dataloader(tokenizer, 4, MAX_SEQ_LEN, "train")):
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    if step == 20:
        break
"""
pytestmark = pytest.mark.slow  # each box imports torch anew
BWRAP = find_bwrap()
LEVELS = [Isolation("L"), *([Isolation("N", BWRAP)] if BWRAP else [])]


@pytest.fixture(scope="module")
def texts(cache: Path) -> Texts:
    return Texts(corpus.load(cache, None, print), Scale.read("cpu"), print)


def trial(boxes: Waiting | Nursery, texts: Texts, source: str) -> tuple[Verdict | None, Message, str]:
    """The verdict on a script, how its box ended and what it printed. Time is not what is looked at here."""
    box = boxes.start(source.encode())
    try:
        session = Session(Scale.read("cpu"), texts, WallClock(), Terms(60.0, 0.02, 0, "tune"))
        serve(box, session)
    finally:
        ended = boxes.end(box)
    return session.verdict, ended, box.log.text()


def serve(box: Box, session: Session) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        ready, _, _ = select([box.wire, box.process, box.log], [], [], 1.0)
        if box.log in ready:
            box.log.drain()
        if box.wire in ready:
            if (messages := box.wire.receive()) is None:
                return
            for message in messages:
                answer(box.wire, session, message)
        elif box.process in ready:
            return


@pytest.fixture(scope="module", params=LEVELS, ids=lambda isolation: isolation.level)
def waiting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waiting]:
    boxes = Waiting(tmp_path_factory.mktemp("waiting") / "boxes", 4096, request.param)
    yield boxes
    boxes.close()
    assert not boxes.parent.exists()


def loss(result: tuple[Verdict | None, Message, str]) -> float:
    verdict, _, log = result
    assert verdict is not None and verdict.status == "ok", (verdict, log)
    return verdict.metrics["val_bpb"]


def test_a_trial_has_the_same_loss_as_in_a_forked_box(waiting: Waiting, texts: Texts, tmp_path: Path) -> None:
    nursery = Nursery(tmp_path / "boxes", 4096)
    try:
        forked = loss(trial(nursery, texts, TINY + STEPS + SCORE))
    finally:
        nursery.close()
    assert loss(trial(waiting, texts, TINY + STEPS + SCORE)) == forked


def test_each_box_has_a_folder_of_its_own_that_goes_with_it(waiting: Waiting, texts: Texts) -> None:
    here = "import os\nopen('left', 'w').close()\nprint(os.getcwd(), sorted(os.listdir()))\n"
    logs = [trial(waiting, texts, here)[2] for _ in range(2)]
    places = {line.split()[0] for log in logs for line in log.splitlines()}
    assert len(places) == 2 and not any(Path(place).exists() for place in places)
    assert all("['left', 'tmp', 'train.py']" in log for log in logs), logs


def test_the_next_box_is_prepared_while_one_runs(waiting: Waiting) -> None:
    box = waiting.start(b"import time; time.sleep(60)")
    try:
        assert waiting._spare is not None
        waiting._spare.await_ready()
        begun = time.monotonic()
    finally:
        assert waiting.end(box)["exit"] == -9
    box = waiting.start(b"pass")
    assert time.monotonic() - begun < 1.0
    assert waiting.end(box)["exit"] in (0, -9)


def test_how_a_box_ends_is_told(waiting: Waiting, texts: Texts) -> None:
    assert trial(waiting, texts, "import os; os._exit(7)")[1]["exit"] == 7
    assert trial(waiting, texts, "import os; os.abort()")[1]["exit"] in (-6, -11)  # the latter as the first process


def test_peak_memory_is_what_a_script_adds(waiting: Waiting, texts: Texts) -> None:
    large = "big = bytearray(200 * 2**20)\nbig[::4096] = b'x' * len(big[::4096])\n"
    few, many = (trial(waiting, texts, text)[1]["peak_mb"] for text in ("pass", large))
    assert many - few == pytest.approx(200, abs=15) and few - waiting.ready["baseline_mb"] < 40


DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("daemon", flush=True)
        time.sleep(MARK)
    os._exit(0)
os.wait()
time.sleep(0.2)
"""


def sleepers(mark: str) -> list[int]:
    return [p.pid for p in psutil.process_iter() if p.pid != os.getpid() and mark in " ".join(command(p))]


def command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_no_process_survives_its_box(waiting: Waiting, texts: Texts) -> None:
    _, ended, log = trial(waiting, texts, DAEMON.replace("MARK", "300"))
    assert "daemon" in log and ended["exit"] == 0
    until = time.monotonic() + 5.0  # the kernel ends what is below the first process of a box after that has ended
    while (left := sleepers(str(waiting.folder))) and time.monotonic() < until:
        time.sleep(0.02)
    assert left == []


def test_a_box_to_which_no_lines_can_be_made_leaves_nothing(
    waiting: Waiting, texts: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left() -> tuple[int, int]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    assert waiting._spare is not None
    waiting._spare.await_ready()
    spare = waiting._spare
    with monkeypatch.context() as patched:
        patched.setattr(os, "pipe", none_left)
        with pytest.raises(Infrastructure, match="cannot make the lines to a box: .*Too many open files"):
            waiting.start(b"pass")
    assert spare.process.poll() is not None and not spare.folder.exists()
    assert trial(waiting, texts, TINY + SCORE)[1]["exit"] == 0


def test_a_spare_that_died_is_replaced(waiting: Waiting, texts: Texts) -> None:
    assert waiting._spare is not None
    waiting._spare.await_ready()
    os.kill(waiting._spare.process.pid, 9)
    waiting._spare.process.wait(60)
    assert loss(trial(waiting, texts, TINY + SCORE)) > 0


def test_a_spare_that_cannot_be_prepared_does_not_cost_the_box_that_begins(
    waiting: Waiting, texts: Texts, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert waiting._spare is not None
    os.mkfifo(tmp_path / "pipe")  # which nobody copies
    waiting.compiled = tmp_path
    try:
        assert loss(trial(waiting, texts, TINY + SCORE)) > 0
        assert "no box waits: a box cannot be prepared: " in capfd.readouterr().err
        with pytest.raises(Infrastructure, match="a box cannot be prepared: .*pipe"):
            waiting.start(b"pass")
    finally:
        waiting.compiled = None


def test_a_box_that_cannot_be_had_is_the_harness_s_fault(tmp_path: Path) -> None:
    with pytest.raises(Infrastructure, match="did not answer|before it was ready|cannot be prepared"):
        Waiting(tmp_path / "boxes", 4096, Isolation("N", "/bin/false"))
    assert not (tmp_path / "boxes").exists()


def test_closing_ends_a_box_that_runs_and_the_spare(tmp_path: Path) -> None:
    boxes = Waiting(tmp_path / "boxes", 4096)
    box = boxes.start(b"import time; time.sleep(300)")
    boxes.close()
    box.close()
    assert sleepers(str(tmp_path)) == [] and not (tmp_path / "boxes").exists()


LOOKS = """
import os, sys, torch
sys.path.insert(0, sys.argv[1])
import waiter

def looked():
    raise SystemError("looked for a device")

torch.cuda.is_available = looked
waiter.import_compiler()
assert torch.cuda.is_available is looked and "torch._inductor.compile_fx" in sys.modules
assert len(os.listdir("/proc/self/task")) == 1
"""


def test_a_waiting_box_imports_the_compiler_without_a_look_at_the_device() -> None:
    environment = {**os.environ, **nursery.ENVIRONMENT, **waiting_boxes.COMPILING}
    subprocess.run([sys.executable, "-c", LOOKS, str(FOLDER)], env=environment, check=True)
