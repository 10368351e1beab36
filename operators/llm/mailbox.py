"""A folder as the model: each request is a file, and a coding agent or a person writes the answer beside it.

The state of a request is the folder that its file is in; every change of state is one rename, so that one of several
answerers wins, and a process killed at any moment leaves nothing half done. A file's name holds a digest of the key
and of the whole prompt: an answer belongs to exactly the prompt it was written for, and the same key with another
prompt is another request. What was answered stays in `done/` and is given again when the same question is.

Whoever answers may not be allowed more than this folder, so nothing here leads out of it: folders are held open while
they are used, and no link in them is followed.
"""

from __future__ import annotations

import contextlib
import errno
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
ROOT = ""  # the mailbox itself, beside its folders
MARK = ".mailbox"  # the file that says so, and is locked
DRAFT = ".draft-"
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
   changed for {settle:g} seconds. A plain file and no link, UTF-8, less than 1 MB. The first line may say who you
   are, as in `model: my-name`.

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
        self._seen: dict[str, tuple[tuple[int, ...], float]] = {}

    def seconds(self, name: str, found: os.stat_result | None, now: float) -> float | None:
        """None if there is nothing of that name, or an empty file."""
        if found is None or (stat.S_ISREG(found.st_mode) and not found.st_size):
            self._seen.pop(name, None)
            return None
        look = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        before, since = self._seen.get(name, (look, now))
        self._seen[name] = (look, since if before == look else now)
        return now - self._seen[name][1]


class _Folders:
    """The mailbox and its folders, held open: what is put in their place meanwhile is not touched."""

    def __init__(self, directory: Path, lock: int, held: contextlib.ExitStack) -> None:
        """A folder that somebody moved away is made again. Raises OSError if one is a link, or `lock` is not ours."""
        self._of: dict[str, int] = {}
        self._hold(ROOT, held, os.open(directory, os.O_RDONLY | os.O_DIRECTORY))
        mark = self.look(ROOT, MARK)
        if mark is None or not os.path.samestat(mark, os.fstat(lock)):
            raise FileNotFoundError(errno.ENOENT, "another folder is there now, or its lock was taken away", MARK)
        for folder in FOLDERS:
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, dir_fd=self._of[ROOT])
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            self._hold(folder, held, os.open(folder, flags, dir_fd=self._of[ROOT]))

    def _hold(self, folder: str, held: contextlib.ExitStack, descriptor: int) -> None:
        held.callback(os.close, descriptor)
        self._of[folder] = descriptor

    def names(self, folder: str) -> list[str]:
        return os.listdir(self._of[folder])

    def look(self, folder: str, name: str) -> os.stat_result | None:
        """None if there is nothing of that name."""
        try:
            return os.stat(name, dir_fd=self._of[folder], follow_symlinks=False)
        except FileNotFoundError:
            return None

    def move(self, folder: str, name: str, to: str, called: str) -> None:
        """Raises FileNotFoundError where somebody else was quicker."""
        os.replace(name, called, src_dir_fd=self._of[folder], dst_dir_fd=self._of[to])

    def remove(self, folder: str, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._of[folder])

    def write(self, folder: str, name: str, text: str) -> None:
        """Nobody sees a part of it."""
        draft = DRAFT + os.urandom(8).hex()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(draft, flags, 0o644, dir_fd=self._of[ROOT]), "w", encoding="utf-8") as file:
            file.write(text)
        self.move(ROOT, draft, folder, name)

    def read(self, folder: str, name: str) -> bytes:
        """Raises _Unreadable for what is no plain file of a fair size."""
        try:  # without waiting, as a pipe would have it
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._of[folder])
        except PermissionError:
            raise _Unreadable("its permissions forbid it") from None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise _Unreadable("it is a link or a socket, not a file") from None
            raise
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise _Unreadable("it is not a file")
            if found.st_size > LARGEST:
                raise _Unreadable("it is larger than 1 MB")
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(LARGEST)
        finally:
            os.close(descriptor)


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
        self.file = f"{self.name}.md"
        self.still = Stillness()
        self.unreadable = ""

    def text(self) -> str:
        again = f"\nAn earlier answer could not be read: {self.unreadable}." if self.unreadable else ""
        return (
            f"Question `{self._key}`: the last section is to be answered, in {self._tokens} tokens or less.\n"
            f"Read `{self.book}` first: the rules, the task and the form of an answer, the same for most questions.\n"
            f"The answer goes to `answers/{self.file}`: write it elsewhere, then `mv` it there. README.md says how."
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
            with _explained(directory), self._held() as folders:
                self._furnish(folders)
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
                    with self._held() as folders:
                        reply = self._look(folders, question, now)
                    if reply is not None:
                        return reply
                    if self._timeout and now - start >= self._timeout:
                        with self._held() as folders:
                            folders.remove("open", question.file)
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
            with contextlib.suppress(OSError), self._held() as folders:  # it may be gone
                folders.write(ROOT, "closed", f"Nobody asks here since {time.strftime('%Y-%m-%d %H:%M:%S')}.\n")
                self._withdraw(folders)
            os.close(self._lock)

    @contextlib.contextmanager
    def _held(self) -> Iterator[_Folders]:
        with contextlib.ExitStack() as held:
            yield _Folders(self._directory, self._lock, held)

    def _furnish(self, folders: _Folders) -> None:
        for name in folders.names(ROOT):
            if name.startswith(DRAFT):  # of a process that was killed
                folders.remove(ROOT, name)
        folders.write(ROOT, "README.md", README.format(settle=self._settle, lapse=self._lapse))
        folders.remove(ROOT, "closed")
        self._withdraw(folders)

    def _look(self, folders: _Folders, question: _Question, now: float) -> Reply | None:
        """The answer if it is there; otherwise sees to it that the question can be answered."""
        name, kept = question.file, f"{question.name}.answer.md"
        try:
            if folders.look("done", kept):
                return _reply(folders.read("done", kept))
            quiet = question.still.seconds(f"answers/{name}", folders.look("answers", name), now)
            if quiet is not None and quiet >= self._settle:
                reply = _reply(folders.read("answers", name))
                self._finish(folders, question)
                folders.move("answers", name, "done", kept)  # last: until then the answer is found where it is
                return reply
        except _Unreadable as error:
            place = ("done", kept) if folders.look("done", kept) else ("answers", name)
            self._set_aside(folders, place, question, str(error))
        self._keep_open(folders, question, now)
        return None

    def _keep_open(self, folders: _Folders, question: _Question, now: float) -> None:
        """Opens a question that is neither open nor claimed, and one whose claim has lapsed."""
        name = question.file
        if folders.look("open", name):
            return
        held = question.still.seconds(f"claimed/{name}", folders.look("claimed", name), now)
        if held is None:
            if not folders.look(ROOT, question.book):
                folders.write(ROOT, question.book, question.instructions + "\n")
            folders.write("open", name, question.text())
        elif held >= self._lapse:
            with contextlib.suppress(FileNotFoundError):  # given back this moment
                folders.move("claimed", name, "open", name)

    def _set_aside(self, folders: _Folders, place: tuple[str, str], question: _Question, reason: str) -> None:
        """Keeps what could not be read. The question is opened again by who looks next, with the reason in its head;
        the second time that ends the wait."""
        prefix = f"{question.name}.unreadable-"
        taken = sum(name.startswith(prefix) for name in folders.names("done"))
        folders.move(*place, "done", f"{prefix}{taken + 1}.md")
        self._finish(folders, question)
        if question.unreadable:
            raise Unanswered(f"two answers to {question.name} could not be read: {question.unreadable}; {reason}")
        question.unreadable = reason

    def _finish(self, folders: _Folders, question: _Question) -> None:
        for folder in ("open", "claimed"):  # in the order in which it moves, or it could slip through
            with contextlib.suppress(FileNotFoundError):
                folders.move(folder, question.file, "done", question.file)

    def _withdraw(self, folders: _Folders) -> None:
        """Whoever serves the mailbox alone has opened all that is open, or a process that is dead has."""
        for name in folders.names("open"):
            if name.endswith(".md"):
                folders.remove("open", name)


@contextlib.contextmanager
def _explained(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename in (*FOLDERS, MARK) else ""
        raise MailboxError(
            f"{directory} cannot be a mailbox ({where}{error.strerror}). Name a folder that you may write to."
        ) from None


def _take(directory: Path) -> int:
    """Makes the folder and locks it for the life of the process; the kernel drops the lock however that ends."""
    directory.mkdir(parents=True, exist_ok=True)
    mark = directory / MARK
    if not os.path.lexists(mark) and any(not path.name.startswith(".") for path in directory.iterdir()):
        raise MailboxError(f"{directory} holds other things. Name a new folder, or an empty one.")
    try:
        lock = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise OSError(error.errno, error.strerror, MARK) from None
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


def _reply(content: bytes) -> Reply:
    """Raises _Unreadable."""
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise _Unreadable("it is not UTF-8") from None
    signed = MODEL_LINE.match(text)
    text = text[signed.end() :].lstrip("\n") if signed else text
    if not text.strip():
        raise _Unreadable("it is empty")
    return Reply(text, "end_turn", f"mailbox/{signed[1]}" if signed else "mailbox", None)
