"""Programs as text: the diff of two candidates and the plain train.py to take home."""

from __future__ import annotations

from difflib import unified_diff
from typing import Any

from rich.console import Console
from rich.syntax import Syntax

from evolve import plugins
from evolve.config import ConfigError
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
    return str(plugins.load("operators.upstream:convert")(source)) if upstream else source


def print_diff(console: Console, reader: Any, before: Candidate, after: Candidate) -> None:
    """The edits by address, then the plain diff of the two programs with their tuned numbers."""
    edits = plugins.load("operators.tree:diff")(before.genome.source, after.genome.source)
    named = ", ".join(f"{e.op} {e.target}" for e in edits) or "same structure"
    console.print(f"\n{before.id} to {after.id}: {named}", markup=False)
    old, new = (export_source(reader, c).splitlines(keepends=True) for c in (before, after))
    rows = unified_diff(old, new, f"{before.id}/train.py", f"{after.id}/train.py", n=1)
    console.print(Syntax("".join(rows), "diff", background_color="default", word_wrap=True))
