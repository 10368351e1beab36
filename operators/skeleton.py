"""The skeleton of a program: a digest of its normalised syntax tree with the values of knobs blanked.

Formatting, comments, docstrings and the way a number is written are normalised away. Names are not: a renamed local
variable is another skeleton.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from evolve.model import digest
from operators.layout import LINE
from operators.syntax import parse

Span = tuple[int, int, int, int]


def skeleton(source: str, knobs: Mapping[str, Span]) -> str:
    """Digest of the tree of `source` without the values of `knobs`, given by address. Raises SyntaxError.

    A span is (line, column, end line, end column), lines from 1, columns in characters from 0, end excluded.
    """
    lines = [] if source.isascii() else LINE.findall(source)
    spans = {(*_in_bytes(lines, *span[:2]), *_in_bytes(lines, *span[2:])) for span in knobs.values()}
    return digest(_shape(parse(source), spans))


def _in_bytes(lines: list[str], line: int, column: int) -> tuple[int, int]:
    """A position as `ast` counts; no lines are given where bytes and characters are the same."""
    return line, len(lines[line - 1][:column].encode()) if lines else column


def _shape(part: object, knobs: set[Span]) -> str:
    """A node, or what a field of one holds, as text: without positions, docstrings and the values of knobs."""
    if isinstance(part, list):
        return f"[{','.join(_shape(item, knobs) for item in part)}]"
    if not isinstance(part, ast.AST):
        return repr(part)
    if isinstance(part, ast.expr):
        span = part.lineno, part.col_offset, part.end_lineno or part.lineno, part.end_col_offset or 0
        if span in knobs:
            return "knob"
    fields = {name: getattr(part, name, None) for name in part._fields}
    if (
        isinstance(part, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(part, clean=False) is not None
    ):
        fields["body"] = part.body[1:] or [ast.Pass()]
    return f"{type(part).__name__}({','.join(_shape(value, knobs) for value in fields.values())})"
