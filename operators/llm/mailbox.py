"""A folder as the model: each request is a file, and a coding agent or a person writes the answer beside it.

The state of a request is the folder that its file is in; every change of state is one rename, so that one of several
answerers wins, and a process killed at any moment leaves nothing half done. A file's name holds a digest of the key
and of the whole prompt: an answer belongs to exactly the prompt it was written for, and the same key with another
prompt is another request. What was answered stays in `done/` and is given again when the same question is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from evolve.model import digest
from operators.llm.wire import Block, Reply, Request, Unanswered

LARGEST = 1_000_000  # bytes of an answer
FOLDERS = ("open", "claimed", "answers", "done")
MODEL_LINE = re.compile(r"model:[ \t]*(\S[^\n]{0,79}?)[ \t]*(?:\n|\Z)")

README = """\
# You are the model

A search engine that improves a training script puts the questions that it has for a language model into this folder,
one file each. Work in this folder and repeat three steps:

1. **Claim** a question: move it from `open/` to `claimed/`. Of several who try, one succeeds.

   ```sh
   for n in $(seq 60); do
     for f in $(ls -tr open); do mv open/$f claimed/$f 2>/dev/null && echo claimed/$f && break 2; done
     [ -e closed ] && echo closed && break
     sleep 1
   done
   ```

   This prints the file that is now yours. It prints `closed` when nobody asks any more: stop. It prints nothing when
   no question came for a minute: run it again.
2. **Read** all of `claimed/NAME.md`: what is wanted. It names the file with the instructions (the rules, the task, the
   form of an answer), which is the same for most questions: read that once.
3. **Answer**: write a draft, and move it when it is complete.

   ```sh
   mv claimed/NAME.draft answers/NAME.md
   ```

   The move is what makes it safe: a file that is written in `answers/` itself is taken as it is once it has not
   changed for {settle:g} seconds. UTF-8, less than 1 MB. The first line may say who you are, as in `model: my-name`.

A claim without an answer lapses after {lapse:g} seconds, and the question is opened again for others;
`touch -c claimed/NAME.md` renews it, `mv claimed/NAME.md open/` gives it back. The first answer counts: if
`done/NAME.answer.md` exists, somebody else's did. An answer that cannot be read is put into `done/` as
`NAME.unreadable-1.md`, and the question is opened once more.

`open/` waits for you, `claimed/` is being answered, `answers/` is about to be read, `done/` holds each question with
its answer. A question with the same words gets the answer in `done/` again; delete that file to be asked anew.
"""


class MailboxError(Exception):
    """The folder cannot be a mailbox; the text names the cure."""


class _Unreadable(Exception):
    """An answer file that is no answer, and why."""


class Stillness:
    """For how long files have looked the same to us.

    Their own times would not do: `mv` keeps the old one, and another machine's clock may differ from ours.
    """

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[tuple[int, ...], float]] = {}

    def seconds(self, path: Path, now: float) -> float | None:
        """None if there is nothing at `path`, or an empty file."""
        try:
            found = path.stat()
        except FileNotFoundError:
            found = None
        if found is None or (stat.S_ISREG(found.st_mode) and not found.st_size):
            self._seen.pop(path, None)
            return None
        look = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        before, since = self._seen.get(path, (look, now))
        self._seen[path] = (look, since if before == look else now)
        return now - self._seen[path][1]


class _Question:
    """A request on its way: the name of its files, its text, and what this wait has seen of it."""

    def __init__(self, key: str, request: Request) -> None:
        self._key = key
        self.instructions = _joined(request.system)
        self.book = f"instructions-{digest(self.instructions)[:8]}.md"
        self._prompt = _prompt(request)
        self._tokens = request.max_tokens
        readable = re.sub(r"[^A-Za-z0-9]+", "-", key).strip("-")[:80] or "question"
        self.name = f"{readable}-{digest(key + self.instructions + self._prompt)[:8]}"
        self.still = Stillness()
        self.unreadable = ""

    def text(self) -> str:
        again = f"\nAn earlier answer could not be read: {self.unreadable}." if self.unreadable else ""
        return (
            f"Question `{self._key}`: the last section is to be answered, in {self._tokens} tokens or less.\n"
            f"Read `{self.book}` first: the rules, the task and the form of an answer, the same for most questions.\n"
            f"The answer goes to `answers/{self.name}.md`: write it elsewhere, then `mv` it there. README.md says how."
            f"{again}\n\n---\n\n{self._prompt}\n"
        )


class Mailbox:
    """A `Transport` through the folder `directory`, which is made where it is missing.

    `timeout`: seconds after which a question is given up, 0 for never; `lapse`: seconds after which a claim without an
    answer is taken back; `look`: seconds between two looks; `settle`: seconds for which an answer must not have
    changed. An answer is not priced (`usage` is None). One process serves a mailbox at a time.
    """

    def __init__(
        self, directory: Path, timeout: float = 0.0, lapse: float = 1800.0, look: float = 0.5, settle: float = 2.0
    ) -> None:
        """Raises MailboxError if the folder cannot be used, holds other things, or is served by another process."""
        self._directory = directory
        self._timeout, self._lapse, self._interval, self._settle = timeout, lapse, look, settle
        self._guard = threading.Lock()  # held for every look and change, so that nothing is opened after `close`
        self._closed = threading.Event()
        with _explained(directory):
            self._lock = _take(directory)
        try:
            with _explained(directory):
                self._furnish()
        except MailboxError:
            os.close(self._lock)
            raise

    def send(self, key: str, request: Request) -> Reply:
        """Waits for the answer. Raises Unanswered after `timeout`, after `close`, after two unreadable answers, and,
        as the end of the operator, if the folder can no longer be used."""
        question = _Question(key, request)
        start = time.monotonic()
        try:
            while True:
                with self._guard:
                    if self._closed.is_set():
                        raise Unanswered("the mailbox was closed")
                    now = time.monotonic()
                    reply = self._look(question, now)
                    if reply is not None:
                        return reply
                    if self._timeout and now - start >= self._timeout:
                        self._file("open", question).unlink(missing_ok=True)
                        raise Unanswered(f"nobody answered {question.name} within {self._timeout:g} s")
                self._closed.wait(self._interval)
        except OSError as error:
            raise Unanswered(f"the mailbox {self._directory} cannot be used any more ({error})", "operator") from error

    def close(self) -> None:
        """Takes back what nobody has claimed and lets go of the folder. What is claimed may still be answered: the
        same question finds the answer later."""
        with self._guard:
            if self._closed.is_set():
                return
            self._closed.set()
            with contextlib.suppress(OSError):  # the folder may be gone
                self._write("closed", f"Nobody asks here since {time.strftime('%Y-%m-%d %H:%M:%S')}.\n")
                self._withdraw()
            os.close(self._lock)

    def _furnish(self) -> None:
        for folder in FOLDERS:
            (self._directory / folder).mkdir(exist_ok=True)
        self._write("README.md", README.format(settle=self._settle, lapse=self._lapse))
        (self._directory / "closed").unlink(missing_ok=True)
        self._withdraw()

    def _look(self, question: _Question, now: float) -> Reply | None:
        """The answer if it is there; otherwise sees to it that the question can be answered."""
        answer, kept = self._file("answers", question), self._file("done", question, ".answer")
        try:
            if kept.exists():
                return _read(kept)
            quiet = question.still.seconds(answer, now)
            if quiet is not None and quiet >= self._settle:
                reply = _read(answer)
                self._finish(question)
                answer.replace(kept)  # last: until then the answer is found where it is
                return reply
        except _Unreadable as error:
            self._set_aside(kept if kept.exists() else answer, question, str(error))
        self._keep_open(question, now)
        return None

    def _keep_open(self, question: _Question, now: float) -> None:
        """Opens a question that is neither open nor claimed, and one whose claim has lapsed."""
        opened, claimed = self._file("open", question), self._file("claimed", question)
        if opened.exists():
            return
        held = question.still.seconds(claimed, now)
        if held is None:
            if not (self._directory / question.book).exists():
                self._write(question.book, question.instructions + "\n")
            self._write(f"open/{opened.name}", question.text())
        elif held >= self._lapse:
            with contextlib.suppress(FileNotFoundError):  # given back this moment
                claimed.replace(opened)

    def _set_aside(self, path: Path, question: _Question, reason: str) -> None:
        """Keeps what could not be read. The question is opened again by who looks next, with the reason in its head;
        the second time that ends the wait."""
        taken = len(list((self._directory / "done").glob(f"{question.name}.unreadable-*.md")))
        path.replace(self._file("done", question, f".unreadable-{taken + 1}"))
        self._finish(question)
        if question.unreadable:
            raise Unanswered(f"two answers to {question.name} could not be read: {question.unreadable}; {reason}")
        question.unreadable = reason

    def _finish(self, question: _Question) -> None:
        for folder in ("open", "claimed"):  # in the order in which it moves, or it could slip through
            with contextlib.suppress(FileNotFoundError):
                self._file(folder, question).replace(self._file("done", question))

    def _withdraw(self) -> None:
        """Whoever serves the mailbox alone has opened all that is open, or a process that is dead has."""
        for path in (self._directory / "open").glob("*.md"):
            path.unlink(missing_ok=True)  # claimed this moment

    def _file(self, folder: str, question: _Question, kind: str = "") -> Path:
        return self._directory / folder / f"{question.name}{kind}.md"

    def _write(self, name: str, text: str) -> None:
        """Nobody sees a part of it."""
        draft = self._directory / ".draft"
        draft.write_text(text, encoding="utf-8")
        draft.replace(self._directory / name)


@contextlib.contextmanager
def _explained(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MailboxError(
            f"{directory} cannot be a mailbox ({error.strerror}). Name a folder that you may write to."
        ) from None


def _take(directory: Path) -> int:
    """Makes the folder and locks it for the life of the process; the kernel drops the lock however that ends."""
    directory.mkdir(parents=True, exist_ok=True)
    mark = directory / ".mailbox"
    if not mark.exists() and any(not path.name.startswith(".") for path in directory.iterdir()):
        raise MailboxError(f"{directory} holds other things. Name a new folder, or an empty one.")
    lock = os.open(mark, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 100).decode(errors="replace").strip() or "another process"
        os.close(lock)
        raise MailboxError(f"{directory} is in use by {holder}. Wait for it, stop it, or name another one.") from None
    os.ftruncate(lock, 0)
    os.write(lock, f"pid {os.getpid()} since {time.strftime('%Y-%m-%d %H:%M:%S')}".encode())
    return lock


def _prompt(request: Request) -> str:
    """The dialogue as one text, a heading for each of its parts."""
    parts = []
    answers = 0
    for turn in request.turns:
        if turn.role == "assistant":
            answers += 1
            title = f"Answer {answers}"
        else:
            title = f"Reply to answer {answers}" if answers else "Question"
        parts.append(f"# {title}\n\n{_joined(turn.blocks)}")
    return "\n\n---\n\n".join(parts)


def _joined(blocks: tuple[Block, ...]) -> str:
    return "\n\n".join(block.text.strip("\n") for block in blocks)


def _read(path: Path) -> Reply:
    """Raises _Unreadable."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _Unreadable("it is not a file")
        if found.st_size > LARGEST:
            raise _Unreadable("it is larger than 1 MB")
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise _Unreadable("it is not UTF-8") from None
    except PermissionError:
        raise _Unreadable("its permissions forbid it") from None
    signed = MODEL_LINE.match(text)
    text = text[signed.end() :].lstrip("\n") if signed else text
    if not text.strip():
        raise _Unreadable("it is empty")
    return Reply(text, "end_turn", f"mailbox/{signed[1]}" if signed else "mailbox", None)
