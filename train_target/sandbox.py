"""What a box may do: limits, namespaces, Landlock. Applied in the box before a candidate is read.

Linux only. Each part is used where the kernel grants it, and what could not be had is reported, never assumed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from landlockpy import AccessFS, LandlockError, Ruleset, Scope, abi_version

from packages import PACKAGES, largest_without, package_folders, standard_library, test_folders

FOLDER = Path(__file__).resolve().parent
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC = 0x10000000, 0x20000000, 0x40000000, 0x08000000
CLONE_NEWNS = 0x00020000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 0x1000, 0x4000, 0x40000
NOBODY = 65534  # the user and group of a box at level U
SHARED_MEMORY = Path("/dev/shm")
SHARED_MEMORY_MB = 512  # of a private /dev/shm
TEMPORARY = (Path("/tmp"), Path("/var/tmp"))
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 24, 36, 38
CAPABILITY_VERSION_3 = 0x20080522
READ = AccessFS.READ_FILE | AccessFS.READ_DIR | AccessFS.EXECUTE
FILE = AccessFS.READ_FILE | AccessFS.WRITE_FILE | AccessFS.EXECUTE | AccessFS.TRUNCATE | AccessFS.IOCTL_DEV
SYSTEM = (
    "/bin",
    "/usr/bin",
    "/usr/libexec",
    "/usr/include",
    "/sbin",
    "/usr/sbin",
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
LIBRARY_ROOTS = ("/lib", "/lib64", "/usr/lib", "/usr/local/lib", "/usr/lib64")  # but for their Python's

libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """prctl(2); raises OSError."""
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def unshare(user: bool = True, flags: int = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC) -> None:
    """Own process, network and IPC namespaces for the children of this process; raises OSError where refused.

    `user` takes a user namespace with them, without which only root may have them.
    """
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(flags | (CLONE_NEWUSER if user else 0)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def mount(source: str, target: Path, kind: str, flags: int, options: str = "") -> None:
    """mount(2); raises OSError."""
    words = [ctypes.c_char_p(word.encode() or None) for word in (source, str(target), kind, options)]
    if libc.mount(*words[:3], ctypes.c_ulong(flags), words[3]):
        raise OSError(ctypes.get_errno(), f"mount {target}: {os.strerror(ctypes.get_errno())}")


def own_shared_memory(user: bool) -> None:
    """A mount namespace of this process in which /dev/shm is its own. Raises OSError where refused."""
    unshare(user, CLONE_NEWNS)
    mount("", Path("/"), "", MS_REC | MS_PRIVATE)
    options = f"mode=1777,size={SHARED_MEMORY_MB}m"
    mount("tmpfs", SHARED_MEMORY, "tmpfs", MS_NOSUID | MS_NODEV, options)


def cover(hidden: Iterable[Path], kept: Iterable[Path]) -> None:
    """Put an empty folder over each hidden one, in this mount namespace, but for the kept folders below it.

    Folders that others may not pass through are covered too where something kept is below them, so that it can be
    reached by another user. Raises OSError.
    """
    kept = [path.resolve() for path in kept]
    closed = {above for path in kept for above in path.parents if not above.stat().st_mode & 0o001}
    for folder in sorted({path.resolve() for path in hidden} | closed, key=lambda path: len(path.parts)):
        if not folder.is_dir():
            continue
        below = [path for path in kept if path.is_relative_to(folder)]
        fds = [os.open(path, os.O_PATH) for path in below]
        mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m")
        for fd, path in zip(fds, below, strict=True):
            path.mkdir(parents=True, exist_ok=True)
            mount(f"/proc/self/fd/{fd}", path, "", MS_BIND | MS_REC)
            os.close(fd)


def settle_in(level: str, folder: Path, hidden: Iterable[Path], client: Path = FOLDER) -> str:
    """In the process that boxes are forked from: what its level asks for the files that they will see.

    `client` is the folder of the module `prepare` that scripts import.

    Returns who has /dev/shm from now on: "own"; "shared" where it is the machine's, and no other program has anything
    there; "none" where boxes may not use it, since other programs do, so that a DataLoader has no workers. Raises
    OSError where level U cannot be had.
    """
    if level == "N":
        return "own"  # as bubblewrap made it
    if level == "none":
        return "shared"
    try:
        own_shared_memory(user=level != "U")
    except OSError:
        if level == "U":
            raise
        foreign = not SHARED_MEMORY.is_dir() or any(SHARED_MEMORY.iterdir())
        return "none" if foreign else "shared"
    if level == "U":
        kept = {Path(sys.prefix), Path(sys.base_prefix), *package_folders(), FOLDER, client, folder}
        cover([*hidden, *TEMPORARY, *test_folders()], (path for path in kept if not path.is_relative_to("/usr")))
    return "own"


def tidy(shared_memory: str, before: set[str]) -> None:
    """Remove what a box left in shared memory; `before` names what was in /dev/shm before it."""
    for entry in SHARED_MEMORY.iterdir() if shared_memory == "own" else ():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    if shared_memory == "shared" and (new := {entry.name for entry in SHARED_MEMORY.iterdir()} - before):
        for name in new - _mapped(new):
            with contextlib.suppress(OSError):  # another user's, or gone
                (SHARED_MEMORY / name).unlink()


def _mapped(names: set[str]) -> set[str]:
    """Those of the names in /dev/shm that a process has in its memory: a neighbour's."""
    found: set[str] = set()
    for path in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):  # it ended, or is another user's
            text = path.read_text(errors="replace")
            found |= {name for name in names if f"{SHARED_MEMORY}/{name}" in text}
    return found


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


def drop_capabilities(nobodys: Iterable[Path] | None = None) -> None:
    """Empty all capability sets, and forbid gaining privileges. Raises OSError.

    With `nobodys`, root becomes a user without rights, who owns those paths.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0)  # refused without CAP_SETPCAP: none to drop
    if nobodys is not None:
        for path in nobodys:
            os.chown(path, NOBODY, NOBODY)
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if libc.capset(header, nothing):
        raise OSError(ctypes.get_errno(), "capset")


def landlock(
    readable: Iterable[Path], folder: Path, writable: Iterable[Path] = (), hidden: Iterable[Path] = ()
) -> Ruleset | None:
    """A ruleset that grants reading `readable` and the system's programs, files in `writable`, everything in `folder`.

    Packages are readable but for their tests and what lies in a `hidden` folder.

    None without Landlock. For CUDA, `readable` needs /sys, and `writable` the device nodes and /proc, or /proc/PID
    where others' processes are seen: it writes the names of its threads there.
    """
    if abi_version() < 1:
        return None
    ruleset = Ruleset(scoped=Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL)
    for path in [*map(Path, SYSTEM), *_libraries(), *_python(hidden), *readable]:
        _grant(ruleset, path, READ)
    for place in {Path(sys.prefix), Path(sys.base_prefix), *package_folders()}:
        _grant(ruleset, place, AccessFS.READ_DIR)  # names, which imports need, not contents
    _grant(ruleset, Path("/dev/null"), AccessFS.READ_FILE | AccessFS.WRITE_FILE)
    everything = ruleset.handled_fs & ~(AccessFS.MAKE_CHAR | AccessFS.MAKE_BLOCK)
    _grant(ruleset, folder, everything)
    for path in writable:
        _grant(ruleset, path, FILE | AccessFS.READ_DIR | AccessFS.MAKE_REG | AccessFS.REMOVE_FILE)
    return ruleset


def _grant(ruleset: Ruleset, path: Path, rights: AccessFS) -> None:
    """Grant rights on a path; a path that is not there or may not be opened is left out."""
    if not path.is_dir():
        rights &= FILE
    try:
        ruleset.allow_path(path, rights)
    except (OSError, LandlockError):
        if path.exists() and os.access(path, os.R_OK):
            raise


def _libraries() -> Iterator[Path]:
    for root in map(Path, LIBRARY_ROOTS):
        if root.is_dir():
            yield from (entry for entry in root.iterdir() if not entry.name.startswith("python"))


def _python(hidden: Iterable[Path]) -> Iterator[Path]:
    """The interpreter, its standard library and the packages that it can import, without their tests."""
    hidden = {path.resolve() for path in hidden}
    prefixes = {Path(sys.prefix), Path(sys.base_prefix)}
    for prefix in prefixes:
        yield from (prefix / "bin", prefix / "pyvenv.cfg", prefix / "include")
        if prefix != Path("/usr"):
            yield from (entry for entry in (prefix / "lib").iterdir() if not entry.name.startswith("python"))
    closed = test_folders()
    for folder in standard_library():
        yield from largest_without(folder, {*closed, *folder.glob(f"*{PACKAGES}")})
    for folder in package_folders():
        whole = folder.resolve()
        masked = {folder / path.relative_to(whole) for path in hidden if path.is_relative_to(whole)}
        yield from largest_without(folder, {*closed, *masked})
