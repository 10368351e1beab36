"""How the judges of a target are called, and where: all that a machine needs to know that only runs trials."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from evolve.config import ConfigError, Target
from evolve.journal import QUOTED, cut

CONFIDENTIAL = re.compile(r"^ANTHROPIC_|(KEY|TOKEN|SECRET|PASSWORD)$", re.I)  # variables that no judge needs
DEVICES_WALL = 120.0  # seconds for a judge to say which GPUs there are: a driver that sleeps takes some
CPUS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Slot:
    """Where one trial is run at a time: on these cores, and at a scale for GPUs on the one with this UUID."""

    cores: tuple[int, ...]
    device: str = ""

    @property
    def options(self) -> list[str]:
        """How a judge is told."""
        device = ["--device", self.device] if self.device else []
        return ["--core", ",".join(map(str, self.cores)), *device]


@dataclass(frozen=True)
class Gpu:
    """A GPU that a judge can use; `near` are the cores of its NUMA node, none where that is not known."""

    uuid: str
    near: frozenset[int] = frozenset()


def judge_command(target: Target, scale: str, data: str | None, isolation: Sequence[str] = ()) -> list[str]:
    """How the judge of a target is called, after the interpreter; `isolation` are options for that."""
    text = ["--data", str(Path(data).resolve())] if data else []
    return [str(target.judge), "--scale", scale, *text, *isolation]


def judge_environment() -> dict[str, str]:
    """The variables that a judge is started with: no keys, no passwords."""
    return {name: value for name, value in os.environ.items() if not CONFIDENTIAL.search(name)}


def slots_for(target: Target, scale: str, wanted: int | None) -> list[Slot]:
    """The slots of this machine for trials of a scale, the first `wanted` of them if that is given.

    At a scale with `device = "cuda"` each GPU is one, with an equal part of the cores that this process may use; else
    each core is one. Raises `ConfigError` where there are not as many, or no GPU.
    """
    cores = sorted(os.sched_getaffinity(0))
    if target.scales[scale].get("device") != "cuda":
        _check(wanted, len(cores), "cores of this machine")
        return [Slot((core,)) for core in cores[:wanted]]
    gpus = gpus_of(target, scale)
    _check(wanted, len(gpus), "GPUs that this process may use, each for one trial at a time")
    parts = shares(sorted(cores, key=physical), [gpu.near for gpu in gpus[:wanted]])
    return [Slot(tuple(part), gpu.uuid) for part, gpu in zip(parts, gpus, strict=False)]


def _check(wanted: int | None, there: int, what: str) -> None:
    if wanted is not None and not 1 <= wanted <= there:
        raise ConfigError(f"--slots must be between 1 and the {there} {what}, not {wanted}")


def gpus_of(target: Target, scale: str) -> list[Gpu]:
    """The GPUs that the judge of a target sees, at least one. Raises `ConfigError`."""
    command = [sys.executable, str(target.judge), "--devices"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=DEVICES_WALL, env=judge_environment()
        )
        told = json.loads(done.stdout)
        gpus = [Gpu(str(gpu["uuid"]), frozenset(map(int, gpu.get("near", ())))) for gpu in told["devices"]]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"the scale {scale} needs a GPU, and {target.judge} --devices does not say which there are "
            f"({type(error).__name__}: {cut(str(error), QUOTED)}); train_target/target.toml says what it has to print"
        ) from error
    if not gpus:
        why = cut(str(told.get("error") or "the driver knows none"), QUOTED)
        raise ConfigError(f"the scale {scale} needs a GPU, and here is none: {why}. --scale names another")
    return gpus


def shares(cores: Sequence[int], near: Sequence[Collection[int]]) -> list[list[int]]:
    """An equal part of the cores for each of several devices, no core in two; first of all those `near` the device.

    Where there are fewer cores than devices, some make do with the same one.
    """
    if len(cores) < len(near):
        return [[cores[i % len(cores)]] for i in range(len(near))]
    size, free, parts = len(cores) // len(near), list(cores), [list[int]() for _ in near]
    for wanted in (near, [cores] * len(near)):
        for part, those in zip(parts, wanted, strict=True):
            part += [core for core in free if core in those][: size - len(part)]
            free = [core for core in free if core not in part]
    return [sorted(part) for part in parts]


def physical(core: int) -> tuple[int, int]:
    """Sorts cores so that those which are one in silicon (hyperthreads) stand beside each other."""
    try:
        siblings = (CPUS / f"cpu{core}/topology/thread_siblings_list").read_text()
    except OSError:
        return core, core
    return min(map(int, re.findall(r"\d+", siblings)), default=core), core
