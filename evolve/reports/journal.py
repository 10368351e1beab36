"""The journal of a run as a file, a line for each candidate, that grows while the run is on."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from evolve.history import History
from evolve.journal import entry

FILE = "journal.md"
TITLE = (
    "# Journal\n\nWhat was tried, in the order in which it was finished. Written from the log; edits here are lost.\n\n"
)


def _said(history: History) -> str:
    """That some process of the run isolated less than the first, as a paragraph; "" if none did."""
    return f"{history.weakness[0].upper()}{history.weakness[1:]}.\n\n" if history.weakness else ""


class Journal:
    """Call it with the history as often as you like; it writes what is new. A file that cannot be written is let be."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._written = 0

    def __call__(self, history: History) -> None:
        told = len(history.candidates)
        if told == self._written:
            return
        lines = "".join(f"- {entry(c)}\n" for c in islice(history.candidates.values(), self._written, told))
        try:
            with self._path.open("a" if self._written else "w", encoding="utf-8") as file:
                file.write(lines if self._written else TITLE + _said(history) + lines)
        except OSError:
            return
        self._written = told
