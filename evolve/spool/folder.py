"""The folder: where jobs, claims and outcomes lie, and how they get from one place to the next.

    jobs/NAME.json            waits for a worker
    claims/NAME@WORKER.json   the same file, moved: that worker runs it
    outcomes/NAME.json        what came of it; stays
    withdrawn/NAME.json       nobody asks for it any more; stays
    judges/DIGEST.json        how a judge introduced itself; stays
    workers/WORKER.json       a worker is at work, and rewrites this now and then

A file is written beside the others and renamed when it is whole and on disk, so nobody reads half of one, whoever is
killed. A claim is a rename too: it succeeds for one of all that try. Everybody may do everything twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import time
from pathlib import Path

from evolve.config import ConfigError
from evolve.spool.messages import Record

LARGEST = 8 << 20  # bytes of a file
SETTLED = 5.0  # seconds after which a file that is not whole is no longer being copied
LEFT_BEHIND = 3600.0  # seconds after which a file that was never renamed has no writer any more
CARRIED = ("judges", "withdrawn", "outcomes", "jobs")  # parts that travel, in the order in which they are merged
PARTS = (*CARRIED, "claims", "workers", "unfinished")
NAME = re.compile(r"[0-9a-f]{8}-[0-9]{6,12}-[0-9]{3,9}-[0-9a-f]{16}-[0-9]{1,6}", re.ASCII)  # of a job
WORD = re.compile(r"[0-9a-f]{8,64}", re.ASCII)  # of a judge or a worker


class Damaged(Exception):
    """A file in a spool is not what it should be; the message says why."""


def decode(data: bytes) -> Record:
    """A JSON object. Raises `Damaged` for anything else."""
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"no JSON ({type(error).__name__}: {error})") from error
    if not isinstance(record, dict):
        raise Damaged("no JSON object")
    return record


def encode(record: Record) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode()


class Spool:
    """A folder, made if it is not there. Raises `ConfigError` if it cannot be; later on, methods raise `OSError`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        try:
            for part in PARTS:
                (self.folder / part).mkdir(parents=True, exist_ok=True)
            for path in (self.folder / "unfinished").iterdir():
                if time.time() - path.lstat().st_mtime > LEFT_BEHIND:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot use the spool {folder}: {error.strerror or error}") from error

    def names(self, part: str) -> list[str]:
        """The names in a part of the folder, sorted: jobs by the order in which they were asked for."""
        form = WORD if part in ("judges", "workers") else NAME
        with os.scandir(self.folder / part) as entries:
            found = [e.name.removesuffix(".json") for e in entries if e.name.endswith(".json")]
        return sorted(name for name in found if form.fullmatch(name))

    def path(self, part: str, name: str) -> Path:
        return self.folder / part / f"{name}.json"

    def has(self, part: str, name: str) -> bool:
        return os.path.lexists(self.path(part, name))

    def bytes_of(self, part: str, name: str) -> bytes | None:
        """What is in a file; None if it is not there. Raises `Damaged` for a link, a device or a huge one."""
        return self._load(self.path(part, name))[0]

    def read(self, part: str, name: str) -> Record | None:
        """What a file says; None if it is not there, or not all of it yet. Raises `Damaged` if it says nothing."""
        data, written = self._load(self.path(part, name))
        if data is None:
            return None
        try:
            return decode(data)
        except Damaged:
            if 0 <= time.time() - written < SETTLED:
                return None
            raise

    def _load(self, path: Path) -> tuple[bytes | None, float]:
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None, 0.0
        except OSError as error:
            raise Damaged(f"it cannot be opened: {error.strerror}") from error
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
                raise Damaged("no ordinary file, or a huge one")
            with os.fdopen(file, "rb", closefd=False) as opened:
                return opened.read(LARGEST + 1), status.st_mtime
        finally:
            os.close(file)

    def write(self, part: str, name: str, data: bytes) -> None:
        """All of it or nothing, also when the power fails."""
        unfinished = self.folder / "unfinished" / os.urandom(8).hex()
        try:
            with unfinished.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, self.path(part, name))
        finally:
            unfinished.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not every file system knows how
            self._sync(part)

    def _sync(self, part: str) -> None:
        directory = os.open(self.folder / part, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def remove(self, part: str, name: str) -> None:
        self.path(part, name).unlink(missing_ok=True)

    def claims(self) -> list[tuple[str, str]]:
        """Jobs that are claimed, with the worker."""
        with os.scandir(self.folder / "claims") as entries:
            pairs = [e.name.removesuffix(".json").partition("@") for e in entries if e.name.endswith(".json")]
        return sorted((name, who) for name, _, who in pairs if NAME.fullmatch(name) and WORD.fullmatch(who))

    def claim(self, name: str, worker: str) -> bool:
        """Take a job; False if another one was faster."""
        return self._move(self.path("jobs", name), self.path("claims", f"{name}@{worker}"))

    def give_back(self, name: str, worker: str) -> bool:
        """A claimed job waits again; of several who say so, it is True for one."""
        return self._move(self.path("claims", f"{name}@{worker}"), self.path("jobs", name))

    def _move(self, old: Path, new: Path) -> bool:
        try:
            os.rename(old, new)
        except FileNotFoundError:
            return False
        return True

    def closed(self, name: str) -> bool:
        """Whether nothing is to be done for a job any more."""
        return self.has("outcomes", name) or self.has("withdrawn", name)

    def pending(self, name: str) -> bool:
        """Whether a job waits, or somebody is at it."""
        return self.has("jobs", name) or any(claimed == name for claimed, _ in self.claims())

    def withdraw(self, name: str) -> None:
        """Nobody asks for a job any more; who is at it may finish."""
        self.write("withdrawn", name, b"{}")
        self.remove("jobs", name)

    def keep(self, name: str, outcome: bytes) -> bool:
        """Keep the outcome of a job, which then waits no longer; False if another one stays instead.

        Of two, one that the machine did not spoil; else the digest decides: not the score, and not who came first.
        """
        try:
            known = self.bytes_of("outcomes", name)
        except Damaged:
            known = b""
        new = known is None or _order(outcome) < _order(known)
        if new:
            self.write("outcomes", name, outcome)
        self.remove("jobs", name)
        return new


def _order(outcome: bytes) -> tuple[int, str]:
    try:
        told = decode(outcome).get("outcome")
        spoiled = int(not isinstance(told, dict) or told.get("status") == "infrastructure")
    except Damaged:
        spoiled = 2
    return spoiled, hashlib.sha256(outcome).hexdigest()
