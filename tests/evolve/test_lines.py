"""JSON lines that are added to: what was added is there, whatever a kill tore off."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from evolve.lines import Lines
from evolve.store import StoreError


def test_what_was_added_is_there_and_a_torn_line_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    first = Lines(path)
    first.add({"a": 1})
    first.add({"b": "zwei\r\n\u2028"})
    for cut in range(1, 8):
        with path.open("ab") as file:
            file.write(b'{"c": 3}'[:cut])
        again = Lines(path)
        assert again.rows == first.rows == [{"a": 1}, {"b": "zwei\r\n\u2028"}]
    again.add({"d": 4.5})
    again.add({"e": None})
    assert Lines(path).rows == again.rows == [*first.rows, {"d": 4.5}, {"e": None}]


def test_what_two_add_in_turns_is_there(tmp_path: Path) -> None:
    one, other = Lines(tmp_path / "rows.jsonl"), Lines(tmp_path / "rows.jsonl")
    for n in range(3):
        one.add({"one": n})
        other.add({"other": n})
    assert len(Lines(tmp_path / "rows.jsonl").rows) == 6


def test_a_line_of_which_a_full_disk_took_a_part_is_written_over(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "rows.jsonl")
    lines.add({"a": 1})
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (15, limit[1]))
    try:
        with pytest.raises(StoreError, match="cannot write .*rows.jsonl: File too large"):
            lines.add({"b": "more than there is room for"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert lines.path.read_bytes() == b'{"a": 1}\n{"b": '
    lines.add({"c": 3})
    assert Lines(lines.path).rows == lines.rows == [{"a": 1}, {"c": 3}]


@pytest.mark.parametrize("text", [b"\xff\n", b"no json\n", b"3\n", b'{"a": 1}\n[]x\n'])
def test_what_is_no_object_is_told_with_the_file(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(text)
    with pytest.raises(StoreError, match="rows.jsonl, remove it to do all of it again"):
        Lines(path)
    assert path.read_bytes() == text


def test_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "nowhere" / "rows.jsonl")
    with pytest.raises(StoreError, match="cannot write .*rows.jsonl: No such file"):
        lines.add({"a": 1})
    assert lines.rows == []


def test_a_number_that_json_has_not_is_not_written(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "rows.jsonl")
    with pytest.raises(ValueError, match="JSON"):
        lines.add({"a": float("nan")})
    assert not lines.path.exists()
