"""The run's one piece of state on disk: an append-only log of events in SQLite, with one writer.

Everything else (population, studies, front, costs) is a view that is rebuilt by reading the log in order. Two run
files can be merged: a row is keyed by (run, key). Nothing here knows what an event means.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = 2
FILE = "run.sqlite"
LOCK_WALL = 0.2  # seconds to wait for the lock: who asks whether a run is on has a share of it for an instant
FREE_SPACE_FLOOR = 8 << 20  # bytes that must be free before new work is started

_CREATE = """
CREATE TABLE IF NOT EXISTS events (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    run  TEXT NOT NULL,
    key  TEXT NOT NULL,
    kind TEXT NOT NULL,
    at   REAL NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (run, key)
)
"""


class StoreError(Exception):
    """The run directory cannot be used; the message says why and what to do. Nothing was written."""


@dataclass(frozen=True)
class Event:
    """One row of the log. `at` is the time on the run's clock, for display only; `key` is unique in a run."""

    seq: int
    key: str
    kind: str
    at: float
    body: dict[str, Any]


class Store:
    """The log of one run directory. Open for writing with `Store.open`, for reading with `Store.read`."""

    def __init__(self, directory: Path, connection: sqlite3.Connection, lock: int | None) -> None:
        self.directory = directory
        self._db = connection
        self._lock = lock
        self.clock: Callable[[], float] = lambda: time.time()  # dates events
        row = connection.execute("SELECT run FROM events ORDER BY seq LIMIT 1").fetchone()
        self.run = row[0] if row else os.urandom(8).hex()

    @classmethod
    def open(cls, directory: Path, durable: bool = True) -> Store:
        """Open for writing; creates the directory. Raises `StoreError` if it is in use, corrupt or of another schema.

        An event that was appended survives the death of the process, and, if `durable`, of the machine.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True)
            lock = _take_lock(directory)
        except OSError as error:
            raise StoreError(
                f"cannot use run directory {directory}: {error.strerror or error}. Choose --run-dir."
            ) from error
        try:
            return cls(directory, _connect(directory / FILE, "rwc", durable), lock)
        except StoreError:
            os.close(lock)
            raise

    @classmethod
    def read(cls, directory: Path) -> Store:
        """Open for reading, also while a run is on. Raises `StoreError` if there is no run or it cannot be read.

        SQLite wants to write beside a log even to read it; where it may not, and nothing is left in a write-ahead log,
        nobody writes, and the file is opened as one that does not change.
        """
        path = directory / FILE
        if not path.exists():
            raise StoreError(
                f"no run in {directory} (no {FILE}). Start one with: python -m evolve --run-dir {directory}"
            )
        ahead = path.with_name(f"{FILE}-wal")
        idle = not os.access(directory, os.W_OK) and not (ahead.exists() and ahead.stat().st_size)
        return cls(directory, _connect(path, "ro&immutable=1" if idle else "ro"), None)

    def append(self, kind: str, key: str, body: dict[str, Any]) -> Event:
        """Write one event durably. Raises `StoreError` when it could not be written; then nothing was."""
        at = self.clock()
        blob = zlib.compress(json.dumps(body, allow_nan=False, separators=(",", ":")).encode())
        try:
            cursor = self._db.execute(
                "INSERT INTO events (run, key, kind, at, body) VALUES (?, ?, ?, ?, ?)", (self.run, key, kind, at, blob)
            )
        except sqlite3.Error as error:
            raise _explain(error, self.directory) from error
        return Event(cursor.lastrowid or 0, key, kind, at, body)

    def events(self, after: int = 0) -> Iterator[Event]:
        """The events with a sequence number above `after`, in order."""
        try:
            rows = self._db.execute(
                "SELECT seq, key, kind, at, body FROM events WHERE run = ? AND seq > ? ORDER BY seq", (self.run, after)
            )
            for seq, key, kind, at, blob in rows:
                yield Event(seq, key, kind, at, json.loads(zlib.decompress(blob)))
        except (sqlite3.Error, zlib.error, ValueError) as error:
            raise _explain(error, self.directory) from error

    def has_space(self) -> bool:
        """Whether enough disk is free to start new work. Raises `StoreError` if the directory is gone."""
        try:
            disk = os.statvfs(self.directory)
        except OSError as error:
            raise StoreError(f"run directory {self.directory} is gone: {error.strerror}") from error
        return disk.f_bavail * disk.f_frsize >= FREE_SPACE_FLOOR

    def close(self) -> None:
        """A writer leaves all in the one file, also where a reader keeps SQLite from doing so by itself."""
        lock, self._lock = self._lock, None
        if lock is not None:
            with suppress(sqlite3.Error):
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()
        if lock is not None:
            os.close(lock)


def _connect(path: Path, mode: str, durable: bool = True) -> sqlite3.Connection:
    """A connection to a sound log of this schema; with mode "rwc" it is created if need be. Raises `StoreError`."""
    uri = f"{path.resolve().as_uri()}?mode={mode}"
    try:
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30, check_same_thread=False)
    except sqlite3.Error as error:
        raise _explain(error, path.parent) from error
    try:
        _check(db, path)
        if mode == "rwc":
            _create(db, durable)
        elif not _tables(db):
            raise StoreError(f"the run in {path.parent} has not begun: nothing is recorded yet")
        db.execute("SELECT run FROM events LIMIT 1")
    except (StoreError, sqlite3.Error) as error:
        db.close()
        raise _explain(error, path.parent) from error
    return db


def _check(db: sqlite3.Connection, path: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, SCHEMA):
        raise StoreError(f"{path} was written by another version (schema {version}, here {SCHEMA}). Use that version.")
    if (check := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise sqlite3.DatabaseError(check.splitlines()[-1])


def _create(db: sqlite3.Connection, durable: bool) -> None:
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
    if not _tables(db):
        db.execute(f"PRAGMA user_version={SCHEMA}")
        db.execute(_CREATE)


def _tables(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT name FROM sqlite_master").fetchone() is not None


def _take_lock(directory: Path) -> int:
    """An exclusive lock for the life of the process; the kernel drops it however the process ends."""
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + LOCK_WALL
    while not _locked(lock):
        if time.monotonic() > deadline:
            holder = os.read(lock, 100).decode(errors="replace").strip() or "another process"
            os.close(lock)
            raise StoreError(f"{directory} is in use by {holder}. Wait for it, stop it, or choose another --run-dir.")
        time.sleep(LOCK_WALL / 20)
    os.ftruncate(lock, 0)
    os.write(lock, f"pid {os.getpid()} since {time.strftime('%Y-%m-%d %H:%M:%S')}".encode())
    return lock


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _explain(error: Exception, directory: Path) -> StoreError:
    if isinstance(error, StoreError):
        return error
    if "full" in str(error) or "disk I/O" in str(error):
        return StoreError(
            f"disk full: {directory} cannot be written ({error}). Nothing finished is lost: free space, then run the "
            "same command."
        )
    return StoreError(
        f"{directory / FILE} cannot be read ({error}). The file was left as it is; restore it from a copy, "
        "or choose another --run-dir."
    )
