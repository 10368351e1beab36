"""A folder as the model, with real files, threads and processes: who answers, who is quicker, and who dies."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from operators.llm.mailbox import LARGEST, README, Mailbox, MailboxError, Stillness
from operators.llm.wire import Block, Reply, Request, Turn, Unanswered

PATIENCE = 30.0  # seconds; a test that waits for so long has failed


def ask(text: str = "Improve it.") -> Request:
    return Request("any", (Block("You improve scripts."),), (Turn("user", (Block(text),)),), 4000)


def until(true: Callable[[], object], what: str = "it") -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"waited for {what} in vain"
        time.sleep(0.005)


class Desk:
    """A mailbox, and what is done in front of it and behind it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._pool = ThreadPoolExecutor(32)
        self._boxes: list[Mailbox] = []

    def box(self, timeout: float = 0.0, lapse: float = 1800.0, settle: float = 0.05) -> Mailbox:
        self._boxes.append(Mailbox(self.directory, timeout, lapse, look=0.01, settle=settle))
        return self._boxes[-1]

    def send(self, box: Mailbox, key: str, request: Request) -> Future[Reply]:
        return self._pool.submit(box.send, key, request)

    def names(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.directory / folder).iterdir())

    def waiting(self, folder: str = "open") -> str:
        """The name of the only file of a folder, once there is one."""
        until(lambda: self.names(folder), f"a file in {folder}/")
        (name,) = self.names(folder)
        return name

    def claim(self) -> str:
        name = self.waiting()
        (self.directory / "open" / name).rename(self.directory / "claimed" / name)
        return name

    def answer(self, name: str, content: str | bytes) -> None:
        draft = self.directory / "claimed" / "draft"
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        draft.rename(self.directory / "answers" / name)

    def leave(self) -> None:
        for box in self._boxes:
            box.close()
        self._pool.shutdown()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "mail")
    yield desk
    desk.leave()


def unanswered(sent: Future[Reply]) -> Unanswered:
    error = sent.exception(PATIENCE)
    assert isinstance(error, Unanswered)
    return error


# What is asked and answered


def test_the_answer_comes_back_and_is_kept_with_its_question(desk: Desk) -> None:
    sent = desk.send(desk.box(), "ask/12/call/0", ask())
    name = desk.claim()
    desk.answer(name, "An answer: ä.\n")
    assert sent.result(PATIENCE) == Reply("An answer: ä.\n", "end_turn", "mailbox", None)
    assert [desk.names(f) for f in ("open", "claimed", "answers")] == [[], [], []]
    assert desk.names("done") == sorted([name, name.replace(".md", ".answer.md")])


def test_an_answer_without_a_claim_counts(desk: Desk) -> None:
    sent = desk.send(desk.box(), "ask/1", ask())
    desk.answer(desk.waiting(), "Quick.")
    assert sent.result(PATIENCE).text == "Quick."
    assert desk.names("open") == []


@pytest.mark.parametrize(
    ("content", "model", "text"),
    [
        ("model: opus 5 \n\nBody.\n", "mailbox/opus 5", "Body.\n"),
        ("\ufeffmodel: x\r\nBody.\r\nMore.", "mailbox/x", "Body.\nMore."),
        ("Body.\nmodel: x\n", "mailbox", "Body.\nmodel: x\n"),
        ("model:\nBody.\n", "mailbox", "model:\nBody.\n"),
    ],
)
def test_the_first_line_may_say_who_answered(desk: Desk, content: str, model: str, text: str) -> None:
    sent = desk.send(desk.box(), "ask/1", ask())
    desk.answer(desk.claim(), content)
    assert (sent.result(PATIENCE).model, sent.result().text) == (model, text)


def test_the_file_holds_the_dialogue_in_order_and_names_the_instructions(desk: Desk) -> None:
    turns = (
        Turn("user", (Block("The script."), Block("The wish."))),
        Turn("assistant", (Block("First try."),)),
        Turn("user", (Block("It does not parse."),)),
    )
    desk.send(desk.box(), "ask/12/call/1", Request("any", (Block("The rules.", cached=True),), turns, 4000))
    name = desk.waiting()
    text = (desk.directory / "open" / name).read_text()
    head, *parts = text.split("\n\n---\n\n")
    assert "ask/12/call/1" in head and f"answers/{name}" in head and "4000 tokens" in head
    assert [" ".join(part.split()) for part in parts] == [
        "# Question The script. The wish.",
        "# Answer 1 First try.",
        "# Reply to answer 1 It does not parse.",
    ]
    book = re.search(r"`(instructions-\w+\.md)`", head)
    assert book and (desk.directory / book[1]).read_text() == "The rules.\n"


def test_names_are_readable_and_one_per_question(desk: Desk) -> None:
    box = desk.box()
    questions = [("ask/12/call/0", ask()), ("ask-12-call-0", ask()), ("ask/12/call/0", ask("Another."))]
    for key, request in [*questions, ("../../é", ask()), ("k" * 500, ask())]:
        desk.send(box, key, request)
    until(lambda: len(desk.names("open")) == 5)
    names = desk.names("open")
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{,90}\.md", name) for name in names)
    assert sum(name.startswith("ask-12-call-0-") for name in names) == 3


def test_the_readme_says_when_a_claim_lapses(desk: Desk) -> None:
    desk.box(lapse=77.0)
    assert "lapses after 77 seconds" in (desk.directory / "README.md").read_text()


# Several answerers


def claiming() -> str:
    """The shell lines of the README."""
    return str(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)[0])


def answerer(desk: Desk, n: int) -> subprocess.Popen[str]:
    script = f"""
        while :; do
            mine=$({claiming()})
            [ "$mine" = closed ] && exit
            echo $mine
            grep -o 'number [0-9]*' $mine > $mine.draft.{n}
            mv $mine.draft.{n} answers/${{mine#claimed/}}
        done
    """
    return subprocess.Popen(["sh", "-c", script], cwd=desk.directory, stdout=subprocess.PIPE, text=True)


def test_four_processes_that_follow_the_readme_answer_each_question_once(desk: Desk) -> None:
    box = desk.box()
    sent = [desk.send(box, f"ask/{n}", ask(f"This is number {n}.")) for n in range(20)]
    until(lambda: len(desk.names("open")) == 20)
    names = desk.names("open")
    processes = [answerer(desk, n) for n in range(4)]
    assert [s.result(PATIENCE).text.strip() for s in sent] == [f"number {n}" for n in range(20)]
    box.close()  # which ends them
    claims = [line for p in processes for line in p.communicate(timeout=PATIENCE)[0].splitlines()]
    assert sorted(claims) == [f"claimed/{name}" for name in names]
    assert [desk.names(f) for f in ("open", "claimed", "answers")] == [[], [], []]


def test_the_claim_of_a_killed_answerer_lapses_and_another_answers(desk: Desk) -> None:
    sent = desk.send(desk.box(lapse=0.2), "ask/1", ask())
    name = desk.waiting()
    script = f"mv open/{name} claimed/{name}; echo mine; sleep 1000"
    process = subprocess.Popen(
        ["sh", "-c", script], cwd=desk.directory, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout and process.stdout.readline() == "mine\n"
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert desk.claim() == name  # it was opened again
    desk.answer(name, "From another.")
    assert sent.result(PATIENCE).text == "From another."


def test_a_claim_is_renewed_by_touch_and_by_nothing_else(tmp_path: Path) -> None:
    still, path = Stillness(), tmp_path / "claim"

    def seconds(now: float) -> float | None:
        return still.seconds("claim", path.lstat() if path.exists() else None, now)

    assert seconds(0.0) is None
    path.write_text("question")
    os.utime(path, (1000, 1000))
    assert seconds(10.0) == 0.0  # as old as we know it, not as old as it is
    assert seconds(15.0) == 5.0
    path.touch()
    assert seconds(18.0) == 0.0
    assert seconds(20.0) == 2.0
    path.rename(tmp_path / "elsewhere")
    assert seconds(21.0) is None
    (tmp_path / "elsewhere").rename(path)
    assert seconds(22.0) == 0.0


def test_a_question_whose_file_was_lost_is_opened_again(desk: Desk) -> None:
    desk.send(desk.box(), "ask/1", ask())
    name = desk.claim()
    (desk.directory / "claimed" / name).unlink()
    assert desk.waiting() == name


# Answers that are late, slow or spoiled


def test_an_answer_written_in_place_is_taken_when_it_has_come_to_rest(desk: Desk) -> None:
    sent = desk.send(desk.box(settle=1.5), "ask/1", ask())
    with (desk.directory / "answers" / desk.claim()).open("w") as file:
        for part in ("It ", "comes ", "slowly."):
            time.sleep(0.15)
            file.write(part)
            file.flush()
    assert sent.result(PATIENCE).text == "It comes slowly."


def test_an_empty_file_is_not_yet_an_answer(desk: Desk) -> None:
    sent = desk.send(desk.box(settle=0.0), "ask/1", ask())
    name = desk.claim()
    (desk.directory / "answers" / name).touch()
    time.sleep(0.2)
    assert (desk.names("answers"), desk.names("done")) == ([name], [])
    desk.answer(name, "Now.")
    assert sent.result(PATIENCE).text == "Now."


SPOILED = [
    (b"\xff\xfe\x00", "UTF-8"),
    (b"x" * (LARGEST + 1), "1 MB"),
    (b" \n", "empty"),
    (b"model: me\n\n", "empty"),
    (None, "not a file"),
]


def spoil(desk: Desk, name: str, content: bytes | None) -> None:
    if content is None:
        (desk.directory / "answers" / name).mkdir()
    else:
        desk.answer(name, content)


@pytest.mark.parametrize(("content", "reason"), SPOILED)
def test_an_answer_that_cannot_be_read_is_asked_for_once_more(desk: Desk, content: bytes | None, reason: str) -> None:
    sent = desk.send(desk.box(), "ask/1", ask())
    name = desk.claim()
    spoil(desk, name, content)
    assert desk.waiting() == name
    assert reason in (desk.directory / "open" / name).read_text().partition("---")[0]
    assert name.replace(".md", ".unreadable-1.md") in desk.names("done")
    desk.answer(desk.claim(), "Better.")
    assert sent.result(PATIENCE).text == "Better."


def test_a_second_answer_that_cannot_be_read_ends_the_wait(desk: Desk) -> None:
    sent = desk.send(desk.box(), "ask/1", ask())
    name = desk.claim()
    for content in (None, b"\xff"):
        spoil(desk, name, content)
        until(lambda: name not in desk.names("answers"))
    assert "not a file; it is not UTF-8" in str(unanswered(sent))
    assert [desk.names(f) for f in ("open", "claimed", "answers")] == [[], [], []]
    assert sum("unreadable" in kept for kept in desk.names("done")) == 2


def test_after_the_timeout_a_question_is_taken_back(desk: Desk) -> None:
    error = unanswered(desk.send(desk.box(timeout=0.05), "ask/1", ask()))
    assert "0.05 s" in str(error) and error.ends == ""
    assert desk.names("open") == []


def test_a_folder_that_is_gone_ends_the_operator(desk: Desk) -> None:
    sent = desk.send(desk.box(), "ask/1", ask())
    desk.waiting()
    desk.directory.rename(desk.directory.with_name("gone"))
    assert unanswered(sent).ends == "operator"


@pytest.mark.parametrize("folder", ["open", "claimed", "answers", "done"])
def test_a_folder_that_somebody_moved_away_is_made_again(desk: Desk, folder: str) -> None:
    sent = desk.send(desk.box(), "ask/1", ask())
    name = desk.waiting()
    (desk.directory / folder).rename(desk.directory / "moved")
    until(lambda: (desk.directory / folder).is_dir(), folder)
    assert desk.waiting() == name
    desk.answer(desk.claim(), "Still here.")
    assert sent.result(PATIENCE).text == "Still here."


# An answerer that may do no more than write into this folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "notes.md").write_text("Keep me.")
    return folder


def untouched(outside: Path) -> bool:
    return [(path.name, path.read_text()) for path in outside.iterdir()] == [("notes.md", "Keep me.")]


@pytest.mark.parametrize("place", ["open", "claimed", "answers", "done", ".mailbox"])
def test_a_link_in_place_of_a_folder_or_of_the_lock_is_refused(desk: Desk, outside: Path, place: str) -> None:
    """While a question waits, at the close after that, and at the next start."""
    target = outside / "notes.md" if place == ".mailbox" else outside
    box = desk.box()
    sent = desk.send(box, "ask/1", ask())
    desk.waiting()
    (desk.directory / place).rename(desk.directory / "moved")
    (desk.directory / place).symlink_to(target)
    assert unanswered(sent).ends == "operator"
    box.close()
    with pytest.raises(MailboxError, match=f"cannot be a mailbox \\({place}: .*Name a folder"):
        desk.box()
    assert untouched(outside)


def test_a_link_to_nowhere_makes_no_file_there(desk: Desk, outside: Path) -> None:
    desk.directory.mkdir()
    (desk.directory / ".mailbox").symlink_to(outside / "new")
    with pytest.raises(MailboxError):
        desk.box()
    assert untouched(outside)


def test_drafts_and_texts_are_written_over_links_and_not_through_them(desk: Desk, outside: Path) -> None:
    box, names = desk.box(), [".draft", "README.md", "closed"]
    for name in names:
        (desk.directory / name).unlink(missing_ok=True)
        (desk.directory / name).symlink_to(outside / "notes.md")
    desk.send(box, "ask/1", ask())
    assert not (desk.directory / "open" / desk.waiting()).is_symlink()
    box.close()
    desk.box()
    assert untouched(outside) and "You are the model" in (desk.directory / "README.md").read_text()


def test_the_draft_of_a_killed_process_is_removed(desk: Desk) -> None:
    desk.box().close()
    (desk.directory / ".draft-0").write_text("half a quest")
    desk.box()
    assert not (desk.directory / ".draft-0").exists()


@pytest.mark.parametrize("kind", ["answers", "done"])
def test_a_link_is_no_answer(desk: Desk, outside: Path, kind: str) -> None:
    sent = desk.send(desk.box(), "ask/1", ask())
    name = desk.claim()
    file = name if kind == "answers" else name.replace(".md", ".answer.md")
    (desk.directory / kind / file).symlink_to(outside / "notes.md")
    assert desk.waiting() == name and not sent.done()
    assert "it is a link" in (desk.directory / "open" / name).read_text().partition("---")[0]
    desk.answer(desk.claim(), "Better.")
    assert sent.result(PATIENCE).text == "Better." and untouched(outside)


def test_a_pipe_is_no_answer_and_nobody_waits_for_it(desk: Desk) -> None:
    sent = desk.send(desk.box(), "ask/1", ask())
    name = desk.claim()
    os.mkfifo(desk.directory / "answers" / name)
    assert desk.waiting() == name and not sent.done()
    desk.answer(desk.claim(), "Better.")
    assert sent.result(PATIENCE).text == "Better."


# Closing and resuming


def test_close_ends_every_wait_and_takes_back_what_nobody_claimed(desk: Desk) -> None:
    box = desk.box()
    first = desk.send(box, "ask/1", ask())
    name = desk.claim()
    others = [desk.send(box, f"ask/{n}", ask()) for n in range(2, 6)]
    until(lambda: len(desk.names("open")) == 4)
    box.close()
    assert all("closed" in str(unanswered(sent)) for sent in [first, *others])
    assert (desk.names("open"), desk.names("claimed")) == ([], [name])
    assert (desk.directory / "closed").exists()
    with pytest.raises(Unanswered):
        box.send("ask/6", ask())
    box.close()


def test_an_answer_that_came_in_between_is_found_by_the_resumed_run(desk: Desk) -> None:
    box = desk.box()
    desk.send(box, "ask/1", ask())
    name = desk.claim()
    box.close()
    desk.answer(name, "In between.")
    again = desk.box()
    assert not (desk.directory / "closed").exists()
    for _ in range(2):  # as it lies in answers/, and as it lies in done/
        assert desk.send(again, "ask/1", ask()).result(PATIENCE).text == "In between."
    assert desk.names("done") == sorted([name, name.replace(".md", ".answer.md")])
    assert (desk.names("open"), desk.names("claimed"), desk.names("answers")) == ([], [], [])


def test_the_answer_to_another_prompt_is_not_taken(desk: Desk) -> None:
    box = desk.box()
    old = desk.send(box, "ask/1", ask("Old."))
    desk.answer(desk.claim(), "To the old one.")
    old.result(PATIENCE)
    new = desk.send(box, "ask/1", ask("New."))
    desk.answer(desk.claim(), "To the new one.")
    assert new.result(PATIENCE).text == "To the new one."


def test_what_is_claimed_is_not_opened_a_second_time(desk: Desk) -> None:
    box = desk.box()
    desk.send(box, "ask/1", ask())
    name = desk.claim()
    box.close()
    unanswered(desk.send(desk.box(timeout=0.1), "ask/1", ask()))
    assert (desk.names("open"), desk.names("claimed")) == ([], [name])


SERVING = """
import sys, time
from pathlib import Path
from operators.llm.mailbox import Mailbox
from operators.llm.wire import Request

box = Mailbox(Path(sys.argv[1]), look=0.01)
box.send("ask/1", Request("", (), (), 1))
"""


def test_one_process_serves_a_mailbox_and_what_it_left_open_when_killed_is_removed(desk: Desk) -> None:
    process = subprocess.Popen([sys.executable, "-c", SERVING, str(desk.directory)])
    until(lambda: (desk.directory / "open").is_dir() and desk.names("open"), "the other process")
    with pytest.raises(MailboxError, match=f"in use by pid {process.pid} .*name another"):
        desk.box()
    assert len(desk.names("open")) == 1
    process.kill()
    process.wait()
    desk.box()
    assert desk.names("open") == []


def test_a_closed_mailbox_can_be_opened_again_and_an_open_one_cannot(desk: Desk) -> None:
    box = desk.box()
    with pytest.raises(MailboxError, match="in use"):
        desk.box()
    box.close()
    desk.box()


def test_a_folder_with_other_things_is_left_alone(desk: Desk) -> None:
    desk.directory.mkdir()
    (desk.directory / "README.md").write_text("Mine.")
    with pytest.raises(MailboxError, match="holds other things"):
        desk.box()
    assert [path.name for path in desk.directory.iterdir()] == ["README.md"]
    assert (desk.directory / "README.md").read_text() == "Mine."


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_file_is_no_mailbox(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MailboxError, match="Name a folder that you may write to"):
        Mailbox(tmp_path / place)


def test_a_mailbox_that_cannot_be_furnished_is_let_go(desk: Desk) -> None:
    desk.box().close()
    shutil.rmtree(desk.directory / "open")
    (desk.directory / "open").write_text("")
    with pytest.raises(MailboxError, match="cannot be a mailbox"):
        desk.box()
    (desk.directory / "open").unlink()
    desk.box()
