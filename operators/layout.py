"""A program as nested pieces of text: statements with the comments above them, cut at line ends.

Positions come from `ast`, which parses ten times faster than libcst; the pieces are slices of the source, so joining
them gives it back byte for byte and whatever an operator leaves alone keeps its formatting by construction. Only lines
are cut: statements joined by `;` stay together, and so does a statement with several blocks (`if`/`else`, `try`).
It does not name the pieces (`addresses`), change them (`edits`) or compare them (`diff`, `merge`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

from operators.syntax import parse

Kind = Literal["def", "class", "assign", "import", "doc", "block", "banner", "other"]

RULER = re.compile(r"#\s*([-=#*~])\1{2,}")
LINE = re.compile(r"[^\n]*\n|[^\n]+")


@dataclass(frozen=True)
class Statement:
    """A statement as text. A `banner` is a ruled comment that opens a section, kept as a piece of its own.

    `gap` is what stands before: blank lines and comments followed by a blank line. `head` starts with the comments
    right above the statement; if the statement has a `body`, `head` ends where the body begins. `tail` holds comments
    that close the body. `name` is what it defines, assigns, imports from or, failing these, first binds or mentions.
    """

    kind: Kind
    name: str
    gap: str
    head: str
    body: tuple[Statement, ...] = ()
    tail: str = ""

    @cached_property
    def text(self) -> str:
        """The statement without its gap."""
        return self.head + render(self.body) + self.tail


class Layout(NamedTuple):
    """The statements of a file and what follows the last one."""

    statements: tuple[Statement, ...]
    tail: str


@lru_cache(maxsize=64)
def layout(source: str) -> Layout:
    """Cut `source` into statements. Raises SyntaxError."""
    reader = _Reader(LINE.findall(source))
    statements, end = reader.block(parse(source).body, 0, len(reader.lines))
    return Layout(statements, reader.slice(end, len(reader.lines)))


def render(statements: Sequence[Statement]) -> str:
    """The text of consecutive statements, the gap of the first included."""
    return "".join(s.gap + s.text for s in statements)


class _Reader:
    """Cuts lines (numbered from 0, ends excluded) along the positions of syntax nodes."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def slice(self, start: int, end: int) -> str:
        return "".join(self.lines[start:end])

    def block(self, nodes: Sequence[ast.stmt], start: int, limit: int) -> tuple[tuple[Statement, ...], int]:
        """The statements of the block that begins in line `start`, and the line after the last of them.

        `limit` is the first line that may not belong to it.
        """
        units = _units(nodes)
        limits = [*(_first_line(unit[0]) for unit in units), limit][1:]
        found: list[Statement] = []
        for unit, stop in zip(units, limits, strict=True):
            first = _first_line(unit[0])
            if unit[0].col_offset == 0:
                start = self.banners(start, first, found)
            comment = first
            while comment > start and self.lines[comment - 1].lstrip().startswith("#"):
                comment -= 1
            statement, end = self.statement(unit, (start, comment, stop), documented=not found)
            found.append(statement)
            start = end
        return tuple(found), start

    def banners(self, start: int, end: int, found: list[Statement]) -> int:
        """Add the banners between lines `start` and `end` to `found`; returns the line after the last."""
        line = start
        while line < end:
            block = line
            while line < end and self.lines[line].startswith("#"):
                line += 1
            comments = self.lines[block:line]
            if any(RULER.match(text) for text in comments):
                found.append(Statement("banner", _title(comments), self.slice(start, block), "".join(comments)))
                start = line
            line = max(line, block + 1)
        return start

    def statement(self, unit: list[ast.stmt], cut: tuple[int, int, int], documented: bool) -> tuple[Statement, int]:
        """The statement and the line after it; `cut` is where its gap and its comments begin and where it must end."""
        start, comment, limit = cut
        node, end = unit[0], _end_line(unit[-1])
        kind, name = _identify(node, documented) if len(unit) == 1 else ("other", _mentioned(node))
        gap = self.slice(start, comment)
        opening = self.opening(node) if len(unit) == 1 else None
        if opening is None:
            return Statement(kind, name, gap, self.slice(comment, end)), end
        nodes, inner = opening
        body, end = self.block(nodes, inner, end)
        tail = end
        for line in range(end, limit):
            text = self.lines[line].lstrip()
            if text.startswith("#") and len(self.lines[line]) - len(text) > node.col_offset:
                tail = line + 1
        kind = "block" if kind == "other" else kind
        return Statement(kind, name, gap, self.slice(comment, inner), body, self.slice(end, tail)), tail

    def opening(self, node: ast.stmt) -> tuple[list[ast.stmt], int] | None:
        """The only block of a compound statement and the line after its header; None where there is no such block."""
        nodes = getattr(node, "body", None)
        if not nodes or any(getattr(node, other, None) for other in ("orelse", "handlers", "finalbody")):
            return None
        first = _first_line(nodes[0])
        if self.lines[first][: nodes[0].col_offset].strip(" \t@"):
            return None
        while self.lines[first - 1].strip() == "" or self.lines[first - 1].lstrip().startswith("#"):
            first -= 1
        return nodes, first


def _units(nodes: Sequence[ast.stmt]) -> list[list[ast.stmt]]:
    """Statements grouped so that no two groups share a line."""
    units: list[list[ast.stmt]] = []
    for node in nodes:
        if units and _first_line(node) < _end_line(units[-1][-1]):
            units[-1].append(node)
        else:
            units.append([node])
    return units


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)]) - 1


def _end_line(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _title(comments: Sequence[str]) -> str:
    """`# ---- / # Training loop (5 min)` to `training_loop`: the first words in the block, up to punctuation."""
    for text in comments:
        words = re.search(r"[^\W_][^,.:;()\[\]=#*~]*", text)
        if words:
            return "_".join(re.findall(r"[^\W_]+", re.split(r"\s-|--", words[0])[0].lower()))
    return "section"


def _identify(node: ast.stmt, documented: bool) -> tuple[Kind, str]:
    """Kind and name; `documented` says that a string here is a docstring."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return "def", node.name
        case ast.ClassDef():
            return "class", node.name
        case ast.ImportFrom():
            return "import", f"from {'.' * node.level}{node.module or ''}"
        case ast.Import():
            return "import", ast.unparse(node)
        case ast.Expr(value=ast.Constant(value=str())) if documented:
            return "doc", "docstring"
        case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
            return "assign", target.id if isinstance(target, ast.Name) else ast.unparse(target)
        case ast.Return():
            return "other", "return"
        case _:
            return "other", _mentioned(node)


def _mentioned(node: ast.stmt) -> str:
    """The first name that a statement binds, else the first that it reads; `main` for the `__name__` idiom."""
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
    if isinstance(node, ast.If) and any(n.id == "__name__" for n in ast.walk(node.test) if isinstance(n, ast.Name)):
        return "main"
    bound = [n.id for n in names if isinstance(n.ctx, ast.Store)]
    return (bound or [n.id for n in names] or ["code"])[0]
