"""The journal of a run as a file, a line for each candidate, that grows while the run is on."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from evolve import elsewhere
from evolve.history import History
from evolve.journal import entry
from evolve.model import Candidate
from evolve.reports.tried import tried

FILE = "journal.md"
TITLE = (
    "# Journal\n\nWhat was tried, in the order in which it was finished. Written from the log; edits here are lost.\n\n"
)


def _said(history: History) -> str:
    """That some process of the run isolated less than the first, as a paragraph; "" if none did."""
    return f"{history.weakness[0].upper()}{history.weakness[1:]}.\n\n" if history.weakness else ""


def _line(history: History, candidate: Candidate) -> str:
    numbers = "" if candidate.quarantined else tried(history, candidate)
    return "; ".join([entry(candidate), *([f"numbers: {numbers}"] if numbers else [])])


class Journal:
    """Call it with the history as often as you like; it writes what is new. A file that cannot be written is let be."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._written = 0
        self._learned = 0

    def __call__(self, history: History) -> None:
        told, learned = len(history.candidates), len(history.incoming.rows)
        if (told, learned) == (self._written, self._learned):
            return
        rows = islice(history.incoming.rows.values(), self._learned, learned)
        lines = "".join(f"- {elsewhere.entry(row)}\n" for row in rows)
        lines += "".join(f"- {_line(history, c)}\n" for c in islice(history.candidates.values(), self._written, told))
        try:
            begun = bool(self._written or self._learned)
            with self._path.open("a" if begun else "w", encoding="utf-8") as file:
                file.write(lines if begun else TITLE + _said(history) + lines)
        except OSError:
            return
        self._written, self._learned = told, learned
