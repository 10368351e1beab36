"""Lessons: now and then a model condenses the journal to a short list, in a file that people may edit too.

The file itself says how many candidates it comes after: what was paid for and is not in the file is written into it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from evolve.journal import entry
from evolve.model import Briefing
from operators.llm.desk import Desk
from operators.llm.prompt import Setting, render, system
from operators.llm.wire import Block, Request, Turn, Unanswered

EVERY = 20  # measured candidates from one condensing to the next
LATEST = 120  # lines of the journal that are condensed at once
LONGEST = 6000  # characters of lessons that are shown
ANSWER_TOKENS = 2000
PERSON = "* !"  # begins a line that a person wrote
_AFTER = re.compile(r"^<!-- after ([0-9]{1,9}) candidates -->\n?", re.M)


@dataclass(frozen=True)
class Lessons:
    """The file `path`; whoever asks for a child when it is due writes it first, and others need not wait."""

    path: Path
    every: int = EVERY
    _busy: Lock = field(default_factory=Lock)
    _tried: set[int] = field(default_factory=set)

    def text(self) -> str:
        """The lessons as they stand in the file, "" where there is none."""
        return _AFTER.sub("", self._read() or "").strip()[:LONGEST]

    def refresh(self, desk: Desk, model: str, briefing: Briefing, setting: Setting) -> None:
        """Condense the journal if that is due. A model that does not answer is not asked again for these lessons, and
        nobody is while the file cannot be read."""
        measured = [c for c in briefing.candidates if c.edits and c.verdict in ("ok", "pruned", "failed")]
        number = len(measured) // self.every if self.every else 0
        present = self._read()
        if present is None or number <= _after(present) // max(1, self.every) or number in self._tried:
            return
        if not self._busy.acquire(blocking=False):
            return
        try:
            self._tried.add(number)
            lines = [entry(c) for c in measured[-LATEST:]]
            journal, wanted = render("journal", first=True, lines=lines), render("lessons", lessons=self.text())
            turn = Turn("user", (Block(journal), Block(wanted)))
            request = Request(model, system(briefing, setting), (turn,), ANSWER_TOKENS, "lessons")
            reply, _ = desk.ask(f"lessons/{number}/call/0", request)
            if reply.stop == "end_turn" and (lessons := _listed(reply.text)):
                self._write(lessons, number * self.every)
        except (Unanswered, OSError):
            return
        finally:
            self._busy.release()

    def _read(self) -> str | None:
        """All of the file, "" where there is none; None if it cannot be read: then it is a person's to mend."""
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError):
            return None

    def _write(self, lessons: str, after: int) -> None:
        """Replace the file; what a person wrote since the model was asked, or what it left out of it, is kept."""
        present = self._read()
        if present is None:
            return
        theirs = [line for line in map(str.strip, present.splitlines()) if line.startswith(PERSON)]
        listed = [line if line in theirs else _unmarked(line) for line in lessons.splitlines()]
        kept = [line for line in theirs if line not in listed]
        aside = self.path.with_suffix(".tmp")
        text = "\n".join([f"<!-- after {after} candidates -->", *kept, *listed])
        aside.write_text(f"{text}\n", encoding="utf-8")
        os.replace(aside, self.path)


def _after(text: str) -> int:
    """After how many candidates the lessons of a file were written."""
    found = _AFTER.search(text)
    return int(found[1]) if found else 0


def _unmarked(line: str) -> str:
    """A line of a model, which is not to pass for a person's."""
    return f"* {line[2:].lstrip('! ')}" if line.startswith(PERSON) else line


def _listed(text: str) -> str:
    """The lines of a list in an answer; whatever else a model says around it is left out."""
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith(("* ", "- "))]
    return "".join(f"* {line[2:].strip()}\n" for line in lines)
