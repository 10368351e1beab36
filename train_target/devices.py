"""The GPUs of a machine as its driver tells of them, without torch: which there are, which one may use, its nodes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from nursery import Infrastructure
from telemetry import State
from wire import printable

NO_DEVICE = ("", "-1", "NoDevFiles")  # what a scheduler writes into CUDA_VISIBLE_DEVICES for none


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
        return f"pid {self.pid} ({printable(self.name)}, {self.memory_mb:,.0f} MiB)"


class Source(Protocol):
    """Where it is read what a device does. Its methods raise Infrastructure when the driver does not answer.

    `state`, `minor` (the number of its node) and `bus` (its place on the PCI bus, "") may not be told.
    """

    def devices(self) -> list[Device]: ...
    def used_mb(self, device: Device) -> float: ...
    def users(self, device: Device) -> list[User]: ...
    def xids(self, device: Device) -> list[int]: ...
    def state(self, device: Device) -> State | None: ...
    def minor(self, device: Device) -> int | None: ...
    def bus(self, device: Device) -> str: ...


def nodes(
    device: Device,
    minor: Callable[[Device], int | None],
    dev: Path = Path("/dev"),
    driver: Path = Path("/proc/driver/nvidia/gpus"),
) -> list[Path]:
    """The device nodes that CUDA needs for one GPU and no other.

    None of nvidia-caps: its first ones set up parts of a device (MIG), and belong to root, whom a box may be outside.
    `minor` is asked for the number of the node where /proc does not tell it, as in some containers. Raises
    Infrastructure where a box could use another GPU.
    """
    told = [file.read_text() for file in driver.glob("*/information")]
    minors = [m[1] for text in told if device.uuid in text and (m := re.search(r"Device Minor:\s*(\d+)", text))]
    every = sorted(dev.glob("nvidia[0-9]*"))
    own = [node for node in every if node.name in {f"nvidia{number}" for number in minors}]
    if not own and len(every) > 1:
        own = [node for node in every if node.name == f"nvidia{minor(device)}"]
        if not own:
            there = ", ".join(map(str, every))
            raise Infrastructure(f"neither /proc nor the driver tells which of {there} is {device.uuid}")
    shared = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")
    return [path for path in (*(dev / name for name in shared), *(own or every)) if path.exists()]


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


def find(devices: Sequence[Device], wanted: str) -> Device:
    """The device with this index or UUID (or its beginning). Raises Infrastructure with those that there are."""
    found = [d for d in devices if wanted in (str(d.index), d.uuid) or (len(wanted) > 4 and d.uuid.startswith(wanted))]
    if len(found) == 1:
        return found[0]
    there = ", ".join(f"{d.index} ({d.name}, {d.uuid})" for d in devices) or "none"
    raise Infrastructure(f"{'more than one' if found else 'no'} GPU {wanted}; there are: {there}")


def visible(devices: Sequence[Device], named: str | None) -> list[Device]:
    """Those that CUDA_VISIBLE_DEVICES names, in its order: by index as nvidia-smi counts, or by UUID; all without it.

    As for CUDA there is none behind an empty name or -1. Raises Infrastructure for a name of none, and where none is
    left.
    """
    if named is None:
        return list(devices)
    found: list[Device] = []
    for name in map(str.strip, named.split(",")):
        if name in NO_DEVICE:
            break
        device = find(devices, name)
        found += [device] if device not in found else []
    if devices and not found:
        raise Infrastructure(
            f"CUDA_VISIBLE_DEVICES={named!r} hides every GPU of this machine ({len(devices)}): unset it, or name one"
        )
    return found


def choose(devices: Sequence[Device], wanted: str | None) -> Device:
    """The one that is wanted, else the first that this process may use. Raises Infrastructure."""
    if wanted:
        return find(devices, wanted)
    for device in visible(devices, os.environ.get("CUDA_VISIBLE_DEVICES")):
        return device
    raise Infrastructure("the driver knows no GPU")


def listing(source: Source) -> list[dict[str, object]]:
    """What the engine is told of the devices that it may use, of which it gives each judge one. Raises
    Infrastructure."""
    found = visible(source.devices(), os.environ.get("CUDA_VISIBLE_DEVICES"))
    return [asdict(device) | {"near": near(source.bus(device))} for device in found]


def near(bus: str, buses: Path = Path("/sys/bus/pci/devices")) -> list[int]:
    """The cores of the NUMA node of a device on the PCI bus; [] where that is not known."""
    try:
        text = (buses / bus.lower()[-len("0000:00:00.0") :] / "local_cpulist").read_text()
        parts = [part.split("-") for part in text.strip().split(",")]
        return [core for part in parts for core in range(int(part[0]), int(part[-1]) + 1)]
    except (OSError, ValueError):
        return []
