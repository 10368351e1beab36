"""Where it is read what a GPU does: NVML where `pynvml` can be imported (the extra `gpu`), else nvidia-smi."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from devices import Device, Source, User
from nursery import Infrastructure
from telemetry import State

POWER_CAP = 0x4  # which a busy device reaches as a matter of course
HELD_BACK = 0x8 | 0x20 | 0x40 | 0x80  # slowdown by hardware, heat (software, hardware), power brake
Command = Sequence[str]


def open_source() -> Source:
    """NVML where it can be had, else nvidia-smi. Raises Infrastructure where NVML is there but does not answer."""
    try:
        import pynvml
    except ImportError:
        return Smi()
    return Nvml(pynvml)


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
        nvml, found = self._nvml, list[int]()
        try:
            if device.uuid not in self._events:
                self._events[device.uuid] = events = nvml.nvmlEventSetCreate()
                nvml.nvmlDeviceRegisterEvents(self._handle(device), nvml.nvmlEventTypeXidCriticalError, events)
            while True:
                found.append(int(nvml.nvmlEventSetWait_v2(self._events[device.uuid], 0).eventData))
        except nvml.NVMLError:  # most often: there is none, within no time
            return found

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
        return State(joules, clock, bool(reasons & HELD_BACK), bool(reasons & POWER_CAP))

    def minor(self, device: Device) -> int | None:
        return int(self._ask(self._nvml.nvmlDeviceGetMinorNumber, self._handle(device)))

    def bus(self, device: Device) -> str:
        try:
            found = self._nvml.nvmlDeviceGetPciInfo(self._handle(device)).busId
        except self._nvml.NVMLError:
            return ""
        return found.decode() if isinstance(found, bytes) else str(found)


class Smi:
    """The program nvidia-smi, for where NVML's module is not installed. `run` is given the arguments, for tests."""

    cheap = False

    def __init__(self, run: Callable[[Command], str] | None = None) -> None:
        self._run = run or _nvidia_smi

    def _rows(self, query: str, device: Device | None = None) -> list[list[str]]:
        """The rows that have every column of the query; only the last may hold a comma."""
        only, commas = [f"--id={device.uuid}"] if device else [], query.count(",")
        text = self._run([f"--query-{query}", "--format=csv,noheader,nounits", *only])
        rows = [[cell.strip() for cell in line.split(",", commas)] for line in text.splitlines()]
        return [row for row in rows if len(row) == commas + 1]

    def devices(self) -> list[Device]:
        rows = self._rows("gpu=index,uuid,name,memory.total")
        return [Device(int(index), uuid, name, _number(total)) for index, uuid, name, total in rows]

    def used_mb(self, device: Device) -> float:
        if not (rows := self._rows("gpu=index,memory.used", device)):
            raise Infrastructure(f"nvidia-smi does not tell the memory in use of {device.uuid}")
        return _number(rows[0][1])

    def users(self, device: Device) -> list[User]:
        rows = self._rows("compute-apps=pid,used_memory,process_name", device)
        return [User(int(pid), name, _number(used)) for pid, used, name in rows if pid.isdigit()]

    def xids(self, device: Device) -> list[int]:
        return []

    def state(self, device: Device) -> State | None:
        return None

    def minor(self, device: Device) -> int | None:
        found = re.search(r"Minor Number\s*:\s*(\d+)", self._run(["-q", f"--id={device.uuid}"]))
        return int(found[1]) if found else None

    def bus(self, device: Device) -> str:
        return "".join(row[1] for row in self._rows("gpu=index,pci.bus_id", device)[:1])


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
