"""Clocks that read a process from outside: nothing that runs in the process can set them.

`CpuClock` charges the CPU time of a process with all its threads and descendants, living and dead; `WallClock`
charges elapsed time. `Family` finds the processes. Linux only, as the boxes are.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from documents import DataError

CLOCKS = ("cpu", "wall")  # what target.toml calls them
TICKS = os.sysconf("SC_CLK_TCK")
CHILDREN_EVERY = 0.05  # seconds between two looks at the descendants
SHARE = 0.02  # of the time that such looks may take, where there are many descendants
PARENT = re.compile(rb"^PPid:\s+(\d+)", re.M)


class Clock(Protocol):
    """Seconds charged so far; `exact` asks for a full reading."""

    def read(self, exact: bool = False) -> float: ...


def known_clock(scale: str, clock: object) -> None:
    """Raises DataError where the scale of this name in target.toml has a clock that is none."""
    if clock not in CLOCKS:
        raise DataError(f'[scales.{scale}] clock is "{CLOCKS[0]}" or "{CLOCKS[1]}", not {clock!r}')


class WallClock:
    """Elapsed seconds."""

    def read(self, exact: bool = False) -> float:
        return time.monotonic()


class Family:
    """A process, its descendants, and those whose parents died and that were handed to a process above it.

    Without a process namespace of its own a box's orphans become children of the zygote. So whatever appears, from
    now on, below process `above` and is not between it and `pid` belongs to `pid`.
    """

    def __init__(self, pid: int, above: int | None = None) -> None:
        self.pid = pid
        self._between = _ancestors(pid, above) if above else []
        self._others = {child for parent in self._between for child in _children(parent)} - {pid}
        self._others |= {*self._between, os.getpid()}  # by hand the judge is a child of what it charges

    def members(self, most: int = 2**22) -> list[int]:
        """The process ids of now, zombies among them, at most so many; `pid` is the first while it is there."""
        found = [self.pid]
        found += [child for parent in self._between for child in _children(parent) if child not in self._others]
        found = list(dict.fromkeys(found))
        known = {*found, *self._others}
        for parent in found:  # which grows meanwhile
            if len(found) >= most:
                break
            fresh = [child for child in _children(parent) if child not in known]
            known.update(fresh)
            found += fresh
        return found


class CpuClock:
    """CPU-seconds used by process `pid` and all its family.

    The process itself is read each time in nanoseconds. The others are looked at every 50 ms or when `exact`. What a
    dead one used is read from its parent, once that has waited for it, or from the zombie until then. What was seen
    of one that vanished and that its parent never got to see stays charged.
    """

    def __init__(self, pid: int, above: int | None = None) -> None:
        self.pid = pid
        self._family = Family(pid, above)
        self._own = 0.0
        self._last: dict[int, tuple[float, float]] = {}  # own seconds, and those of children waited for
        self._due = self._returned = self._lost = 0.0
        self._next = 0.0

    def read(self, exact: bool = False) -> float:
        with suppress(OSError):  # the process is gone: what was read last stands
            self._own = max(self._own, _cpu_seconds(self.pid))
        if exact or time.monotonic() > self._next:
            self._look()
        others = sum(own + waited for pid, (own, waited) in self._last.items() if pid != self.pid)
        return self._own + self._last.get(self.pid, (0.0, 0.0))[1] + others + self._lost

    def _look(self) -> None:
        began = time.thread_time()
        now = self._snapshot()
        gone = self._gone(now)
        while gone:  # what a parent waited for while it was looked at is in the second look
            now, before = self._snapshot(), gone
            if (gone := self._gone(now)) == before:
                break
        self._due += sum(sum(self._last[pid]) for pid in gone)
        stayed = self._last.keys() - gone
        self._returned += sum(waited - (self._last[p][1] if p in stayed else 0.0) for p, (_, waited) in now.items())
        self._lost = max(self._lost, self._due - self._returned - 2 / TICKS * (1 + len(now)))
        self._last = now
        self._next = time.monotonic() + max(CHILDREN_EVERY, (time.thread_time() - began) / SHARE)

    def _gone(self, now: dict[int, tuple[float, float]]) -> set[int]:
        """Those seen last time that are no more; a number that counts anew names another process."""
        return {pid for pid, (own, _) in self._last.items() if pid not in now or now[pid][0] < own}

    def _snapshot(self) -> dict[int, tuple[float, float]]:
        found = {}
        for pid in self._family.members():
            try:
                found[pid] = (_cpu_seconds(pid), _waited_seconds(pid))
            except OSError:
                continue
        if self.pid not in found and self.pid in self._last:  # waited for by its keeper: what was read last stands
            found[self.pid] = self._last[self.pid]
        return found


def _cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process: the clock that clock_getcpuclockid(3) names."""
    return time.clock_gettime((~pid << 3) | 2)


def _waited_seconds(pid: int) -> float:
    """CPU time of the children that a process has waited for (proc_pid_stat(5), cutime and cstime)."""
    fields = read_whole(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return (int(fields[13]) + int(fields[14])) / TICKS


def _children(pid: int) -> Iterator[int]:
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            yield from map(int, read_whole(f"/proc/{pid}/task/{thread}/children").split())
    except OSError:
        return


def _ancestors(pid: int, above: int) -> list[int]:
    """The processes between `pid` and `above`, that one too; none if `pid` is not below it."""
    found: list[int] = []
    while pid != above:
        try:
            parent = PARENT.search(read_whole(f"/proc/{pid}/status"))
        except OSError:
            return []
        pid = int(parent[1]) if parent else 0
        if pid == 0:
            return []
        found.append(pid)
    return found


def read_whole(path: str) -> bytes:
    """A file of /proc, which may come in parts. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return b"".join(iter(lambda: os.read(fd, 65536), b""))
    finally:
        os.close(fd)
