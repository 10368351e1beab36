"""The columns of a table of individuals: how each is called, shown and sorted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from statistics import median

from evolve.config import ConfigError
from evolve.history import History
from evolve.journal import cut
from evolve.model import Candidate, Estimate, Objective
from evolve.objectives import SECONDS_TO_TARGET
from evolve.reports.grid import Grid, Head
from evolve.reports.standing import STANDINGS, Standing, standing

Key = float | str | None
OF_ERROR, OF_MEAN = 2, 5  # digits that are shown of a standard error, and at most of a mean
BY = 60  # characters of the name of an operator
LONG_NAME = 9  # columns; a longer name of an objective is broken at its underscores


@dataclass(frozen=True)
class Column:
    """`key` is what is sorted by, best first: `falling` if more is better; those without one come last."""

    name: str
    header: str
    text: Callable[[Candidate], str]
    key: Callable[[Candidate], Key]
    falling: bool = False
    words: bool = False  # may be broken into lines; a number may not
    out: int = 0  # where there is no room, columns with the highest are left out first; those with 0 never


def decimals(values: Iterable[Estimate]) -> int:
    """Digits after the point for numbers that are compared: two of their standard error, at most five of the mean."""
    values = list(values)
    means = [abs(v.mean) for v in values if v.mean]
    errors = [v.sem for v in values if v.sem]
    most = [OF_MEAN - 1 - _magnitude(median(means))] if means else [OF_MEAN - 1]
    return max(0, min(most + ([OF_ERROR - 1 - _magnitude(median(errors))] if errors else [])))


def _magnitude(value: float) -> int:
    """The exponent of its first digit."""
    return math.floor(math.log10(value))


def number(value: Estimate | None, digits: int | None = None) -> str:
    """`3.1415±0.0012`: mean and standard error; `<` before a censored mean. `digits` after the point, or `decimals`."""
    if value is None:
        return "-"
    digits = decimals([value]) if digits is None else digits
    error = f"±{value.sem:.{digits}f}" if value.sem is not None else ""
    return f"{'<' if value.censored else ''}{value.mean:.{digits}f}{error}"


def with_error(value: Estimate | None, digits: int | None = None) -> str:
    """`3.1415±0.0012 (3)`: as `number`, with n."""
    return "-" if value is None else f"{number(value, digits)} ({value.n})"


@cache
def lines_changed(before: str, after: str) -> int:
    """Lines added plus lines removed."""
    blocks = SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False).get_opcodes()
    return sum((i2 - i1) + (j2 - j1) for kind, i1, i2, j1, j2 in blocks if kind != "equal")


def estimate(candidate: Candidate, name: str) -> Estimate | None:
    return candidate.fitness.values.get(name) if candidate.fitness else None


def columns(history: History) -> list[Column]:
    """All that there are; the objectives of the run are among them. Needs a measured seed."""
    seed, budget = history.seed, float(history.header["settings"]["budget"])
    assert seed is not None
    metrics = {"tokens/s": ("tok/s", "tokens_per_second", True, 5), "memory": ("MB", "peak_memory_mb", False, 6)}

    def changed(candidate: Candidate) -> int:
        return lines_changed(seed.genome.source, candidate.genome.source)

    def sooner(candidate: Candidate) -> Estimate | None:
        seconds = estimate(candidate, SECONDS_TO_TARGET)
        return Estimate(budget / seconds.mean, seconds.n, None, seconds.censored) if seconds and seconds.mean else None

    first, *others = [_of_objective(history, o) for o in history.search.objectives]
    named = {o.name for o in history.search.objectives}
    return [
        Column("id", "id", lambda c: c.id if c.index else "seed", lambda c: c.index),
        first,
        Column("n", "n", lambda c: str(_trainings(c) or "-"), _trainings, falling=True),
        *others,
        Column("speed-up", "speed\n-up", lambda c: _times(sooner(c)), lambda c: _mean(sooner(c)), falling=True, out=1),
        *(_of_metric(name, *about) for name, about in metrics.items() if about[1] not in named),
        Column("lines", "lines", lambda c: str(changed(c)), changed, out=3),
        Column("operator", "by", lambda c: cut(c.operator, BY), lambda c: c.operator, words=True, out=2),
        Column("parents", "of", lambda c: " ".join(c.parents) or "-", _first_parent, words=True, out=4),
        Column("status", "status", lambda c: standing(history, c) or "-", lambda c: _place(standing(history, c))),
    ]


def _of_objective(history: History, objective: Objective) -> Column:
    name = objective.name
    digits = decimals(e for c in history.candidates.values() if (e := estimate(c, name)))
    broken = name.replace("_", "_\n") if len(name) > LONG_NAME else name
    header = "s to\ntarget" if name == SECONDS_TO_TARGET else broken
    return Column(
        name,
        header,
        lambda c: number(estimate(c, name), digits),
        lambda c: _mean(estimate(c, name)),
        objective.direction == "maximize",
    )


def _of_metric(name: str, header: str, metric: str, falling: bool, out: int) -> Column:
    def text(candidate: Candidate) -> str:
        return _short(candidate.metrics[metric]) if metric in candidate.metrics else "-"

    return Column(name, header, text, lambda c: c.metrics.get(metric), falling, out=out)


def _short(value: float) -> str:
    """Three digits and a unit, where that is shorter."""
    if value < 9_999.5:
        return f"{value:,.0f}"
    scaled, unit = (value / 1e3, "k") if value < 999_500 else (value / 1e6, "M")
    return f"{scaled:,.{0 if scaled >= 99.95 else 1 if scaled >= 9.995 else 2}f}{unit}"


def _trainings(candidate: Candidate) -> int | None:
    """At the full budget."""
    return min((e.n for e in candidate.fitness.values.values()), default=None) if candidate.fitness else None


def _mean(value: Estimate | None) -> float | None:
    return value.mean if value else None


def _times(value: Estimate | None) -> str:
    return f"{'>' if value.censored else ''}{value.mean:.2f}x" if value else "-"


def _first_parent(candidate: Candidate) -> int | None:
    return int(candidate.parents[0]) if candidate.parents else None


def _place(found: Standing | None) -> int | None:
    return STANDINGS.index(found) if found else None


def ordered(rows: Sequence[Candidate], columns: Sequence[Column], by: str) -> list[Candidate]:
    """Best first by the column called `by`; who has no value there comes last. Raises `ConfigError` without it."""
    column = next((c for c in columns if c.name == by), None)
    if column is None:
        raise ConfigError(f"no column {by!r} to sort by: choose from {', '.join(c.name for c in columns)}")
    keyed = [(column.key(c), c) for c in rows]
    known = sorted(((k, c) for k, c in keyed if k is not None), key=lambda pair: pair[0], reverse=column.falling)
    return [c for _, c in known] + [c for k, c in keyed if k is None]


def grid_of(rows: Sequence[Candidate], yardstick: Candidate, columns: Sequence[Column], by: str = "") -> Grid:
    """A row for each candidate, and below a line the one that they are compared with; `by`, if given, stays."""
    heads = [
        Head(
            column.header,
            left=column.words or column.name in ("id", "status"),
            breaks="anywhere" if column.words else "never",
            out=0 if column.name == by else column.out,
            name=column.name,
        )
        for column in columns
    ]
    cells = [[column.text(candidate) for column in columns] for candidate in (*rows, yardstick)]
    return Grid(heads, cells[:-1], cells[-1:])
