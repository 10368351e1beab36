"""What a person brings to a run is taken exactly once, whatever happens to the process that takes it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from evolve.briefing import briefing
from evolve.config import ConfigError
from evolve.elsewhere import MOST_ROWS, Row, read_results
from evolve.history import History
from evolve.incoming import FOLDER, LARGEST, PERSON, SHOWN, Brought, Incoming, leave_program, leave_rows, take_in
from evolve.loop import Loop
from evolve.model import Candidate, Mating
from evolve.reports.journal import Journal
from evolve.store import Store
from tests.evolve import runs, toy
from tests.evolve.runs import Cut, cut_off, replayed

LINE = "t1 = 1.0"  # which helps
ROWS = [Row("a1b2c3d", "discard", "GeLU", 0.01), Row("b2c3d4e", "crash", "twice as wide", None)]


def run(directory: Path, generations: int = 3) -> Loop:
    return runs.run(directory, generations, refusals=0)[1]


def brought(directory: Path, line: str = LINE, parent: str = "0", why: str = "I know that it helps") -> None:
    directory.mkdir(exist_ok=True)
    leave_program(directory, Brought(f"{toy.SEED.source}\n{line}", parent, why))


def of_a_person(history: History) -> list[Candidate]:
    return [c for c in history.candidates.values() if c.operator == PERSON]


def taken(directory: Path) -> list[dict[str, Any]]:
    """What would be recorded of the files that lie there."""
    found: list[dict[str, Any]] = []
    take_in(directory, {"0"}, Incoming(), lambda kind, key, body: found.append(body))
    return found


def left(directory: Path) -> list[str]:
    return [path.name for path in (directory / FOLDER).iterdir()]


def test_a_program_is_measured_like_any_other_child(tmp_path: Path) -> None:
    brought(tmp_path)
    history = run(tmp_path).history
    (child,) = of_a_person(history)
    assert child.parents == ("0",) and child.hypothesis == "I know that it helps"
    assert child.genome.source.endswith(LINE) and child.rung > 0 and child.effect
    assert history.matings[child.index].operator == PERSON and child.index == 1, "it does not wait its turn"
    assert left(tmp_path) == []
    again = replayed(tmp_path)
    assert of_a_person(again) == [child] and not again.incoming.waiting
    assert [again.search.ask(i) for i in range(900, 905)] == [history.search.ask(i) for i in range(900, 905)]


def test_programs_are_taken_in_the_order_in_which_they_were_brought(tmp_path: Path) -> None:
    run(tmp_path, 1)
    for line in ("t2 = 1.0", "t5 = 1.0", "t7 = 1.0"):
        brought(tmp_path, line, why=line)
    history = run(tmp_path, 4).history
    asked = sorted(of_a_person(history), key=lambda c: c.index)
    assert [c.hypothesis for c in asked] == ["t2 = 1.0", "t5 = 1.0", "t7 = 1.0"]


def test_one_that_was_seen_before_is_told_as_such(tmp_path: Path) -> None:
    brought(tmp_path)
    brought(tmp_path, why="once more")
    first, second = sorted(of_a_person(run(tmp_path).history), key=lambda c: c.verdict == "duplicate")
    assert first.rung > 0 and second.reason == f"same structure as {first.id}"


@pytest.mark.parametrize("after", range(26, 48))
def test_cut_off_after_any_event_around_it_nothing_is_lost_or_repeated(tmp_path: Path, after: int) -> None:
    with cut_off(after, lambda count: brought(tmp_path) if count == 28 else None):
        run(tmp_path)
    if after < 28:
        brought(tmp_path)
    history = run(tmp_path).history
    (child,) = of_a_person(history)
    assert child.genome.source.endswith(LINE) and left(tmp_path) == []
    assert of_a_person(replayed(tmp_path)) == [child]


def test_killed_between_recording_and_removing_the_file_is_removed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unlink(path: Path, missing_ok: bool = False) -> None:
        raise Cut

    brought(tmp_path)
    monkeypatch.setattr(Path, "unlink", unlink)
    with pytest.raises(Cut):
        run(tmp_path)
    monkeypatch.undo()
    assert len(replayed(tmp_path).incoming.waiting) == 1 and len(left(tmp_path)) == 1
    assert len(of_a_person(run(tmp_path).history)) == 1 and left(tmp_path) == []


def program(**changed: object) -> bytes:
    """A file with a program, as it is left but for what is changed."""
    return json.dumps({"kind": "brought", **asdict(Brought("lr = 1.0", "0", "")), **changed}).encode()


def row(**changed: object) -> bytes:
    """A file with one row, as it is left but for what is changed."""
    return json.dumps({"kind": "learned", "rows": [{**asdict(ROWS[0]), **changed}]}).encode()


@pytest.mark.parametrize(
    "content",
    [
        program(source=5),
        program(source=None),
        program(source="x = '\ud800'"),
        program(hypothesis=["why"]),
        program(hypothesis="\udfff"),
        program(parent=[]),
        program(parent="99"),
        program(hypothesis="x" * (LARGEST + 1)),
        row(commit=[1]),
        row(commit=["a"]),
        row(commit=None),
        row(description=5),
        row(description="a\nb"),
        row(description="x" * 5000),
        row(description="\ud800"),
        row(status="maybe"),
        row(status=[]),
        row(delta="x"),
        row(delta=float("nan")),
        row(delta=float("-inf")),
        row(delta=10**400),
        row(delta=True),
        row(delta=[0.1]),
        b"[" * 200_000,
        b'{"kind": "learned", "rows": ' + b"[" * 200_000,
        b'{"kind": "learned", "rows": 5}',
        b'{"kind": "learned", "rows": "ab"}',
        b'{"kind": ["learned"], "rows": []}',
        b"",
        b"[1]",
        b"{}",
        b"\xff",
        b'{"kind": "stop", "reason": "mine"}',
        json.dumps({"kind": "learned", "rows": [{"commit": "a"}]}).encode(),
    ],
    ids=lambda content: content[:60].decode(errors="replace"),
)
def test_a_file_that_is_none_of_ours_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "0.json").write_bytes(content)
    assert taken(tmp_path) == [] and left(tmp_path) == ["0.json.unreadable"]


def test_nor_is_one_whose_name_cannot_be_written_down_or_that_never_ends(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / os.fsdecode(b"\xff.json")).write_bytes(row())
    os.mkfifo(tmp_path / FOLDER / "1.json")
    (tmp_path / FOLDER / "2.json").mkdir()
    assert taken(tmp_path) == [] and all(name.endswith(".unreadable") for name in left(tmp_path))


def test_what_is_set_aside_does_not_keep_a_run_from_its_end(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "0.json").write_bytes(row(commit=[1]))
    (tmp_path / FOLDER / "1.json").write_bytes(row())
    history = run(tmp_path, 1).history
    assert history.stopped == "1 generations done" and list(history.incoming.rows) == [ROWS[0].key]
    assert left(tmp_path) == ["0.json.unreadable"] and replayed(tmp_path).incoming.lines()


def test_as_many_rows_as_a_run_is_told_are_no_file_that_is_too_long(tmp_path: Path) -> None:
    text = f"commit\tstatus\tdescription\n{'x'}\tkeep\tfirst\n"
    text += "".join(f"{n:07}{'𝒳' * 5}\tdiscard\t{'𝒳' * 300}\n" for n in range(MOST_ROWS))
    leave_rows(tmp_path, read_results(text.encode(), "results.tsv"))
    assert [len(body["rows"]) for body in taken(tmp_path)] == [MOST_ROWS] and left(tmp_path) == []


def test_a_parent_that_was_put_into_quarantine_since_has_no_child(tmp_path: Path) -> None:
    history = run(tmp_path, 2).history
    parent = next(c for c in history.candidates.values() if c.index and c.verdict == "ok")
    store = Store.open(tmp_path, durable=False)
    body = {"origin": parent.id, "violation": "causality", "ids": [parent.id], "guilty": True}
    store.append("quarantine", "quarantine/0", body)
    store.close()
    brought(tmp_path, "t9 = 1.0", parent.id)
    (child,) = of_a_person(run(tmp_path, 3).history)
    assert child.verdict == "rejected" and "quarantine" in child.reason


def test_what_was_tried_elsewhere_is_taken_once_and_told_to_operators_and_people(tmp_path: Path) -> None:
    leave_rows(tmp_path, ROWS)
    run(tmp_path, 1)
    leave_rows(tmp_path, ROWS)
    leave_rows(tmp_path, [*ROWS, Row("c3d4e5f", "keep", "RoPE", -0.02)])
    history = run(tmp_path, 2).history
    assert list(history.incoming.rows) == [
        ("a1b2c3d", "discard", "GeLU"),
        ("b2c3d4e", "crash", "twice as wide"),
        ("c3d4e5f", "keep", "RoPE"),
    ]
    told = briefing(history, Mating(9, "grow", (history.candidates["0"],), None, 9)).elsewhere
    assert told == (
        'elsewhere a1b2c3d: "GeLU": dead end there, +0.0100 against the best before it',
        'elsewhere b2c3d4e: "twice as wide": dead end there, it crashed',
        'elsewhere c3d4e5f: "RoPE": kept there, -0.0200 against the best before it',
    )
    assert replayed(tmp_path).incoming.lines() == told and left(tmp_path) == []
    Journal(tmp_path)(history)
    lines = (tmp_path / "journal.md").read_text().splitlines()
    assert all(lines.count(f"- {line}") == 1 for line in told)


def test_the_journal_grows_by_what_was_learned_meanwhile(tmp_path: Path) -> None:
    history = toy.new_history()
    journal = Journal(tmp_path)
    history.incoming.on_learned({"name": "a", "rows": [vars(ROWS[0])]})
    journal(history)
    history.incoming.on_learned({"name": "b", "rows": [vars(row) for row in ROWS]})
    journal(history)
    text = (tmp_path / "journal.md").read_text()
    assert text.startswith("# Journal") and text.count("elsewhere a1b2c3d") == text.count("elsewhere b2c3d4e") == 1


def test_only_the_latest_lines_are_shown() -> None:
    history = toy.new_history()
    rows = [{"commit": str(n), "status": "discard", "description": "x", "delta": None} for n in range(SHOWN + 5)]
    history.incoming.on_learned({"name": "a", "rows": rows})
    assert len(history.incoming.lines()) == SHOWN and history.incoming.lines()[0].startswith("elsewhere 5:")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("a file")
    with pytest.raises(ConfigError, match="cannot write into .*incoming"):
        brought(tmp_path)
