"""Where attacks on a GPU are run: a real judge, and what is seen of the device from outside of its boxes.

As in laboratory.py an attack's own words count for little: what counts is the outcome, the device's memory and
settings, processes that are left, and an honest trial afterwards. Its words say that it got as far as trying (`says`)
and what it found that it should not (`harmful`).
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.redteam.attacks import Program
from tests.redteam.card import CardError, changed
from tests.redteam.laboratory import LEFT, Outcome, Report, WeakSlot, container, isolation, judge_below, running

JUDGE_AT = Path(__file__).parent / "judge_at.py"
ENDLESS = 200.0  # seconds after which a trial is taken to have no end
RETURN_WALL = 30.0  # seconds for the device's memory to be back
NEAR_MB = 512.0  # above what was in use before, which counts as back
EVERY = 0.25  # seconds between two looks at the memory in use
SMALL = {"device": "cuda", "clock": "wall", "memory_mb": "65536"}  # the CPU scale's text and sizes, on a GPU
HONEST = """
import torch, torch.nn as nn, torch.nn.functional as F
from prepare import DEVICE, MAX_SEQ_LEN, Tokenizer, evaluate_bpb, make_dataloader
tokenizer = Tokenizer.from_directory()
size = tokenizer.get_vocab_size()
model = nn.Sequential(nn.Embedding(size, 16), nn.Linear(16, size)).to(DEVICE)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
def step(x, y):
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad(); loss.backward(); optimizer.step()
for split in ("warmup", "train"):
    for x, y, _ in make_dataloader(tokenizer, 4, MAX_SEQ_LEN, split):
        step(x, y)
        DEVICE == "cpu" or torch.cuda.synchronize()
print(evaluate_bpb(model, tokenizer, 8))
"""


class Watched(Protocol):
    """A card as card.py has it. May raise CardError."""

    name: str

    def used_mb(self) -> float: ...
    def settings(self) -> dict[str, str]: ...


@dataclass
class GpuReport(Report):
    """And what was seen of the device: MiB above the baseline at most, seconds until they were back, wall seconds."""

    peak_mb: float = 0.0
    back_seconds: float = 0.0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def log(self) -> str:
        return "\n".join(str(outcome.get("log_tail", "")) for outcome in self.outcomes)


class Looks(threading.Thread):
    """Looks at the memory in use while a trial runs; `highest` in MiB."""

    def __init__(self, card: Watched) -> None:
        super().__init__(daemon=True)
        self.card, self.highest, self.ended = card, 0.0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(EVERY):
            with contextlib.suppress(CardError):
                self.highest = max(self.highest, self.card.used_mb())

    def stop(self) -> float:
        self.ended.set()
        self.join()
        return self.highest


class GpuLaboratory:
    """A judge with one device. `values` change its scale, see judge_at.py; `gpu` is an index or UUID.

    Raises RuntimeError where the judge is not ready, or an honest trial does not end well.
    """

    def __init__(
        self, cache: Path, card: Watched, values: dict[str, str], scale: str = "gpu", gpu: str = "0", level: str = "N"
    ) -> None:
        self.cache, self.card = cache, card
        self.home = Path(tempfile.mkdtemp(prefix="rt-gpu-"))
        self.baseline, self.settings = card.used_mb(), card.settings()
        changes = [f"--set={name}={value}" for name, value in values.items()]
        options = [f"--scale={scale}", f"--device={gpu}", f"--cache={cache}", "--patience=3", *isolation(level)]
        command = [*container(level), sys.executable, str(JUDGE_AT), *changes, *options]
        self.slot = WeakSlot(cache, self.home, command, "none")
        if not self.slot.ready["ready"]:
            self.slot.close()
            raise RuntimeError(f"the judge is not ready: {self.slot.ready.get('error')}")
        self.judge = judge_below(self.slot.process.pid, cache)
        self.box = cache.resolve() / "boxes" / str(self.judge)
        if (usual := self.honest())["status"] != "ok":
            self.close()
            raise RuntimeError(f"an honest trial ends as {usual['status']}: {usual['reason']}")

    def honest(self) -> Outcome:
        """A trial that does nothing wrong, after an attack or before."""
        outcome = self.slot.patient(HONEST, ENDLESS, budget=1.0, purpose="smoke")
        return outcome or {"status": "none", "reason": "no outcome", "violation": ""}

    def attack(self, program: Program) -> GpuReport:
        """Run a program, and an honest trial after it, and say what came of both."""
        report, began = GpuReport(), time.monotonic()
        source = program.source.replace("<mark>", f"{random.getrandbits(64):016x}")
        looks = Looks(self.card)
        looks.start()
        purposes = program.purposes * (2 if program["twice"] else 1)
        for purpose in purposes:
            outcome = self.slot.patient(source, ENDLESS, budget=program.budget, rung=program.share, purpose=purpose)
            if outcome is None:
                report.harms.append("the trial has no end, or the judge has died")
                break
            report.outcomes.append(outcome)
        report.peak_mb = max(0.0, looks.stop() - self.baseline)
        report.harms += [*self._left(report), *self._said(program, report)]
        if len(report.outcomes) == len(purposes) and (after := self.honest())["status"] != "ok":
            report.harms.append(f"the next trial ends as {after['status']}: {after['reason'][:200]}")
        report.faults = program.faults(report.outcome)
        if program["says"] and not re.search(program["says"], report.log):
            report.faults.append(f"the log has nothing of {program['says']!r}: it was not tried")
        report.seconds = time.monotonic() - began
        return report

    def _left(self, report: GpuReport) -> Iterator[str]:
        """What there is of memory, processes and settings that was not there before."""
        began = time.monotonic()
        while (over := self.card.used_mb() - self.baseline) > NEAR_MB and time.monotonic() < began + RETURN_WALL:
            time.sleep(EVERY)
        report.back_seconds = time.monotonic() - began
        if over > NEAR_MB:
            yield f"{over:,.0f} MiB of the device stay in use"
        until = time.monotonic() + LEFT
        while (left := self._survivors()) and time.monotonic() < until:
            time.sleep(0.05)
        if left:
            yield f"{len(left)} processes survive"
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        yield from changed(self.settings, self.card.settings())

    def _survivors(self) -> set[int]:
        """Processes in folders of boxes that have ended, which are gone; the spare's is there."""
        found = set()
        for pid in running(self.judge, self.box):
            with contextlib.suppress(OSError):
                place = os.readlink(f"/proc/{pid}/cwd").removesuffix(" (deleted)")
                if place.startswith(str(self.box)) and not Path(place).exists():
                    found.add(pid)
        return found

    def _said(self, program: Program, report: GpuReport) -> Iterator[str]:
        if program["harmful"] and (found := re.findall(rf".*(?:{program['harmful']}).*", report.log)):
            yield f"it found: {'; '.join(found)[:300]}"
        if report.outcome["status"] == "infrastructure":
            yield f"the harness or the device is blamed: {report.outcome['reason'][:200]}"
        if report.outcome["status"] == "ok" and not re.fullmatch(program["expects"], "ok"):
            yield "accepted"

    def close(self) -> None:
        with contextlib.suppress(Exception):  # it may be in any state
            self.slot.close()
        for pid in {*running(self.judge, self.box), self.slot.process.pid, self.judge}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.slot.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)
