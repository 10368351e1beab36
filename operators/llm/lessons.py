"""Lessons: now and then a model condenses the journal to a short list, in a file that people may edit too."""

from __future__ import annotations

import os
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


@dataclass(frozen=True)
class Lessons:
    """The file `path`; whoever asks for a child when it is due writes it first, and others need not wait."""

    path: Path
    every: int = EVERY
    _busy: Lock = field(default_factory=Lock)
    _tried: set[int] = field(default_factory=set)

    def text(self) -> str:
        """The lessons as they stand in the file, "" where there is none."""
        try:
            return self.path.read_text(encoding="utf-8").strip()[:LONGEST]
        except (OSError, UnicodeDecodeError):
            return ""

    def refresh(self, desk: Desk, model: str, briefing: Briefing, setting: Setting) -> None:
        """Condense the journal if that is due. A model that does not answer is not asked again for these lessons."""
        measured = [c for c in briefing.candidates if c.edits and c.verdict in ("ok", "pruned", "failed")]
        number = len(measured) // self.every if self.every else 0
        key = f"lessons/{number}/call/0"
        if not number or number in self._tried or not self._busy.acquire(blocking=False):
            return
        try:
            self._tried.add(number)
            if desk.answered(key):
                return
            lines = [entry(c) for c in measured[-LATEST:]]
            journal, wanted = render("journal", first=True, lines=lines), render("lessons", lessons=self.text())
            turn = Turn("user", (Block(journal), Block(wanted)))
            request = Request(model, system(briefing, setting), (turn,), ANSWER_TOKENS, "lessons")
            reply, _ = desk.ask(key, request)
            if reply.stop == "end_turn" and (lessons := _listed(reply.text)):
                self._write(lessons)
        except (Unanswered, OSError):
            return
        finally:
            self._busy.release()

    def _write(self, lessons: str) -> None:
        """Replace the file; what a person wrote since the model was asked, or what it left out of it, is kept."""
        present = [line.strip() for line in self.text().splitlines()]
        kept = [line for line in present if line.startswith(PERSON) and line not in lessons.splitlines()]
        lessons = "".join(f"{line}\n" for line in kept) + lessons
        aside = self.path.with_suffix(".tmp")
        aside.write_text(lessons, encoding="utf-8")
        os.replace(aside, self.path)


def _listed(text: str) -> str:
    """The lines of a list in an answer; whatever else a model says around it is left out."""
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith(("* ", "- "))]
    return "".join(f"* {line[2:].strip()}\n" for line in lines)
