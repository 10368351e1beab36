"""Clocks that read a process from outside: nothing that runs in the process can set them.

`CpuClock` charges the CPU time of a process with all its threads and descendants, living and dead; `WallClock`
charges elapsed time. Linux only, as the boxes are.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

TICKS = os.sysconf("SC_CLK_TCK")
CHILDREN_EVERY = 0.05  # seconds between two looks at the descendants


class Clock(Protocol):
    """Seconds charged so far; `exact` asks for a full reading."""

    def read(self, exact: bool = False) -> float: ...


class WallClock:
    """Elapsed seconds."""

    def read(self, exact: bool = False) -> float:
        return time.monotonic()


class CpuClock:
    """CPU-seconds used by process `pid` and all its descendants.

    The process itself is read each time in nanoseconds. Descendants are looked at every 50 ms or when `exact`; what
    was seen of one that died stays charged, also where its parent never waits for it.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._own = 0.0
        self._seen: dict[int, float] = {}
        self._alive: set[int] = set()
        self._waited = 0.0
        self._looked = -CHILDREN_EVERY

    def read(self, exact: bool = False) -> float:
        try:
            self._own = max(self._own, _cpu_seconds(self.pid))
            if exact or time.monotonic() - self._looked > CHILDREN_EVERY:
                self._look()
        except OSError:
            pass  # the process is gone: what was read last stands
        dead = sum(seconds for pid, seconds in self._seen.items() if pid not in self._alive)
        return self._own + sum(self._seen[pid] for pid in self._alive) + max(dead, self._waited)

    def _look(self) -> None:
        self._looked = time.monotonic()
        self._waited = max(self._waited, _waited_seconds(self.pid))
        self._alive = set()
        for pid in _descendants(self.pid):
            try:
                seconds = _cpu_seconds(pid) + _waited_seconds(pid)
            except OSError:
                continue
            self._alive.add(pid)
            self._seen[pid] = max(self._seen.get(pid, 0.0), seconds)


def _cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process: the clock that clock_getcpuclockid(3) names."""
    return time.clock_gettime((~pid << 3) | 2)


def _waited_seconds(pid: int) -> float:
    """CPU time of the children that a process has waited for (proc_pid_stat(5), cutime and cstime)."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[13]) + int(fields[14])) / TICKS


def _descendants(pid: int) -> Iterator[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        children = [int(c) for t in threads for c in Path(f"/proc/{pid}/task/{t}/children").read_bytes().split()]
    except OSError:
        return
    for child in children:
        if child == os.getpid():  # by hand the judge is a child of what it charges
            continue
        yield child
        yield from _descendants(child)
