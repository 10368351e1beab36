"""The skeleton of a program: a digest of its normalised syntax tree with the values of knobs blanked.

Formatting, comments, docstrings and the way a number is written are normalised away. Names are not: a renamed local
variable is another skeleton.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from evolve.model import digest
from operators.layout import LINE

Span = tuple[int, int, int, int]


def skeleton(source: str, knobs: Mapping[str, Span]) -> str:
    """Digest of the tree of `source` without the values of `knobs`, given by address. Raises SyntaxError.

    A span is (line, column, end line, end column), lines from 1, columns in characters from 0, end excluded.
    """
    lines = [] if source.isascii() else LINE.findall(source)
    spans = {(*_in_bytes(lines, *span[:2]), *_in_bytes(lines, *span[2:])) for span in knobs.values()}
    return digest(ast.dump(_Normaliser(spans).visit(ast.parse(source))))


def _in_bytes(lines: list[str], line: int, column: int) -> tuple[int, int]:
    """A position as `ast` counts; no lines are given where bytes and characters are the same."""
    return line, len(lines[line - 1][:column].encode()) if lines else column


class _Normaliser(ast.NodeTransformer):
    """Takes out docstrings and the values of knobs."""

    def __init__(self, knobs: set[Span]) -> None:
        self.knobs = knobs

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.expr):
            span = node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or 0
            if span in self.knobs:
                return ast.Constant(value=None, kind="knob")
        elif (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)
