"""What a box may do: limits, namespaces, Landlock. Applied in the box before a candidate is read.

Linux only. Each part is used where the kernel grants it, and what could not be had is reported, never assumed.
"""

from __future__ import annotations

import ctypes
import os
import resource
import site
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from landlockpy import AccessFS, LandlockError, Ruleset, Scope, abi_version

CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC = 0x10000000, 0x20000000, 0x40000000, 0x08000000
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 24, 36, 38
CAPABILITY_VERSION_3 = 0x20080522
MASKED = {"sympy", "networkx"}  # packages whose `tests` folders hold validation or test text
READ = AccessFS.READ_FILE | AccessFS.READ_DIR | AccessFS.EXECUTE
SYSTEM = (
    "/bin",
    "/lib",
    "/lib64",
    "/usr/bin",
    "/usr/libexec",
    "/usr/include",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/alternatives",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
)
LIBRARY_ROOTS = ("/usr/lib", "/usr/local/lib", "/usr/lib64")  # whatever is below them but Python's packages

libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """prctl(2); raises OSError."""
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def unshare() -> None:
    """Own user, process, network and IPC namespaces for the children of this process; raises OSError where refused."""
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def limit(memory_mb: int) -> None:
    """Resource limits; `memory_mb` is on top of what the process has now. Never RLIMIT_AS: it breaks reservations."""
    data = next(
        int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData")
    )
    for kind, value in (
        (resource.RLIMIT_DATA, data * 1024 + memory_mb * 2**20),
        (resource.RLIMIT_FSIZE, 2**30),
        (resource.RLIMIT_NOFILE, 1024),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))


def drop_capabilities() -> None:
    """Empty all capability sets, and forbid gaining privileges."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0)  # refused without CAP_SETPCAP: none to drop
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if libc.capset(header, nothing):
        raise OSError(ctypes.get_errno(), "capset")


def landlock(readable: list[Path], writable: Path) -> Ruleset | None:
    """A ruleset that grants reading `readable` and the system's programs, writing `writable`; None without Landlock."""
    if abi_version() < 1:
        return None
    ruleset = Ruleset(scoped=Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL)
    for path in [*map(Path, SYSTEM), *_libraries(), *_python(), *readable]:
        _grant(ruleset, path, READ)
    for folder in {Path(sys.prefix), Path(sys.base_prefix), *_package_folders()}:
        _grant(ruleset, folder, AccessFS.READ_DIR)  # names, which imports need, not contents
    _grant(ruleset, Path("/dev/null"), AccessFS.READ_FILE | AccessFS.WRITE_FILE)
    everything = ruleset.handled_fs & ~(AccessFS.MAKE_CHAR | AccessFS.MAKE_BLOCK)
    _grant(ruleset, writable, everything)
    return ruleset


def _grant(ruleset: Ruleset, path: Path, rights: AccessFS) -> None:
    """Grant rights on a path; a path that is not there or may not be opened is left out."""
    if not path.is_dir():
        rights &= AccessFS.READ_FILE | AccessFS.WRITE_FILE | AccessFS.EXECUTE
    try:
        ruleset.allow_path(path, rights)
    except (OSError, LandlockError):
        if path.exists() and os.access(path, os.R_OK):
            raise


def _libraries() -> Iterator[Path]:
    for root in map(Path, LIBRARY_ROOTS):
        if root.is_dir():
            yield from (entry for entry in root.iterdir() if not entry.name.startswith("python"))


def _python() -> Iterator[Path]:
    """The interpreter, its standard library and the packages that it can import, without the masked folders."""
    prefixes = {Path(sys.prefix), Path(sys.base_prefix)}
    for prefix in prefixes:
        yield from (prefix / "bin", prefix / "pyvenv.cfg", prefix / "include")
        if prefix != Path("/usr"):
            yield from (entry for entry in (prefix / "lib").iterdir() if not entry.name.startswith("python"))
    for name in ("stdlib", "platstdlib"):
        yield from _without(Path(sysconfig.get_path(name)), {"site-packages", "dist-packages", "test"})
    for folder in _package_folders():
        for entry in _without(folder, set()):
            yield from _unmasked(entry) if entry.name in MASKED else (entry,)


def _package_folders() -> set[Path]:
    return {Path(p) for p in (*site.getsitepackages(), *sys.path) if p.endswith("-packages")}


def _without(folder: Path, names: set[str]) -> Iterator[Path]:
    if folder.is_dir():
        yield from (entry for entry in folder.iterdir() if entry.name not in names)


def _unmasked(folder: Path) -> Iterator[Path]:
    """The largest parts of a package that contain no folder `tests`."""
    if not any(folder.rglob("tests")):
        yield folder
        return
    for entry in _without(folder, {"tests"}):
        yield from _unmasked(entry) if entry.is_dir() else (entry,)
