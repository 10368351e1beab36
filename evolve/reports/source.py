"""Programs as text: the diff of two candidates and the plain train.py to take home."""

from __future__ import annotations

import re
from difflib import unified_diff
from typing import Any

from rich.console import Console
from rich.syntax import Syntax

from evolve import plugins
from evolve.config import ConfigError
from evolve.journal import plain
from evolve.model import Candidate


def export_source(reader: Any, candidate: Candidate, upstream: bool = False) -> str:
    """The program with its tuned numbers written in; `upstream` leaves out what karpathy/autoresearch lacks.

    Raises `ConfigError` if the rules of the target no longer allow these numbers.
    """
    try:
        source = str(reader.bind(candidate.genome, candidate.params))
    except ValueError as error:
        raise ConfigError(
            f"the numbers of candidate {candidate.id} do not fit the target, which was changed since: {error}"
        ) from error
    return str(plugins.load(plugins.UPSTREAM)(source)) if upstream else source


def print_diff(console: Console, reader: Any, before: Candidate, after: Candidate) -> None:
    """The edits by address, then the plain diff of the two programs with their tuned numbers."""
    edits = plugins.load("operators.tree:diff")(before.genome.source, after.genome.source)
    named = ", ".join(f"{e.op} {e.target}" for e in edits) or "same structure"
    console.print(f"\n{before.id} to {after.id}: {plain(named)}", markup=False)
    old, new = (plain(export_source(reader, c)).splitlines(keepends=True) for c in (before, after))
    rows = unified_diff(old, new, f"{before.id}/train.py", f"{after.id}/train.py", n=1)
    console.print(Syntax("".join(rows), "diff", background_color="default", word_wrap=True))


def patch(reader: Any, before: Candidate, after: Candidate) -> str:
    """What `patch` makes the program of `after` with, from that of `before`, both with their tuned numbers.

    A unified diff of `train.py` with three lines of context, "" if they are alike; byte for byte, so that lines end at
    a line feed and nowhere else, and a last line without one is marked as such.
    """
    old, new = (_lines(export_source(reader, c)) for c in (before, after))
    rows = unified_diff(old, new, "a/train.py", "b/train.py", f"candidate {before.id}", f"candidate {after.id}")
    return "".join(row if row.endswith("\n") else f"{row}\n\\ No newline at end of file\n" for row in rows)


def _lines(text: str) -> list[str]:
    return [line for line in re.split(r"(?<=\n)", text) if line]
