"""What was tried elsewhere: the results.tsv of an autoresearch run, as lines of the journal that language models see.

Its columns are `commit`, a loss (`val_bpb`), `memory_gb`, `status` (keep, discard or crash) and `description`, between
tabs, as karpathy/autoresearch's program.md says; forks rename the loss or add columns. Its losses belong to another
text and another budget, so only differences within the file are told, and that they are from elsewhere. The file is
written by somebody's language model: every word of it is data, cut to a line and put in quotes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evolve.config import ConfigError
from evolve.journal import HYPOTHESIS, cut

STATUSES = ("keep", "discard", "crash")
LONGEST = 4 << 20  # bytes of a file
MOST_ROWS = 2000  # of a file that a run is told, the last ones; an experiment takes minutes, so this is a week
COMMIT = 12  # characters of a commit's name


@dataclass(frozen=True)
class Row:
    """One experiment. `delta` is its loss minus the lowest that was kept before it; None where one is missing."""

    commit: str
    status: str
    description: str
    delta: float | None

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two rows the same, in whichever file they stand."""
        return self.commit, self.status, self.description


def entry(row: Row) -> str:
    """`elsewhere a1b2c3d: "switch to GeLU": dead end there, +0.012 against the best before it`."""
    if row.status == "crash":
        what = "dead end there, it crashed"
    elif row.delta is None:
        what = "kept there" if row.status == "keep" else "dead end there"
    else:
        what = f"{'kept' if row.status == 'keep' else 'dead end'} there, {row.delta:+.4f} against the best before it"
    return f'elsewhere {row.commit}: "{row.description}": {what}'


def checked(fields: Mapping[str, Any]) -> Row:
    """The row with these fields, which somebody wrote down. Raises ValueError, TypeError or AttributeError for one
    that `read_results` never gives."""
    row = Row(**fields)
    as_read = (cut(row.commit, COMMIT), cut(row.description, HYPOTHESIS)) == (row.commit, row.description)
    compared = row.delta is None or (isinstance(row.delta, float) and math.isfinite(row.delta))
    if not as_read or not compared or row.status not in STATUSES:
        raise ValueError(f"no row of a results.tsv: {row}")
    return row


def read_results(content: bytes, name: str) -> list[Row]:
    """The rows of a results.tsv, first to last; the baseline and rows without a description or status are left out.

    Raises `ConfigError`, with what is wrong and what is expected, for a file without such rows; `name` names it.
    """
    if len(content) > LONGEST:
        raise ConfigError(f"{name} has {len(content):,} bytes: a results.tsv has at most {LONGEST:,}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"{error.reason} at byte {error.start}"
        raise ConfigError(f"{name} is not UTF-8 text ({where}): save it as UTF-8") from error
    lines = [line.rstrip("\r") for line in text.split("\n") if line.strip()]
    columns = [column.strip().lower() for column in lines[0].split("\t")] if lines else []
    if not {"status", "description"} <= set(columns):
        first = cut(lines[0], 80) if lines else ""
        raise ConfigError(
            f"{name} is no results.tsv of autoresearch: its first line should name columns separated by tabs, with "
            f'status and description among them, and is "{first}"'
        )
    cells = [dict.fromkeys(columns, "") | dict(zip(columns, line.split("\t"), strict=False)) for line in lines[1:]]
    rows = list(_rows(cells, columns))
    if not rows:
        raise ConfigError(f"{name} has no row with a description and a status among {', '.join(STATUSES)}")
    return rows


def _rows(cells: Sequence[Mapping[str, str]], columns: Sequence[str]) -> Iterable[Row]:
    """The experiments, each against the best that was kept before it."""
    others = ("commit", "memory_gb", "status", "description")
    loss = "val_bpb" if "val_bpb" in columns else next((c for c in columns if c not in others), "")
    best: float | None = None
    for number, cell in enumerate(cells, 1):
        status = cell["status"].strip().lower()
        description = cut(cell["description"], HYPOTHESIS)
        if status not in STATUSES or not description:
            continue
        value = _number(cell.get(loss, "")) if status != "crash" else None
        delta = value - best if value is not None and best is not None else None
        baseline = status == "keep" and best is None
        if status == "keep" and value is not None:
            best = value if best is None else min(best, value)
        if not baseline:
            yield Row(cut(cell.get("commit", ""), COMMIT) or f"row {number}", status, description, delta)


def _number(text: str) -> float | None:
    """A loss; None for what is none, such as the 0.000000 of a crash."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
