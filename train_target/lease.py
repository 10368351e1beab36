"""The right to use one GPU of this machine: a lock on a file named after it, in a folder that all users' runs share.

The kernel ends a lock with its holder, however that ends. Whoever waits stands in a turnstile, a second lock, which a
holder has to pass as well before it takes the first one again: so runs that share a GPU take turns.

This keeps runs from spoiling each other's measurements; it keeps out nobody who ignores it. Others may put into the
folder what they like: no link is followed, nothing but a plain file is opened, and what it says is only shown.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nursery import Infrastructure
from wire import printable

FOLDER = Path("/tmp/evolve-train-py-leases")
SAID = 300  # characters of a lease that are shown
CURE = "remove it, or ask its owner to"


@dataclass(frozen=True)
class Lease:
    """The lease of the device `uuid`. `holder` is written into its file, in one line, for people."""

    uuid: str
    holder: str
    folder: Path = FOLDER

    @contextlib.contextmanager
    def held(self, wait: Callable[[str], None]) -> Iterator[None]:
        """Have the device. While another process has it, `wait` is called with what its lease says, to pass a moment.

        Raises Infrastructure where there can be no lease, and whatever `wait` raises.
        """
        name = "".join(c for c in self.uuid if c.isalnum() or c in "-_")
        with _taken(self.folder, name, f"{name}.next", wait) as lease:
            _write(lease, self.holder)
            try:
                yield
            finally:
                _write(lease, "")


@contextlib.contextmanager
def _taken(folder: Path, name: str, turn: str, wait: Callable[[str], None]) -> Iterator[int]:
    """The locked file of a lease. One that was removed meanwhile is another file than the next process opens, so its
    lock keeps nobody out: the present one is taken instead."""
    while True:
        with _opened(folder, turn) as turnstile, _opened(folder, name) as lease:
            _take(turnstile, lambda: wait(_said(lease)))
            _take(lease, lambda: wait(_said(lease)))
            if not _is_at(folder / name, lease):
                continue
            fcntl.flock(turnstile, fcntl.LOCK_UN)
            yield lease
            return


def _is_at(path: Path, fd: int) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    return False


def _take(fd: int, wait: Callable[[], None]) -> None:
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            wait()


@contextlib.contextmanager
def _opened(folder: Path, name: str) -> Iterator[int]:
    """A file of the folder, made if it is not there, open until the end. Raises Infrastructure."""
    with contextlib.ExitStack() as opened:
        try:
            place = _folder(folder)
            opened.callback(os.close, place)
            fd = _file(place, name)
            opened.callback(os.close, fd)
            found = os.fstat(fd)
        except OSError as error:
            raise Infrastructure(f"no lease of a GPU: {folder}/{name}: {error.strerror or error}; {CURE}") from error
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:  # of many names, one may be that of another's file
            raise Infrastructure(f"no lease of a GPU: {folder}/{name} is no plain file; {CURE}")
        yield fd


def _folder(folder: Path) -> int:
    """A descriptor of the folder, which everybody may write to, but in which only owners may remove. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)
        os.chmod(folder, 0o1777)  # whatever the umask
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _file(place: int, name: str) -> int:
    """A descriptor of a file. Opened before it is created: in such a folder the kernel (fs.protected_regular) refuses
    to open another user's file with O_CREAT. Raises OSError."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
    while True:
        with contextlib.suppress(FileNotFoundError):
            return os.open(name, flags, dir_fd=place)
        with contextlib.suppress(FileExistsError):
            fd = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=place)
            os.fchmod(fd, 0o666)
            return fd


def _said(fd: int) -> str:
    said = printable(os.pread(fd, SAID, 0).decode(errors="replace"))
    return " ".join(said.split()) or "a process that does not say who it is"


def _write(fd: int, text: str) -> None:
    with contextlib.suppress(OSError):  # of a full disk: the lock is what counts
        os.ftruncate(fd, 0)
        os.pwrite(fd, text.encode()[:SAID], 0)


def about_this_process() -> str:
    """What a lease says of its holder: its process and that which started it, which is a run's."""
    parent = os.getppid()
    try:
        words = Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")
        command = " ".join(word.decode(errors="replace") for word in words[:-1])[: SAID // 2]
    except OSError:
        command = "?"
    return f"pid {os.getpid()}, started by pid {parent} ({command}) in {Path.cwd()}"
