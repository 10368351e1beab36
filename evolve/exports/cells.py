"""Cells of tables: what programs and models wrote, as text that a spreadsheet takes for nothing but text."""

from __future__ import annotations

import json
from collections.abc import Mapping

from evolve.journal import plain
from evolve.model import Candidate, Number

FORMULA = ("=", "+", "-", "@")  # with one of these a cell begins that a spreadsheet computes (OWASP, CSV injection)
LONGEST = 2000  # characters of a text in a cell


def text(said: str) -> str:
    """One line without tabs, line feeds or control characters; what would be a formula begins with an apostrophe."""
    line = " ".join(plain(said[: 20 * LONGEST]).split())[:LONGEST]
    return f"'{line}" if line.startswith(FORMULA) else line


def numbers(params: Mapping[str, Number]) -> str:
    """Numbers by name as JSON."""
    return json.dumps(dict(params), sort_keys=True)


def edits(candidate: Candidate) -> str:
    """`replace GPT.forward, insert_after DIM`."""
    return text(", ".join(f"{edit.op} {edit.target}" for edit in candidate.edits))
