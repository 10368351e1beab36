"""Notes from outside: which are offered to whom, and what becomes of files that come, go or cannot be read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from evolve.model import Proposal
from operators.llm.ideas import LONGEST, Idea, offer, read_ideas
from operators.llm.mutate import Mutate
from operators.llm.office import check_program
from tests.llm import family
from tests.llm.answers import GOOD
from tests.llm.script import always, asked

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
    """While it is missing or no text, it is what it was."""
    script = always("nothing")
    office = family.office(tmp_path, script)
    for index, words in enumerate((b"the old task", b"the new task", b"a task in Latin 1: caf\xe9", None)):
        if words is None:
            office.program.unlink()
        else:
            office.program.write_bytes(words)
        Mutate(office).propose(family.mating(20 + index), family.briefing())
    said = [request.system[0].text for request in script.requests[::2]]
    assert ["the old task" in text for text in said] == [True, False, False, False]
    assert ["the new task" in text for text in said] == [False, True, True, True]


def test_a_task_that_is_no_text_is_found_before_a_model_is_paid(tmp_path: Path) -> None:
    said: list[str] = []
    program = tmp_path / "program.md"
    check_program(program, said.append)
    assert len(said) == 1 and "program.md is missing" in said[0]
    program.write_text("Grüße", encoding="utf-8")
    check_program(program, said.append)
    assert len(said) == 1
    program.write_text("Grüße", encoding="latin-1")
    with pytest.raises(ValueError, match=r"program.md is no UTF-8 text .* at byte 2\): save it as UTF-8"):
        check_program(program, said.append)
    program.unlink()
    program.mkdir()
    with pytest.raises(ValueError, match=r"program.md cannot be read .*: mend that, or remove it"):
        check_program(program, said.append)


@pytest.mark.parametrize(
    ("said", "credited"), [("gate", "gate"), ("Backout", ""), ("mixer", ""), ("Details", ""), ("none", "")]
)
def test_a_note_is_credited_if_that_question_offered_it(tmp_path: Path, said: str, credited: str) -> None:
    """Neither one that exists and was not drawn, nor one that does not exist, nor one in the task or a program."""
    script = always(GOOD["a class with another name"].answer.replace("IDEA: none", f"IDEA: {said}"))
    office = family.office(tmp_path, script)
    office.program.write_text("The task.\n\n## Details\n")
    (tmp_path / "ideas").mkdir()
    (tmp_path / "ideas" / "gate.md").write_text("Close a gate.\n")
    made = Mutate(office).propose(family.mating(), family.briefing())
    assert isinstance(made, Proposal) and made.idea == credited


def test_a_note_that_was_left_out_of_a_short_prompt_is_not_credited(tmp_path: Path) -> None:
    script = always(GOOD["a class with another name"].answer.replace("IDEA: none", "IDEA: gate"))
    office = family.office(tmp_path, script, prompt_tokens=10)
    (tmp_path / "ideas").mkdir()
    (tmp_path / "ideas" / "gate.md").write_text("Close a gate.\n")
    made = Mutate(office).propose(family.mating(), family.briefing())
    assert isinstance(made, Proposal) and made.idea == "" and "Close a gate" not in asked(script.requests[0])


def test_the_notes_of_the_target_can_all_be_read_whole() -> None:
    folder = family.TARGET / "ideas"
    ideas = read_ideas(folder)
    assert len(ideas) == len(list(folder.glob("*.md"))) > 10
    assert all(len(idea.text) < LONGEST for idea in ideas)
