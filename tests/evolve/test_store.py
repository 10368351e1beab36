"""The event log: what was appended is there, whatever happens to the process, the disk or the file."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path
from threading import Timer

import pytest

from evolve.store import FILE, SCHEMA, Store, StoreError


def fill(directory: Path, events: int = 3) -> None:
    store = Store.open(directory, durable=False)
    for i in range(events):
        store.append("kind", f"key/{i}", {"i": i, "text": "x" * 2000 + str(i)})
    store.close()


def bodies(directory: Path) -> list[int]:
    store = Store.read(directory)
    try:
        return [event.body["i"] for event in store.events()]
    finally:
        store.close()


def test_events_come_back_in_order_and_unchanged(tmp_path: Path) -> None:
    body = {"text": "naïve 模型 🙂 \u2028 \x00", "lone": "\udcff", "n": 1, "x": 1.0, "tiny": 5e-324, "none": None}
    store = Store.open(tmp_path)
    first = store.append("genome", "genome/ü", body)
    store.append("ask", "ask/1", {})
    run = store.run
    store.close()
    store = Store.open(tmp_path)
    events = list(store.events())
    assert [(e.seq, e.kind, e.key) for e in events] == [(1, "genome", "genome/ü"), (2, "ask", "ask/1")]
    assert events[0] == first and type(events[0].body["x"]) is float and type(events[0].body["n"]) is int
    assert [e.key for e in store.events(after=1)] == ["ask/1"]
    assert store.run == run
    store.close()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_never_written(tmp_path: Path, value: float) -> None:
    store = Store.open(tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.append("outcome", "o", {"loss": value})
    assert list(store.events()) == []
    store.close()


def test_a_key_is_written_once(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.append("tell", "ask/1/tell", {"i": 1})
    with pytest.raises(StoreError, match="UNIQUE"):
        store.append("tell", "ask/1/tell", {"i": 2})
    assert [e.body for e in store.events()] == [{"i": 1}]
    store.close()


@pytest.mark.parametrize("name", ["100% sure?", "a#1", "späße", "with space", "a&mode=ro"])
def test_any_directory_name_will_do(tmp_path: Path, name: str) -> None:
    fill(tmp_path / name)
    assert (tmp_path / name / FILE).is_file()
    assert bodies(tmp_path / name) == [0, 1, 2]


def test_a_second_driver_is_refused_and_told_who_holds_the_run(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    with pytest.raises(StoreError, match=f"in use by pid {os.getpid()} since .*--run-dir"):
        Store.open(tmp_path)
    store.append("a", "a", {})
    store.close()
    Store.open(tmp_path).close()


def test_who_only_asks_whether_a_run_is_on_keeps_nobody_out(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    asking = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    Timer(0.02, os.close, [asking]).start()
    Store.open(tmp_path).close()


def test_a_reader_sees_what_a_writer_appends(tmp_path: Path) -> None:
    writer = Store.open(tmp_path)
    writer.append("a", "1", {"i": 1})
    reader = Store.read(tmp_path)
    assert [e.body["i"] for e in reader.events()] == [1]
    writer.append("a", "2", {"i": 2})
    assert [e.body["i"] for e in reader.events(after=1)] == [2]
    half = reader.events()
    next(half)
    writer.append("a", "3", {"i": 3})  # while a reader is in the middle
    assert [e.body["i"] for e in half] == [2]
    with pytest.raises(StoreError):
        reader.append("a", "4", {})
    reader.close()
    writer.close()


def test_reading_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Start one with: python -m evolve --run-dir"):
        Store.read(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_kill_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    program = f"""
        import os, signal
        from pathlib import Path
        from evolve.store import Store
        store = Store.open(Path({str(tmp_path)!r}))
        for i in range(5):
            store.append("a", str(i), {{"i": i}})
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -signal.SIGKILL
    assert bodies(tmp_path) == list(range(5))
    store = Store.open(tmp_path)  # the lock went with the process
    store.append("a", "5", {"i": 5})
    store.close()
    assert bodies(tmp_path) == list(range(6))


def test_a_file_of_length_zero_is_a_run_that_has_not_begun(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    with pytest.raises(StoreError, match="has not begun"):
        Store.read(tmp_path)
    fill(tmp_path)
    assert bodies(tmp_path) == [0, 1, 2]


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database, and longer than a header of one hundred bytes. " * 9)
    before = (tmp_path / FILE).read_bytes()
    for attempt in (Store.open, Store.read):
        with pytest.raises(StoreError, match="cannot be read .*left as it is; restore"):
            attempt(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_another_kind_of_database_is_refused(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / FILE)
    db.execute("CREATE TABLE notes (text TEXT)")
    db.close()
    for attempt in (Store.open, Store.read):
        with pytest.raises(StoreError, match="no such table: events"):
            attempt(tmp_path)


@pytest.mark.parametrize("damage", ["overwritten", "truncated"])
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, damage: str) -> None:
    fill(tmp_path, 400)
    path = tmp_path / FILE
    data = bytearray(path.read_bytes())
    assert len(data) > 3 * 4096
    if damage == "overwritten":
        data[2 * 4096 : 3 * 4096] = b"\xa5" * 4096
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)
    for attempt in (Store.open, Store.read):
        with pytest.raises(StoreError, match="cannot be read .*left as it is; restore"):
            attempt(tmp_path)
    assert path.read_bytes() == data


def test_a_damaged_row_is_found_when_it_is_read(tmp_path: Path) -> None:
    fill(tmp_path)
    db = sqlite3.connect(tmp_path / FILE)
    with db:
        db.execute("UPDATE events SET body = substr(body, 1, 10) WHERE seq = 2")
    db.close()
    with pytest.raises(StoreError, match="cannot be read"):
        bodies(tmp_path)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    fill(tmp_path)
    db = sqlite3.connect(tmp_path / FILE)
    db.execute(f"PRAGMA user_version={SCHEMA + 1}")
    db.close()
    for attempt in (Store.open, Store.read):
        with pytest.raises(StoreError, match=f"another version .schema {SCHEMA + 1}, here {SCHEMA}"):
            attempt(tmp_path)


def test_a_refused_run_is_not_kept_locked(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"garbage" * 100)
    with pytest.raises(StoreError):
        Store.open(tmp_path)
    (tmp_path / FILE).unlink()
    Store.open(tmp_path).close()


def test_a_full_disk_says_so_and_keeps_what_was_written(tmp_path: Path) -> None:
    fill(tmp_path)
    store = Store.open(tmp_path)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreError, match="disk full: .* run the same command"):
        store.append("a", "big", {"text": os.urandom(100_000).hex()})
    store.close()
    assert bodies(tmp_path) == [0, 1, 2]


def test_too_little_space_is_noticed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(tmp_path)
    disk = os.statvfs(tmp_path)
    monkeypatch.setattr("evolve.store.FREE_SPACE_FLOOR", disk.f_bavail * disk.f_frsize * 2)
    assert not store.has_space()
    monkeypatch.setattr("evolve.store.FREE_SPACE_FLOOR", 0)
    assert store.has_space()
    store.close()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot use run directory .*--run-dir"):
        Store.open(tmp_path / "file" / "run")


def test_a_copied_run_can_be_continued(tmp_path: Path) -> None:
    fill(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    a, b = Store.open(tmp_path / "a"), Store.open(tmp_path / "b")
    assert a.run == b.run
    b.append("kind", "key/3", {"i": 3})
    a.close()
    b.close()
    assert bodies(tmp_path / "a") == [0, 1, 2] and bodies(tmp_path / "b") == [0, 1, 2, 3]


def test_rows_of_another_run_in_the_same_file_are_left_alone(tmp_path: Path) -> None:
    """Rows are keyed by run, so files can be put together; a store is about the run that came first."""
    fill(tmp_path / "one")
    fill(tmp_path / "two", 5)
    database = sqlite3.connect(tmp_path / "one" / FILE)
    database.execute("ATTACH ? AS other", (str(tmp_path / "two" / FILE),))
    database.execute("INSERT INTO events (run, key, kind, at, body) SELECT run, key, kind, at, body FROM other.events")
    database.commit()
    database.close()
    assert bodies(tmp_path / "one") == [0, 1, 2]
