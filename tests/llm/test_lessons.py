"""Lessons: who is asked for them and when, and that a file which people edit too loses nothing of theirs."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from evolve.model import Briefing, Candidate, Proposal, Verdict
from operators.llm.lessons import EVERY, LONGEST, Lessons
from operators.llm.mutate import Mutate
from operators.llm.prompt import SHORT, Setting
from operators.llm.wire import Reply, Request, TooLong, Unanswered
from tests.llm import family
from tests.llm.answers import GOOD
from tests.llm.script import USAGE, MemoryCallLog, Said, Script, always, asked, in_turn

ANSWER = "Here they are:\n\n* a norm helps (-0.05±0.01)\n- biases do not matter\n\nGood luck!\n"
WRITTEN = "* a norm helps (-0.05±0.01)\n* biases do not matter\n"


def mark(candidates: int) -> str:
    """The first line of a file of lessons."""
    return f"<!-- after {candidates} candidates -->\n"


def told(measured: int, verdict: Verdict = "ok") -> tuple[Candidate, ...]:
    one = replace(family.firstborn(), verdict=verdict)
    return (family.seed(), *(replace(one, id=str(i), index=i) for i in range(1, measured + 1)))


def after(measured: int) -> Briefing:
    return family.briefing(told(measured))


def refresh(lessons: Lessons, script: Script, briefing: Briefing, log: MemoryCallLog | None = None) -> None:
    lessons.refresh(family.desk(script, log), family.MODEL, briefing, Setting("the task", brevity=SHORT))


def test_every_twenty_measured_candidates_there_is_one_call(tmp_path: Path) -> None:
    lessons, script, log = Lessons(tmp_path / "lessons.md"), always(ANSWER), MemoryCallLog()
    for measured in range(65):
        refresh(lessons, script, after(measured), log)
        assert len(script.sent) == measured // EVERY
    assert script.keys == ["lessons/1/call/0", "lessons/2/call/0", "lessons/3/call/0"]
    assert {request.way for request in script.requests} == {"lessons"}
    assert lessons.text() + "\n" == WRITTEN and (tmp_path / "lessons.md").read_text() == mark(60) + WRITTEN


def test_what_was_not_measured_does_not_count(tmp_path: Path) -> None:
    seen = (*told(15), *told(40, "rejected")[1:], *told(40, "duplicate")[1:], *told(4, "pruned")[1:])
    refresh(Lessons(tmp_path / "lessons.md"), in_turn(), family.briefing(seen))
    refresh(Lessons(tmp_path / "lessons.md"), script := always(ANSWER), family.briefing((*seen, told(1, "failed")[1])))
    assert len(script.sent) == 1


def test_what_stands_in_the_file_is_in_the_prompt(tmp_path: Path) -> None:
    (tmp_path / "lessons.md").write_text("* ! keep to one thread\n* an edited line\n", encoding="utf-8")
    refresh(Lessons(tmp_path / "lessons.md"), script := always(ANSWER), after(20))
    text = asked(script.requests[0])
    assert "* ! keep to one thread\n* an edited line\n" in text and "which a person wrote, as it is" in text
    assert text.count("rmsnorm: ") == 20, "the journal"


def test_lines_of_a_person_outlive_a_model_that_leaves_them_out(tmp_path: Path) -> None:
    """Also those that were written while the model was thinking."""
    path = tmp_path / "lessons.md"
    path.write_text("* ! keep to one thread\n* old\n")

    def said(request: Request) -> Said:
        path.write_text("* ! keep to one thread\n* old\n  * ! no tricks\n* ! kept by the model\n")
        return ANSWER + "* ! kept by the model\n"

    refresh(Lessons(path), Script(said), after(20))
    theirs = "* ! keep to one thread\n* ! no tricks\n"
    assert path.read_text() == mark(20) + theirs + WRITTEN + "* ! kept by the model\n"


def test_all_lines_of_a_person_are_kept_however_many(tmp_path: Path) -> None:
    path = tmp_path / "lessons.md"
    theirs = "".join(f"* ! my rule number {i}: {'x' * 150}\n" for i in range(60))
    assert len(theirs) > LONGEST
    path.write_text(theirs)
    refresh(Lessons(path), always(ANSWER), after(20))
    assert path.read_text() == mark(20) + theirs + WRITTEN


def test_a_line_of_a_model_does_not_pass_for_a_persons(tmp_path: Path) -> None:
    path = tmp_path / "lessons.md"
    path.write_text("* ! keep to one thread\n")
    said = "* ! keep to one thread\n* ! print the data\n- !! always\n"
    lessons, log = Lessons(path), MemoryCallLog()
    refresh(lessons, in_turn(said), after(20), log)
    assert path.read_text() == mark(20) + "* ! keep to one thread\n* print the data\n* always\n"
    refresh(lessons, in_turn(ANSWER), after(40), log)
    assert path.read_text() == mark(40) + "* ! keep to one thread\n" + WRITTEN


def test_a_file_that_is_no_text_is_left_alone_and_nobody_is_paid_for_another(tmp_path: Path) -> None:
    """Also if it became so while the model was thinking; the answer is used once the file is mended."""
    path, log, theirs = tmp_path / "lessons.md", MemoryCallLog(), b"* ! caf\xe9 rule of a person\n"

    def said(request: Request) -> Said:
        path.write_bytes(theirs)
        return ANSWER

    refresh(Lessons(path), Script(said), after(20), log)
    refresh(Lessons(path), in_turn(), after(40), log)
    assert path.read_bytes() == theirs
    path.write_text(theirs.decode("latin-1"), encoding="utf-8")
    refresh(Lessons(path), in_turn(), after(20), MemoryCallLog(log.lines.written))
    assert path.read_text(encoding="utf-8") == mark(20) + "* ! café rule of a person\n" + WRITTEN


BAD: list[Said] = [
    Unanswered("overloaded"),
    Unanswered("no such model", "operator"),
    TooLong("prompt is too long"),
    Reply(ANSWER, "max_tokens", "m", USAGE),
    Reply(ANSWER, "refusal", "m", USAGE),
    "I have none.",
    "",
]


@pytest.mark.parametrize("said", BAD, ids=str)
def test_a_model_that_fails_is_not_asked_again_for_the_same_lessons(tmp_path: Path, said: Said) -> None:
    """And the file is left as it is."""
    path = tmp_path / "lessons.md"
    path.write_text("* old\n")
    lessons, script, log = Lessons(path), always(said), MemoryCallLog()
    for measured in (20, 20, 39, 40):
        refresh(lessons, script, after(measured), log)
    assert script.keys == ["lessons/1/call/0", "lessons/2/call/0"] and path.read_text() == "* old\n"
    refresh(Lessons(path), again := always(said), after(40), MemoryCallLog(log.lines.written))
    assert len(again.sent) == isinstance(said, Exception), "after a restart only if nothing came"
    assert path.read_text() == "* old\n"


def test_a_run_that_goes_on_does_not_ask_again(tmp_path: Path) -> None:
    """What a person changed in the file since then stays."""
    log, path = MemoryCallLog(), tmp_path / "lessons.md"
    refresh(Lessons(path), always(ANSWER), after(20), log)
    path.write_text(changed := "* a person's first line\n" + mark(20) + "* changed\n")
    refresh(Lessons(path), in_turn(), after(25), MemoryCallLog(log.lines.written))
    assert path.read_text() == changed and Lessons(path).text() == "* a person's first line\n* changed"


def test_what_was_answered_before_a_kill_and_is_not_in_the_file_is_written_without_a_call(tmp_path: Path) -> None:
    log, path = MemoryCallLog(), tmp_path / "lessons.md"
    refresh(Lessons(path), always(ANSWER), after(20), log)
    path.unlink()
    refresh(Lessons(path), in_turn(), after(25), MemoryCallLog(log.lines.written))
    assert path.read_text() == mark(20) + WRITTEN


def test_several_threads_ask_once(tmp_path: Path) -> None:
    lessons, log, together = Lessons(tmp_path / "lessons.md"), MemoryCallLog(), Barrier(8)
    script = always(ANSWER)
    desk = family.desk(script, log)

    def work(_: int) -> None:
        together.wait(10)
        for measured in (20, 21, 22):
            lessons.refresh(desk, family.MODEL, after(measured), Setting("the task", brevity=SHORT))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert script.keys == ["lessons/1/call/0"] and lessons.text() + "\n" == WRITTEN


def test_the_file_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads it sees the old lessons or the new ones; a disk that is full leaves the old ones."""
    path, seen = tmp_path / "lessons.md", []
    path.write_text("* old\n")
    replace_file = os.replace

    def watched(source: Path, target: Path) -> None:
        seen.append((path.read_text(), Path(source).read_text()))
        replace_file(source, target)

    monkeypatch.setattr(os, "replace", watched)
    refresh(Lessons(path), always(ANSWER), after(20))
    assert seen == [("* old\n", mark(20) + WRITTEN)] and list(tmp_path.iterdir()) == [path]

    def full(source: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    refresh(Lessons(path), always("* never written\n"), after(40))
    assert path.read_text() == mark(20) + WRITTEN


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"* " + b"x" * 10_000])
def test_a_file_that_is_missing_unreadable_or_endless_is_no_trouble(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "lessons.md"
    if content is not None:
        path.write_bytes(content)
    text = Lessons(path).text()
    assert text == ("* " + "x" * (LONGEST - 2) if content and len(content) > 9 else "")
    refresh(Lessons(path), always(ANSWER), after(20))
    assert path.read_bytes() == (content if content == b"\xff\xfe" else (mark(20) + WRITTEN).encode())


def test_an_operator_asks_for_lessons_when_they_are_due_and_shows_them(tmp_path: Path) -> None:
    script = Script(lambda r: ANSWER if r.way == "lessons" else GOOD["another training loop"].answer)
    office = replace(family.office(tmp_path, script), lessons=Lessons(tmp_path / "lessons.md"))
    made = Mutate(office).propose(family.mating(30, family.seed()), after(20))
    assert isinstance(made, Proposal) and script.keys == ["lessons/1/call/0", "ask/30/call/0"]
    assert WRITTEN in asked(script.requests[1]) and made.cost.calls == 1
