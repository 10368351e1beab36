"""What looks after one GPU between and during trials: who uses its memory, what it does, and whether it still works.

A crashed program may say that the device is broken, and a broken device makes programs crash: which of the two it was,
a probe tells, a process of the harness's own that multiplies matrices on the device in a context of its own.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import lease
from devices import Device, Source
from nursery import Infrastructure
from sharing import FOREIGN_MB, Sharing, named
from telemetry import Telemetry, mfu_reported

RETURN_WALL = 30.0  # seconds for the device memory of a killed box to be free again
SETTLED = 0.3  # seconds in which memory that is being given back becomes less
PROBE_WALL = 90.0  # seconds for the probe, which imports torch
SAMPLE_EVERY = 0.5  # seconds between two looks at the memory in use
DEAR_EVERY = 5.0  # and where only nvidia-smi tells it, which is asked for the sake of a limit only
LOST_XIDS = {48, 61, 62, 63, 64, 74, 79, 92, 94, 95, 119, 120, 140}  # of the driver: hardware, not a program
OUT_OF_MEMORY = re.compile(  # by PyTorch, by the driver, by libraries that allocate for themselves
    r"CUDA out of memory|OutOfMemoryError|CUDA (?:driver )?error: out of memory|CUDA_ERROR_OUT_OF_MEMORY"
    r"|cudaErrorMemoryAllocation|CU(?:BLAS|DNN|SPARSE|SOLVER)_STATUS_ALLOC_FAILED"
)
NAMES_DEVICE = re.compile(r"cuda|cudnn|cublas|nccl|nvml|AcceleratorError|Xid\b|device-side|killed by SIG|triton", re.I)
WORDLESS = "messages are not passed on"  # of a crash in the evaluation
PROBE = """
import torch
x = torch.ones(1024, 1024, device="cuda")
assert (x @ x).sum().item() == 1024.0 ** 3, "a product of matrices was wrong"
y = torch.ones(1024).pin_memory().cuda(non_blocking=True)
torch.cuda.synchronize()
"""
Command = Sequence[str]


@dataclass
class Guard:
    """Looks after one device between and during trials; once `lost` says why, no trial may begin on it.

    `environment` of the probe names the device. `probe` is its command, for tests. `limit_mb` is what a trial may have
    of the device's memory, 0 for all of it. `leases` is the folder of the leases. `box` gives the processes of the box
    that runs.
    """

    source: Source
    device: Device
    environment: Mapping[str, str]
    probe: Command = (sys.executable, "-I", "-c", PROBE)
    wait: float = RETURN_WALL
    limit_mb: float = 0.0
    leases: Path = lease.FOLDER
    lost: str = ""
    peak_mb: float = 0.0
    box: Callable[[], Collection[int]] = tuple
    sharing: Sharing = field(init=False)
    baseline_mb: float = field(init=False)
    telemetry: Telemetry = field(default_factory=Telemetry)
    _sampled: float = 0.0

    def __post_init__(self) -> None:
        self.sharing = Sharing(self.device)
        self.baseline_mb = self.source.used_mb(self.device)
        self.source.xids(self.device)  # from now on: NVML tells of faults after it was asked for them

    @contextmanager
    def alone(self, wait: Callable[[str], None]) -> Iterator[None]:
        """Have the device for this process: from before the look at its memory until that is given back.

        `wait` is called while another process has it, again and again, with a line that says which. Raises
        Infrastructure where that cannot be settled.
        """

        def other(holder: str) -> None:
            wait(f"waits for {self.device.name} (GPU {self.device.index}), which another run trains on: {holder}")

        with lease.Lease(self.device.uuid, lease.about_this_process(), self.leases).held(other):
            yield

    def settle(self) -> None:
        """Take what is in use now, while this process has the device and nothing runs on it, for what others need.

        What a killed box of another run has left is no part of it: it is waited until the memory gets no less.
        """
        before, end = math.inf, time.monotonic() + self.wait
        while (used := self.source.used_mb(self.device)) < before and time.monotonic() < end:
            before = used
            time.sleep(SETTLED)
        self.baseline_mb = min(used, before)
        self._look_around()

    def _look_around(self) -> None:
        self.sharing.begin(self.source.users(self.device), self.baseline_mb)

    def before(self) -> None:
        """Nobody may have come to hold the device's memory since the judge began. Raises Infrastructure."""
        if self.lost:
            raise Infrastructure(self.lost)
        if not self._returned():
            users = self.source.users(self.device)
            raise Infrastructure(
                f"{self._over():,.0f} MiB of {self.device.name} are in use by others: {named(users)}; "
                "the trial is run again when they are free"
            )
        self._look_around()
        self.peak_mb, self.telemetry = 0.0, Telemetry()

    def sample(self, training: bool = False) -> str:
        """Note the memory in use now and, in `training`, what the device does, at most twice a second.

        Returns why the box has to be ended, or "". Where only nvidia-smi tells it, this is left out, unless there is a
        limit.
        """
        now, cheap = time.monotonic(), getattr(self.source, "cheap", True)
        if not (cheap or self.limit_mb) or now - self._sampled < (SAMPLE_EVERY if cheap else DEAR_EVERY):
            return ""
        self._sampled, used = now, self._of_the_box()
        self.peak_mb = max(self.peak_mb, used)
        if training and (state := self.source.state(self.device)):
            self.telemetry.note(state)
        if self.sharing.visit:
            return self.sharing.visit
        if self.limit_mb and used > self.limit_mb:
            return f"out of device memory: {used:,.0f} MiB of {self.device.name}; the limit is {self.limit_mb:,.0f} MiB"
        return ""

    def look(self) -> None:
        """Note the memory in use now, when a program has come to its end and has it still."""
        self.peak_mb = max(self.peak_mb, self._of_the_box())

    @property
    def memory_mb(self) -> float:
        """What a trial may have of the device's memory."""
        return self.limit_mb or self.device.memory_mb

    def memory(self) -> dict[str, float]:
        """Metrics of a trial for which the memory was not enough."""
        return {"peak_device_mb": self.peak_mb, "device_memory_mb": self.memory_mb}

    def exhausted(self, reason: str) -> str:
        """What is said of a program that says that the device's memory was used up."""
        used = f"peak {self.peak_mb:,.0f} MiB of {self.memory_mb:,.0f} MiB ({self.device.name})"
        return f"out of device memory: {used}: {reason}"

    def metrics(self, trained: Mapping[str, float], charged: float) -> dict[str, float]:
        """What is to be said of the device besides what was measured of the training, which took `charged` seconds."""
        found = {"peak_device_mb": self.peak_mb} | self.telemetry.metrics(charged)
        if self.sharing.beside:
            found["others_device_mb"] = self.sharing.beside_mb
        return found | mfu_reported(self.device.name, trained)

    def after(self, crashed: str = "", box: int = 0) -> str:
        """Look at the device after a trial whose box, process `box`, is gone; returns why the trial is void, or "".

        `crashed` is the reason of a crash. It is the program's own word: only the driver and the probe are believed.
        """
        try:
            if broken := sorted(set(self.source.xids(self.device)) & LOST_XIDS):
                return self.lose(f"the driver reported Xid {', '.join(map(str, broken))}")
            if crashed and (NAMES_DEVICE.search(crashed) or WORDLESS in crashed) and (failed := self.test()):
                return self.lose(f"it fails a test of the harness's own ({failed})")
            if self.sharing.visit:
                return self.sharing.visit
            if not self._returned():
                users = self.source.users(self.device)
                if users and all(user.pid != box for user in users):
                    return f"another user took {self._over():,.0f} MiB of {self.device.name}: {named(users)}"
                return self.lose(f"{self._over():,.0f} MiB stay in use {self.wait:g} s after the box was killed")
        except Infrastructure as error:
            return self.lose(str(error))
        return ""

    def test(self) -> str:
        """Multiply matrices in a fresh process; returns what went wrong, or ""."""
        try:
            done = subprocess.run(
                self.probe, env=dict(self.environment), capture_output=True, text=True, timeout=PROBE_WALL
            )
        except subprocess.TimeoutExpired:
            return f"no result after {PROBE_WALL:g} s"
        except OSError as error:
            return str(error)
        return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1] if done.returncode else ""

    def lose(self, why: str) -> str:
        """Give the device up; returns the message that every later trial is refused with."""
        self.lost = self.lost or (
            f"{self.device.name} (GPU {self.device.index}) is not usable: {why}; no trial runs on it any more: "
            "free or reset the device or reboot the machine, then resume"
        )
        return self.lost

    def _of_the_box(self) -> float:
        """The memory in use that others do not need, and did not take since the trial began."""
        users = self.source.users(self.device)
        return max(0.0, self._over() - self.sharing.taken(users, self.box() if users else ()))

    def _over(self) -> float:
        """The memory in use that others do not need; these may come to need less."""
        used = self.source.used_mb(self.device)
        self.baseline_mb = min(self.baseline_mb, used)
        return used - self.baseline_mb

    def _returned(self) -> bool:
        """Whether the memory in use is, or comes within `wait` seconds, near the baseline."""
        end = time.monotonic() + self.wait
        while self._over() > FOREIGN_MB:
            if time.monotonic() > end:
                return False
            time.sleep(0.2)
        return True


def out_of_memory(reason: str) -> bool:
    """Whether a crash says that the device's memory was used up."""
    return bool(OUT_OF_MEMORY.search(reason))
