"""Names for places in a program, free of line numbers, so that they survive edits elsewhere.

    GPT.forward     a method; `Config.lr`, a field; `GPT.@name`, loose statements of a class body
    GPT             a whole class, its header and docstring included
    train_step      a function
    LEARNING_RATE   an assignment to one upper-case name at top level
    @imports        a run of import statements;  @docstring, the module's docstring
    @training_loop  other top-level statements in a row: named by the ruled comment above them, else by the first name
                    that they bind;  @main, the `if __name__ == "__main__"` idiom
    @file           the whole text

Each top-level statement belongs to exactly one address, and an address is one run of statements. A name that occurs
again gets `.2`, `.3`. Function bodies are not divided.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from operators.layout import Statement, layout, render

FILE = "@file"


class EditError(Exception):
    """An edit that cannot be made. The message says which, why, and what would do."""


class Place(NamedTuple):
    """Where an address is: the statements `start` to `stop` of the body found by following the indices of `path`."""

    address: str
    path: tuple[int, ...]
    start: int
    stop: int


@lru_cache(maxsize=64)
def places(source: str) -> dict[str, Place]:
    """All places of a program by address, in the order of the text. Raises SyntaxError."""
    found: dict[str, Place] = {}
    for place in _walk(layout(source).statements, "", ()):
        address, count = place.address, 1
        while address in found:
            count += 1
            address = f"{place.address}.{count}"
        found[address] = place._replace(address=address)
    return found


def addresses(source: str) -> tuple[str, ...]:
    """All addresses but `@file`, in the order of the text. Raises SyntaxError."""
    return tuple(places(source))


def find(source: str, address: str) -> Place:
    """The place of an address. Raises EditError naming the valid ones, the most similar first."""
    known = places(source)
    if address in known:
        return known[address]
    similar = difflib.get_close_matches(address, known, n=5, cutoff=0.3)
    valid = [*similar, *(a for a in known if a not in similar), FILE]
    raise EditError(f"no address {address!r}; valid are: {', '.join(valid)}")


def statements_at(source: str, place: Place) -> tuple[Statement, ...]:
    """The statements of a place."""
    return body_at(layout(source).statements, place.path)[place.start : place.stop]


def body_at(statements: tuple[Statement, ...], path: Sequence[int]) -> tuple[Statement, ...]:
    """The body found by following indices."""
    for index in path:
        statements = statements[index].body
    return statements


def read(source: str, address: str) -> str:
    """The code at an address, indented as it stands. Raises EditError for an unknown address."""
    if address == FILE:
        return source
    statements = statements_at(source, find(source, address))
    return statements[0].text + render(statements[1:])


def address_at(source: str, line: int) -> str:
    """The innermost address of a line (counted from 1); `@file` where there is none."""
    innermost = FILE
    for address, (start, end) in line_spans(source).items():
        if start <= line < end:
            innermost = address
    return innermost


@lru_cache(maxsize=64)
def line_spans(source: str) -> dict[str, tuple[int, int]]:
    """First line and line after the last of each address, counted from 1, comments right above included."""
    starts: dict[tuple[int, ...], int] = {}

    def number(statements: Sequence[Statement], path: tuple[int, ...], line: int) -> None:
        for index, statement in enumerate(statements):
            line += statement.gap.count("\n")
            starts[*path, index] = line
            number(statement.body, (*path, index), line + statement.head.count("\n"))
            line += statement.text.count("\n")

    number(layout(source).statements, (), 1)
    spans: dict[str, tuple[int, int]] = {}
    for place in places(source).values():
        last = statements_at(source, place)[-1].text
        end = starts[*place.path, place.stop - 1] + last.count("\n") + (not last.endswith("\n"))
        spans[place.address] = starts[*place.path, place.start], end
    return spans


def is_constant(statement: Statement) -> bool:
    """Whether a statement assigns to one upper-case name."""
    return statement.kind == "assign" and statement.name.isidentifier() and statement.name.isupper()


def _walk(statements: Sequence[Statement], prefix: str, path: tuple[int, ...]) -> Iterator[Place]:
    """Places of one body, in order. A section's title names the first loose run that follows it."""
    start, title = 0, ""
    while start < len(statements):
        statement = statements[start]
        if statement.kind == "banner":
            title = statement.name
        own = _own_name(statement, inside=bool(prefix))
        stop = start + 1
        if statement.kind == "import" or own is None:
            while stop < len(statements) and _own_name(statements[stop], inside=bool(prefix)) == own:
                stop += 1
        if own is None:
            first = _first_name(statements[start:stop])
            own = f"@{title or first}" if first != "main" else "@main"
            title = ""
        if own:
            yield Place(prefix + own, path, start, stop)
        if statement.kind == "class":
            yield from _walk(statement.body, f"{prefix}{statement.name}.", (*path, start))
        start = stop


def _own_name(statement: Statement, inside: bool) -> str | None:
    """The address that a statement has by itself; "" where it has none, None where it joins its neighbours."""
    if statement.kind in ("def", "class") or is_constant(statement):
        return statement.name
    if statement.kind == "banner" or (inside and statement.kind == "doc"):
        return ""
    if statement.kind == "import":
        return "@imports"
    if statement.kind == "doc":
        return "@docstring"
    return statement.name if inside and statement.kind == "assign" and statement.name.isidentifier() else None


def _first_name(statements: Sequence[Statement]) -> str:
    """The first identifier in the names of statements."""
    found = (re.search(r"[^\W\d]\w*", s.name) for s in statements)
    return next((match[0] for match in found if match), "code")
