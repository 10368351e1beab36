"""Notes from outside: which are offered to whom, and what becomes of files that come, go or cannot be read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from operators.llm.ideas import LONGEST, Idea, offer, read_ideas
from operators.llm.mutate import Mutate
from tests.llm import family
from tests.llm.script import always

FOUR = [Idea(name, f"about {name}") for name in "abcd"]


def test_the_notes_of_a_folder_by_name(tmp_path: Path) -> None:
    for name, text in (("b.md", "second\n"), ("a.md", "\nfirst\n\n"), ("c.txt", "no note"), ("empty.md", " \n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "long.md").write_text("x" * 5000)
    assert read_ideas(tmp_path) == [Idea("a", "first"), Idea("b", "second"), Idea("long", "x" * LONGEST)]


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\xff\xfe not text")
    (tmp_path / "b.md").mkdir()
    (tmp_path / "c.md").symlink_to(tmp_path / "nowhere")
    (tmp_path / "d.md").write_text("a note")
    assert read_ideas(tmp_path) == [Idea("d", "a note")]
    assert read_ideas(tmp_path / "missing") == []


def test_one_or_two_notes_are_drawn_by_seed() -> None:
    drawn = [offer(FOUR, seed, ()) for seed in range(300)]
    assert drawn == [offer(FOUR, seed, ()) for seed in range(300)]
    assert {len(set(ideas)) for ideas in drawn} == {1, 2} and all(len(i) == len(set(i)) for i in drawn)
    counts = Counter(idea.name for ideas in drawn for idea in ideas)
    assert min(counts.values()) > 80 and len(counts) == 4
    assert offer([], 0, ()) == () and len(offer(FOUR[:1], 0, ())) == 1


def test_notes_that_were_used_come_less_often() -> None:
    counts = Counter(idea.name for seed in range(1000) for idea in offer(FOUR, seed, ["a"] * 9 + ["b", "unknown"]))
    assert 0 < counts["a"] < counts["b"] / 2 and counts["b"] < 0.85 * counts["c"]


def test_a_note_that_comes_while_a_run_is_on_is_offered(tmp_path: Path) -> None:
    script = always("nothing")
    operator = Mutate(family.office(tmp_path, script))
    operator.propose(family.mating(), family.briefing())
    assert "Notes that you may use or not" not in script.requests[0].turns[0].blocks[-1].text
    (tmp_path / "ideas").mkdir()
    (tmp_path / "ideas" / "gate.md").write_text("Close a gate.\n")
    operator.propose(family.mating(15), family.briefing())
    assert (
        "# Notes that you may use or not\n\n## gate\n\nClose a gate.\n" in script.requests[2].turns[0].blocks[-1].text
    )


def test_the_task_may_be_changed_while_a_run_is_on(tmp_path: Path) -> None:
    script = always("nothing")
    office = family.office(tmp_path, script)
    for index, words in enumerate(("the old task", "the new task", "")):
        office.program.write_text(words)
        if not words:
            office.program.unlink()
        Mutate(office).propose(family.mating(20 + index), family.briefing())
    said = [request.system[0].text for request in script.requests[::2]]
    assert ["the old task" in text for text in said] == [True, False, False]
    assert ["the new task" in text for text in said] == [False, True, False]


def test_the_notes_of_the_target_can_all_be_read_whole() -> None:
    folder = family.TARGET / "ideas"
    ideas = read_ideas(folder)
    assert len(ideas) == len(list(folder.glob("*.md"))) > 10
    assert all(len(idea.text) < LONGEST for idea in ideas)
