"""Names that a program uses without ever binding them, or before: the accidents of careless edits.

Scopes are resolved by `symtable`, exactly as the compiler does it. Attributes and calls are `references`' business.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from operators.syntax import nodes, parse

BUILTIN = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__"}


class Use(NamedTuple):
    """A name and the line (from 1) where it is used."""

    name: str
    line: int


@lru_cache(maxsize=64)
def undefined(source: str) -> tuple[Use, ...]:
    """Global names that nothing binds, with their first uses, by line. Raises SyntaxError."""
    table = symtable.symtable(source, "<candidate>", "exec")
    bound = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()} | BUILTIN
    used: set[str] = set()
    for scope in _scopes(table):
        for symbol in scope.get_symbols():
            if symbol.is_declared_global() and symbol.is_assigned():
                bound.add(symbol.get_name())
            if symbol.is_referenced() and (symbol.is_global() or scope is table):
                used.add(symbol.get_name())
    missing = used - bound
    return _first_uses(source, missing) if missing else ()


@lru_cache(maxsize=64)
def premature(source: str) -> tuple[Use, ...]:
    """Global names that a top-level statement uses as it runs, although only later ones bind them, by line.

    What a function's body uses is not counted: it runs when the function is called, and may set what it calls global.
    """
    running = [list(_running(statement)) for statement in parse(source).body]
    bound = [set(_bound(evaluated)) for evaluated in running]
    set_by_calls = {name for node in nodes(source) if isinstance(node, ast.Global) for name in node.names}
    later: set[str] = set().union(*bound) - BUILTIN - set_by_calls
    found: dict[str, Use] = {}
    for evaluated, names in zip(running, bound, strict=True):
        later -= names
        for node in evaluated:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in later:
                found.setdefault(node.id, Use(node.id, node.lineno))
    return tuple(sorted(found.values(), key=lambda use: use.line))


@lru_cache(maxsize=64)
def bindings(source: str) -> dict[str, int]:
    """The line of the first top-level statement that binds each global name. Raises SyntaxError."""
    found: dict[str, int] = {}
    for statement in parse(source).body:
        for name in _bound(_running(statement)):
            found.setdefault(name, statement.lineno)
    return found


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _scopes(child)


def _first_uses(source: str, names: set[str]) -> tuple[Use, ...]:
    first: dict[str, Use] = {}
    for node in nodes(source):
        if isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load | ast.Del):
            use = Use(node.id, node.lineno)
            first[node.id] = min(first.get(node.id, use), use, key=lambda u: u.line)
    return tuple(sorted(first.values(), key=lambda use: use.line))


def _bound(evaluated: Iterable[ast.AST]) -> Iterator[str]:
    """The names that these nodes bind: generously, the targets of comprehensions among them."""
    for node in evaluated:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler) and node.name:
            yield node.name


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """A node and what is evaluated with it: of functions the decorators and defaults, not the bodies."""
    yield node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        inner: list[ast.AST] = [*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d)]
    elif isinstance(node, ast.Lambda):
        inner = [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]
    else:
        inner = list(ast.iter_child_nodes(node))
    for child in inner:
        yield from _running(child)
