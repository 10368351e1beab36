"""What is known of a GPU without torch: its name, its memory, who uses it, and whether it still works.

Read through NVML where `pynvml` can be imported (the extra `gpu`), else through `nvidia-smi`. A crashed program may say
that the device is broken, and a broken device makes programs crash: which of the two it was, a probe tells, a process
of the harness's own that multiplies matrices on the device in a context of its own.
"""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nursery import Infrastructure
from telemetry import State, Telemetry, mfu_reported

FOREIGN_MB = 512  # device memory above the baseline that a trial is not begun with
RETURN_WALL = 30.0  # seconds for the device memory of a killed box to be free again
PROBE_WALL = 90.0  # seconds for the probe, which imports torch
SAMPLE_EVERY = 0.5  # seconds between two looks at the memory in use
DEAR_EVERY = 5.0  # and where only nvidia-smi tells it, which is asked for the sake of a limit only
LOST_XIDS = {48, 61, 62, 63, 64, 74, 79, 92, 94, 95, 119, 120, 140}  # of the driver: hardware, not a program
OUT_OF_MEMORY = re.compile(r"CUDA out of memory|OutOfMemoryError|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation")
NAMES_DEVICE = re.compile(r"cuda|cudnn|cublas|nccl|nvml|AcceleratorError|Xid\b|device-side|killed by SIG|triton", re.I)
HELD_BACK = 0x4 | 0x8 | 0x20 | 0x40 | 0x80  # power cap, slowdown by hardware, heat (software, hardware), power brake
WORDLESS = "messages are not passed on"  # of a crash in the evaluation
PROBE = """
import torch
x = torch.ones(1024, 1024, device="cuda")
assert (x @ x).sum().item() == 1024.0 ** 3, "a product of matrices was wrong"
y = torch.ones(1024).pin_memory().cuda(non_blocking=True)
torch.cuda.synchronize()
"""
Command = Sequence[str]


@dataclass(frozen=True)
class Device:
    """One GPU; sizes in MiB."""

    index: int
    uuid: str
    name: str
    memory_mb: float


@dataclass(frozen=True)
class User:
    """A process that holds memory of a device, in MiB."""

    pid: int
    name: str
    memory_mb: float

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.name}, {self.memory_mb:,.0f} MiB)"


class Source(Protocol):
    """Where it is read what a device does. Its methods raise Infrastructure when the driver does not answer."""

    def devices(self) -> list[Device]: ...
    def used_mb(self, device: Device) -> float: ...
    def users(self, device: Device) -> list[User]: ...
    def xids(self, device: Device) -> list[int]: ...
    def state(self, device: Device) -> State | None: ...


class Nvml:
    """NVML through the module `pynvml`."""

    cheap = True

    def __init__(self, pynvml: Any) -> None:
        self._nvml = pynvml
        self._events: dict[str, Any] = {}
        self._ask(pynvml.nvmlInit)

    def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except self._nvml.NVMLError as error:
            raise Infrastructure(f"the GPU's driver does not answer: {error}") from error

    def devices(self) -> list[Device]:
        nvml, found = self._nvml, []
        for index in range(self._ask(nvml.nvmlDeviceGetCount)):
            handle = self._ask(nvml.nvmlDeviceGetHandleByIndex, index)
            uuid, name = self._ask(nvml.nvmlDeviceGetUUID, handle), self._ask(nvml.nvmlDeviceGetName, handle)
            total = self._ask(nvml.nvmlDeviceGetMemoryInfo, handle).total
            found.append(Device(index, uuid, name, total / 2**20))
        return found

    def _handle(self, device: Device) -> Any:
        return self._ask(self._nvml.nvmlDeviceGetHandleByUUID, device.uuid)

    def used_mb(self, device: Device) -> float:
        return float(self._ask(self._nvml.nvmlDeviceGetMemoryInfo, self._handle(device)).used / 2**20)

    def users(self, device: Device) -> list[User]:
        running = self._ask(self._nvml.nvmlDeviceGetComputeRunningProcesses, self._handle(device))
        return [User(p.pid, process_name(p.pid), (p.usedGpuMemory or 0) / 2**20) for p in running]

    def xids(self, device: Device) -> list[int]:
        """Faults that the driver noted since the last call; none where it does not tell them."""
        nvml = self._nvml
        try:
            if device.uuid not in self._events:
                self._events[device.uuid] = events = nvml.nvmlEventSetCreate()
                nvml.nvmlDeviceRegisterEvents(self._handle(device), nvml.nvmlEventTypeXidCriticalError, events)
            found = []
            while True:
                found.append(int(nvml.nvmlEventSetWait_v2(self._events[device.uuid], 0).eventData))
        except nvml.NVMLError_Timeout:
            return found
        except nvml.NVMLError:
            return []

    def state(self, device: Device) -> State | None:
        """Energy, clock and whether it is held back; None where the driver does not tell."""
        nvml, handle = self._nvml, self._handle(device)
        try:
            clock = float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))
            reasons = int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
        except nvml.NVMLError:
            return None
        try:
            joules = float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
        except nvml.NVMLError:  # not before Volta, nor for a part of a device
            joules = None
        return State(joules, clock, bool(reasons & HELD_BACK))


class Smi:
    """The program nvidia-smi, for where NVML's module is not installed. `run` is given the arguments, for tests."""

    cheap = False

    def __init__(self, run: Callable[[Command], str] | None = None) -> None:
        self._run = run or _nvidia_smi

    def _rows(self, query: str, device: Device | None = None) -> list[list[str]]:
        only = [f"--id={device.uuid}"] if device else []
        text = self._run([f"--query-{query}", "--format=csv,noheader,nounits", *only])
        return [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if len(row) > 1]

    def devices(self) -> list[Device]:
        rows = self._rows("gpu=index,uuid,name,memory.total")
        return [Device(int(index), uuid, name, _number(total)) for index, uuid, name, total in rows]

    def used_mb(self, device: Device) -> float:
        return _number(self._rows("gpu=index,memory.used", device)[0][1])

    def users(self, device: Device) -> list[User]:
        rows = self._rows("compute-apps=pid,used_memory,process_name", device)
        return [User(int(pid), name, _number(used)) for pid, used, name in rows]

    def xids(self, device: Device) -> list[int]:
        return []

    def state(self, device: Device) -> State | None:
        return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:  # "[N/A]"
        return 0.0


def _nvidia_smi(arguments: Command) -> str:
    try:
        done = subprocess.run(["nvidia-smi", *arguments], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Infrastructure(f"nvidia-smi does not answer: {error}") from error
    if done.returncode:
        raise Infrastructure(f"nvidia-smi failed: {' '.join((done.stdout + done.stderr).split())[:300]}")
    return done.stdout


def process_name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return "of another container or user"


def nodes(device: Device, dev: Path = Path("/dev"), driver: Path = Path("/proc/driver/nvidia/gpus")) -> list[Path]:
    """The device nodes that CUDA needs for one GPU and no other; all GPUs where it is not told which.

    None of nvidia-caps: its first ones set up parts of a device (MIG), and belong to root, whom a box may be outside.
    """
    told = [file.read_text() for file in driver.glob("*/information")]
    minors = [m[1] for text in told if device.uuid in text and (m := re.search(r"Device Minor:\s*(\d+)", text))]
    gpus = [dev / f"nvidia{minor}" for minor in minors] or sorted(dev.glob("nvidia[0-9]*"))
    shared = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")
    return [path for path in (*(dev / name for name in shared), *gpus) if path.exists()]


def environment(device: Device) -> dict[str, str]:
    """What a process needs to find this GPU, first in its own numbering, and the driver's libraries."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "CUDA_VISIBLE_DEVICES": device.uuid or str(device.index),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        **libraries(os.environ.get("LD_LIBRARY_PATH", "")),
    }


def libraries(search: str) -> dict[str, str]:
    """LD_LIBRARY_PATH with those folders of `search` that hold the driver's library, nothing else; and where Triton
    finds it, which would call ldconfig otherwise."""
    found = [folder for folder in search.split(":") if folder and Path(folder, "libcuda.so.1").exists()]
    return {"LD_LIBRARY_PATH": ":".join(found), "TRITON_LIBCUDA_PATH": found[0]} if found else {}


def open_source() -> Source:
    """NVML where it can be had, else nvidia-smi. Raises Infrastructure where NVML is there but does not answer."""
    try:
        import pynvml
    except ImportError:
        return Smi()
    return Nvml(pynvml)


def find(source: Source, wanted: str) -> Device:
    """The device with this index or UUID (or its beginning). Raises Infrastructure with those that there are."""
    devices = source.devices()
    for device in devices:
        if wanted == str(device.index) or (len(wanted) > 3 and device.uuid.startswith(wanted)):
            return device
    there = ", ".join(f"{d.index} ({d.name}, {d.uuid})" for d in devices) or "none"
    raise Infrastructure(f"no GPU {wanted}; there are: {there}")


@dataclass
class Guard:
    """Looks after one device between and during trials; once `lost` says why, no trial may begin on it.

    `environment` of the probe names the device. `probe` is its command, for tests. `limit_mb` is what a trial may have
    of the device's memory, 0 for all of it.
    """

    source: Source
    device: Device
    environment: Mapping[str, str]
    probe: Command = (sys.executable, "-I", "-c", PROBE)
    wait: float = RETURN_WALL
    limit_mb: float = 0.0
    lost: str = ""
    peak_mb: float = 0.0
    baseline_mb: float = field(init=False)
    telemetry: Telemetry = field(default_factory=Telemetry)
    _sampled: float = 0.0

    def __post_init__(self) -> None:
        self.baseline_mb = self.source.used_mb(self.device)

    def before(self) -> None:
        """Nothing else may hold the device's memory when a trial begins. Raises Infrastructure."""
        if self.lost:
            raise Infrastructure(self.lost)
        if not self._returned():
            users = self.source.users(self.device)
            raise Infrastructure(
                f"{self._over():,.0f} MiB of {self.device.name} are in use by others: {_named(users)}; "
                "the trial is run again when they are free"
            )
        self.peak_mb, self.telemetry = 0.0, Telemetry()

    def sample(self, training: bool = False) -> str:
        """Note the memory in use now and, in `training`, what the device does, at most twice a second.

        Returns why the box has to be ended, or "". Where only nvidia-smi tells it, this is left out, unless there is a
        limit.
        """
        now, cheap = time.monotonic(), getattr(self.source, "cheap", True)
        if not (cheap or self.limit_mb) or now - self._sampled < (SAMPLE_EVERY if cheap else DEAR_EVERY):
            return ""
        self._sampled, used = now, self._over()
        self.peak_mb = max(self.peak_mb, used)
        if training and (state := self.source.state(self.device)):
            self.telemetry.note(state)
        if self.limit_mb and used > self.limit_mb:
            return f"device memory: {used:,.0f} MiB of {self.device.name}; the limit is {self.limit_mb:,.0f} MiB"
        return ""

    def metrics(self, trained: Mapping[str, float], charged: float) -> dict[str, float]:
        """What is to be said of the device besides what was measured of the training, which took `charged` seconds."""
        return (
            {"peak_device_mb": self.peak_mb} | self.telemetry.metrics(charged) | mfu_reported(self.device.name, trained)
        )

    def after(self, crashed: str = "", box: int = 0) -> str:
        """Look at the device after a trial whose box, process `box`, is gone; returns why the trial is void, or "".

        `crashed` is the reason of a crash. It is the program's own word: only the driver and the probe are believed.
        """
        try:
            if broken := sorted(set(self.source.xids(self.device)) & LOST_XIDS):
                return self.lose(f"the driver reported Xid {', '.join(map(str, broken))}")
            if crashed and (NAMES_DEVICE.search(crashed) or WORDLESS in crashed) and (failed := self.test()):
                return self.lose(f"it fails a test of the harness's own ({failed})")
            if not self._returned():
                users = self.source.users(self.device)
                if users and all(user.pid != box for user in users):
                    return f"another user took {self._over():,.0f} MiB of {self.device.name}: {_named(users)}"
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

    def _over(self) -> float:
        return self.source.used_mb(self.device) - self.baseline_mb

    def _returned(self) -> bool:
        """Whether the memory in use is, or comes within `wait` seconds, near the baseline."""
        end = time.monotonic() + self.wait
        while self._over() > FOREIGN_MB:
            if time.monotonic() > end:
                return False
            time.sleep(0.2)
        return True


def _named(users: list[User]) -> str:
    return ", ".join(map(str, users)) or "a process that the driver does not name"


def out_of_memory(reason: str) -> bool:
    """Whether a crash says that the device's memory was used up."""
    return bool(OUT_OF_MEMORY.search(reason))
