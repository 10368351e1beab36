"""JSON lines that are added to: what was added is there, whatever a kill tore off."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from evolve.lines import Lines
from evolve.store import StoreError


def test_what_was_added_is_there_and_torn_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"a": 1}, {"b": "zwei\r\n\u2028"}, {"c": [3.5, None]}]
    for row in rows[:2]:
        Lines(path).add(row)
    whole = path.read_bytes()
    for cut in range(1, 8):
        path.write_bytes(whole + b'{"c": 3}'[:cut])
        lines = Lines(path)
        assert lines.rows == rows[:2]
        lines.add(rows[2])
        lines.add({"d": 4})
        assert Lines(path).rows == lines.rows == [*rows, {"d": 4}]


def test_a_last_line_without_an_end_that_is_whole_counts(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}')
    lines = Lines(path)
    lines.add({"b": 2})
    assert Lines(path).rows == lines.rows == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("torn", ["", '{"a"'])
def test_what_two_add_in_turns_is_there(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(torn)
    one, other = Lines(path), Lines(path)
    for n in range(3):
        one.add({"one": n})
        other.add({"other": n})
    assert Lines(path).rows == [{name: n} for n in range(3) for name in ("one", "other")]


@pytest.mark.parametrize("before", [b'{"a": 1}\n', b'{"a": 1}\n{"x'])
def test_what_a_full_disk_cut_off_is_passed_over(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(before)
    lines = Lines(path)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for size in (len(before) + 5, len(before) + 12):
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
            with pytest.raises(StoreError, match="cannot write .*rows.jsonl: File too large"):
                lines.add({"b": "more than there is room for"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, old)
    assert path.stat().st_size == len(before) + 12
    lines.add({"c": 3})
    assert Lines(path).rows == lines.rows == [{"a": 1}, {"c": 3}]


@pytest.mark.parametrize("line", [b"\xff", b"no json", b"3", b"[]", b'""', b"null", b"[" * 10**5])
def test_what_is_no_object_is_told_with_its_line(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line + b"\n")
    with pytest.raises(StoreError, match="line 2 of .*rows.jsonl is no row of it: remove that line"):
        Lines(path)


def test_a_row_of_another_kind_is_told(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "rows.jsonl")
    lines.add({"a": 1})
    assert lines.read_as(lambda row: row["a"]) == [1]
    with pytest.raises(StoreError, match="rows.jsonl has a row of another kind"):
        lines.read_as(lambda row: row["b"])


def test_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "nowhere" / "rows.jsonl")
    with pytest.raises(StoreError, match="cannot write .*rows.jsonl: No such file"):
        lines.add({"a": 1})
    assert lines.rows == []


def test_a_number_that_json_has_not_is_not_written(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "rows.jsonl")
    with pytest.raises(StoreError, match="cannot write .*JSON compliant"):
        lines.add({"a": float("nan")})
    assert not lines.path.exists()
