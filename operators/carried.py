"""Whether a program still carries what an edit brought into another one: the question behind a quarantine.

It is answered for code, not for text: comments, docstrings, formatting and the values of numbers do not count, except
for numbers that are structure (indices, comparisons, exponents, remainders). Code is compared statement by statement,
and half of what was brought in is enough, so that a child is not acquitted for having changed one line of it. A program
that does the same in other words is not recognised: it has to be caught anew.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import lru_cache
from textwrap import dedent

from evolve.model import Edit
from operators.addresses import FILE, addresses, read
from operators.syntax import parse

ENOUGH = 0.5  # of the statements that an edit brought in
_NUMBER = "_number"
_NOTHING = (ast.Pass, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal)  # do nothing by themselves


def carries(source: str, edit: Edit, known: Sequence[str] = ()) -> bool:
    """Whether `source` has what `edit` brought in; code that one of the programs `known` has too is not counted.

    `known` are the programs that the edit was made to. A deletion is carried where its target is missing, a renaming
    where its new name is there. A program or code that does not parse is compared as text.
    """
    if edit.op == "delete":
        return _lacks(source, edit.target) and not any(_lacks(other, edit.target) for other in known)
    if edit.op == "rename":
        owner, dot, _ = edit.target.rpartition(".")
        address = f"{owner}{dot}{edit.code.strip()}"
        return _has(source, address) and not any(_has(other, address) for other in known)
    brought = statements(edit.code)
    for other in known:
        brought = brought - _there(other, edit)
    if brought:
        return len(brought & _there(source, edit)) >= ENOUGH * len(brought)
    if statements(edit.code):
        return False
    text = edit.code.strip()
    return bool(text) and text in source and not any(text in other for other in known)


@lru_cache(maxsize=1024)
def statements(code: str) -> frozenset[str]:
    """The statements of a piece of code in a normal form, each block's header apart from what is in it.

    Empty for what does not parse.
    """
    try:
        tree = deepcopy(parse(dedent(code)))  # which is written on
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    return frozenset(_flat(tree.body))


def _there(source: str, edit: Edit) -> frozenset[str]:
    """The statements of `source` among which code of an edit is looked for: all of them, unless its place is there."""
    if edit.op == "replace" and edit.target != FILE and _has(source, edit.target):
        return statements(read(source, edit.target))
    return statements(source)


def _has(source: str, address: str) -> bool:
    try:
        return address in addresses(source)
    except (SyntaxError, ValueError):
        return False


def _lacks(source: str, address: str) -> bool:
    """Whether a program that can be read has no such place."""
    try:
        parse(source)
    except (SyntaxError, ValueError):
        return False
    return not _has(source, address)


def _flat(body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, _NOTHING) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            continue
        parts = [node, *getattr(node, "handlers", []), *getattr(node, "cases", [])]
        blocks = [getattr(part, name, None) for part in parts for name in ("body", "orelse", "finalbody")]
        yield _written(node)
        for block in filter(None, blocks):
            yield from _flat(block)


def _written(node: ast.stmt) -> str:
    """A statement as text, a compound one without its blocks."""
    bare = deepcopy(node) if not hasattr(node, "body") else _header(node)
    return ast.unparse(ast.fix_missing_locations(_Blank().visit(bare)))


def _header(node: ast.stmt) -> ast.stmt:
    """A compound statement whose blocks are empty."""
    emptied = {"body": [ast.Pass()], "orelse": [], "finalbody": [], "handlers": [], "cases": []}
    fields = {name: emptied.get(name, value) for name, value in ast.iter_fields(node)}
    if isinstance(node, ast.Try | ast.TryStar):
        fields["finalbody"] = [ast.Pass()]
    return deepcopy(type(node)(**fields))


class _Blank(ast.NodeTransformer):
    """Leaves out the values of numbers that are not structure."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
        return ast.Name(_NUMBER, ast.Load()) if number else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        node.value = self.visit(node.value)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        node.left = self.visit(node.left)
        if not isinstance(node.op, ast.Pow | ast.Mod):
            node.right = self.visit(node.right)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        """A negative number is a number."""
        operand = self.visit(node.operand)
        return operand if isinstance(operand, ast.Name) and operand.id == _NUMBER else ast.UnaryOp(node.op, operand)
