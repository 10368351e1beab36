"""What a box takes of its machine, looked at from outside while it runs: memory, processes, threads, disk.

It stands in for a memory and a process cgroup, which a judge seldom may have. A look at a plain box costs about half
a millisecond, so several a second are cheap. Where a first sum, too high if anything, is over a limit, a second one
counts what is shared once, and what is in no process's page tables too.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from clock import Family, read_whole
from session import Verdict

PROCESSES, THREADS = 256, 2000
DISK_MB, FILES = 2048, 10_000  # of a box's folder
EVERY = 0.2  # seconds between two looks at memory and processes
PATIENCE = 0.3  # for a count of pages
DISK_EVERY = 1.0  # and at the folder
COUNT_EVERY = 2.0  # and to count pages, which waits for a process that forks, while the machine has not lost many
SHARE = 0.01  # of the time that looks may take, where they are dear; at least one a second is made
END_WALL = 10.0  # seconds for what a box has left to die
FULL = 2**20  # bytes: a file system with less free than this is full
DESCRIPTORS = 20_000  # that one look follows

STATUS = re.compile(rb"^(RssAnon|RssFile|RssShmem|VmSwap|VmPTE|HugetlbPages|Threads):\s+(\d+)", re.M)
ROLLUP = re.compile(rb"^(Pss_Anon|Pss_File|Pss_Shmem|SwapPss):\s+(\d+)", re.M)
MACHINE = re.compile(rb"^(Shmem|MemAvailable):\s+(\d+)", re.M)
MAPPING = re.compile(rb"^([0-9a-f]+)-([0-9a-f]+) ..[-x]s [0-9a-f]+ ([0-9a-f]+):([0-9a-f]+) (\d+)", re.M)
TMPFS = re.compile(rb"^\d+ \d+ (\d+:\d+) \S+ (\S+) .* - tmpfs ", re.M)


class Watchdog:
    """Looks at the box `pid`, which was started below process `above`, and says why it has to be killed.

    `memory_mb` is what it may have besides the `fresh_mb` of a box that has just begun. To be made before the
    candidate's first instruction.
    """

    def __init__(self, pid: int, above: int, folder: Path, memory_mb: int, fresh_mb: float) -> None:
        self.pid, self.folder, self.memory_mb, self.fresh_mb = pid, folder, memory_mb, fresh_mb
        self.family = Family(pid, above)
        self.looks, self.spent = 0, 0.0  # how often, and the CPU-seconds that it took
        self._shared_before, self._available_before = _machine_memory()
        self._next = self._next_disk = 0.0
        self._counted = time.monotonic()
        self._oom_kills = oom_kills()
        self.is_init = _is_init(pid)

    def look(self) -> Verdict | None:
        """A verdict on a box that takes too much; None if it does not, or was looked at a moment ago."""
        now = time.monotonic()
        if now < self._next:
            return None
        began = time.thread_time()
        verdict = self._processes()
        cost = time.thread_time() - began
        self._next = now + min(1.0, max(EVERY, cost / SHARE))
        if verdict is None and now >= self._next_disk:
            verdict = self.disk()
            self._next_disk = now + max(DISK_EVERY, (time.thread_time() - began - cost) / SHARE)
        self.looks += 1
        self.spent += time.thread_time() - began
        return verdict

    def _processes(self) -> Verdict | None:
        members = self.family.members(most=PROCESSES + 1)
        if len(members) > PROCESSES:
            return Verdict("crashed", f"killed: processes: more than {PROCESSES}, the limit")
        sums = dict.fromkeys((b"RssAnon", b"RssFile", b"RssShmem", b"VmSwap", b"VmPTE", b"HugetlbPages", b"Threads"), 0)
        for pid in members:
            with suppress(OSError):
                for name, value in STATUS.findall(read_whole(f"/proc/{pid}/status")):
                    sums[name] += int(value)
        if (threads := sums.pop(b"Threads")) > THREADS:
            return Verdict("crashed", f"killed: processes: {threads} threads in {len(members)}; the limit is {THREADS}")
        shared, available = _machine_memory()
        self._shared_before = min(shared, self._shared_before)  # what others gave back is none of the box's
        self._available_before = max(available, self._available_before)
        growth = shared - self._shared_before
        mapped = sums.pop(b"RssShmem") / 1024
        private = sum(sums.values()) / 1024
        if private + max(mapped, growth) - self.fresh_mb <= self.memory_mb:
            return None
        taken = self._available_before - available
        if taken < self.memory_mb / 2 and time.monotonic() - self._counted < COUNT_EVERY:
            return None
        self._counted = time.monotonic()
        counted = self._count(members, growth)
        found, shared = counted or (min(private + max(mapped, growth), taken), max(mapped, growth))
        if found - self.fresh_mb <= self.memory_mb:
            return None
        return Verdict(
            "oom",
            f"memory: {found - self.fresh_mb:,.0f} MB on the host, {shared:,.0f} MB of them shared, in {len(members)} "
            f"process{'es' if len(members) > 1 else ''}; the limit is {self.memory_mb:,} MB",
        )

    def _count(self, members: list[int], growth: float) -> tuple[float, float] | None:
        """MB of the members in all, and of these shared; None where the kernel does not tell, or not soon.

        A process that forks lets nobody look at its pages meanwhile. `growth` is that of the machine's shared memory.
        """
        until = time.monotonic() + PATIENCE
        private = mapped = 0.0
        try:
            for pid in members:
                parts = {name: int(value) / 1024 for name, value in ROLLUP.findall(_rollup(pid))}
                mapped += parts.pop(b"Pss_Shmem", 0.0)
                private += sum(parts.values())
                if time.monotonic() > until:
                    return None
        except OSError:
            return None
        shared = max(mapped, sum(self._shared_files(members, growth).values()) / 2**20 + self._private_tmpfs())
        return private + shared, shared

    def _shared_files(self, members: list[int], growth: float) -> dict[int, int]:
        """Bytes of the shared memory, by its inode, that the members have mapped or hold by a descriptor only."""
        device = _shared_memory_device()
        found = {
            entry.st_ino: entry.st_blocks * 512
            for entry in _opened(members)
            if stat.S_ISREG(entry.st_mode) and entry.st_dev == device
        }
        for pid in members:
            with suppress(OSError):
                for low, high, major, minor, inode in MAPPING.findall(read_whole(f"/proc/{pid}/maps")):
                    if os.makedev(int(major, 16), int(minor, 16)) != device or int(inode) in found:
                        continue
                    try:
                        size = os.stat(f"/proc/{pid}/map_files/{low.decode()}-{high.decode()}").st_blocks * 512
                    except OSError:  # only some may look there
                        size = min(int(high, 16) - int(low, 16), int(growth * 2**20))
                    found[int(inode)] = size
        return found

    def _private_tmpfs(self) -> float:
        """MB in file systems in memory that the box has mounted and the judge has not."""
        with suppress(OSError):
            ours = {device for device, _ in TMPFS.findall(read_whole("/proc/self/mountinfo"))}
            theirs = dict(TMPFS.findall(read_whole(f"/proc/{self.pid}/mountinfo")))
            used = [os.statvfs(f"/proc/{self.pid}/root{theirs[d].decode()}") for d in theirs.keys() - ours]
            return sum((place.f_blocks - place.f_bfree) * place.f_frsize for place in used) / 2**20
        return 0.0

    def disk(self) -> Verdict | None:
        """A verdict on a box that has written too much into its folder; also of what it removed and keeps open."""
        size, files = occupied(self.folder, FILES)
        with suppress(OSError):
            device = self.folder.stat().st_dev
            removed = {
                entry.st_ino: entry.st_blocks * 512
                for entry in _opened(self.family.members(most=PROCESSES))
                if stat.S_ISREG(entry.st_mode) and entry.st_nlink == 0 and entry.st_dev == device
            }
            size, files = size + sum(removed.values()), files + len(removed)
        if files > FILES:
            return Verdict("crashed", f"killed: disk: more than {FILES:,} files, the limit")
        if size > DISK_MB * 2**20:
            return Verdict(
                "crashed", f"killed: disk: {size / 2**20:,.0f} MB in {files:,} files; the limit is {DISK_MB:,} MB"
            )
        return None

    def halt(self) -> list[int]:
        """Kill what a box that was killed has left, again and again until all is dead: it may fork as fast as that.

        Returns what does not die.
        """
        until, living = time.monotonic() + END_WALL, [self.pid]
        while living and time.monotonic() < until:
            living = [pid for pid in self.family.members() if pid != self.pid and lives(pid)]
            for pid in living:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005 if living else 0)
        return living

    def slain(self) -> Verdict | None:
        """Who sent a SIGKILL that the judge did not: the kernel, somebody outside, or None: the box itself may have."""
        if oom_kills() > self._oom_kills:
            return Verdict("oom", f"memory: the kernel's OOM killer ended the box; the limit is {self.memory_mb:,} MB")
        if self.is_init:  # of its own process namespace, where nothing that it sends can kill it
            return Verdict("infrastructure", "the box was killed from outside by SIGKILL; run the trial again")
        return None


def kill_below(pid: int) -> None:
    """Kill all that runs below a process, also what is stopped there."""
    for below in reversed(Family(pid).members()[1:]):
        with suppress(OSError):
            os.kill(below, signal.SIGKILL)


def disk_trouble(folder: Path) -> str:
    """What is wrong with the file system of a folder, or ""."""
    try:
        place = os.statvfs(folder)
    except OSError as error:
        return f"the box's folder cannot be looked at: {error}"
    if place.f_flag & os.ST_RDONLY:
        return "the file system of the box's folder is read-only: make it writable or choose another --cache"
    free = place.f_bavail * place.f_frsize
    if free < FULL:
        return f"disk full: {free / 2**20:.1f} MB are left for the box's folder: free some GB and run again"
    if place.f_files and place.f_favail == 0:
        return "disk full: no more files can be made in the box's folder: remove some thousands and run again"
    return ""


def occupied(folder: Path, most: int) -> tuple[int, int]:
    """Bytes on disk and number of entries below a folder; no more than `most` + 1 are looked at.

    A folder that keeps its owner out counts as empty.
    """
    sizes: dict[int, int] = {}
    count = 0
    waiting = [str(folder)]
    while waiting:
        try:
            entries = os.scandir(waiting.pop())
        except OSError:
            continue
        with entries:
            for entry in entries:
                count += 1
                if count > most:
                    return sum(sizes.values()), count
                try:
                    about = entry.stat(follow_symlinks=False)
                except OSError as error:
                    if error.errno == errno.ENAMETOOLONG:  # nobody needs folders so deep that none can look into them
                        return sum(sizes.values()), most + 1
                    continue
                sizes[about.st_ino] = about.st_blocks * 512
                if stat.S_ISDIR(about.st_mode):
                    waiting.append(entry.path)
    return sum(sizes.values()), count


def oom_kills() -> int:
    """How many processes of this machine the kernel's OOM killer has ended since it was started."""
    found = re.search(rb"^oom_kill (\d+)", read_whole("/proc/vmstat"), re.M)
    return int(found[1]) if found else 0


def _opened(pids: list[int]) -> Iterator[os.stat_result]:
    """What the processes hold open, as far as they may be looked at."""
    left = DESCRIPTORS
    for pid in pids:
        with suppress(OSError):
            for number in os.listdir(f"/proc/{pid}/fd")[:left]:
                left -= 1
                with suppress(OSError):
                    yield os.stat(f"/proc/{pid}/fd/{number}")


def lives(pid: int) -> bool:
    """Whether a process has neither ended nor become a zombie."""
    with suppress(OSError):
        return read_whole(f"/proc/{pid}/stat").rpartition(b")")[2].split()[0] not in b"ZX"
    return False


def _rollup(pid: int) -> bytes:
    """The sums over a process's mappings; of one that has ended meanwhile, none."""
    try:
        return read_whole(f"/proc/{pid}/smaps_rollup")
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _machine_memory() -> tuple[float, float]:
    """MB of shared memory of the machine, of all processes and file systems in memory, and MB that can be had."""
    found = {name: int(value) / 1024 for name, value in MACHINE.findall(read_whole("/proc/meminfo"))}
    return found.get(b"Shmem", 0.0), found.get(b"MemAvailable", 0.0)


def _shared_memory_device() -> int:
    """The device that the kernel's shared memory without a name is on."""
    fd = os.memfd_create("here", os.MFD_CLOEXEC)
    try:
        return os.fstat(fd).st_dev
    finally:
        os.close(fd)


def _is_init(pid: int) -> bool:
    """Whether a process is the first of a process namespace of its own."""
    with suppress(OSError):
        numbers = re.search(rb"^NSpid:((?:\s+\d+)+)", read_whole(f"/proc/{pid}/status"), re.M)
        return numbers is not None and numbers[1].split()[1:] != [] and numbers[1].split()[-1] == b"1"
    return False
