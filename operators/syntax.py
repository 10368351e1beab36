"""The one place where Python's own parser is called.

`ast.parse` of Python 3.11 counts the depth of its recursion in a variable that all threads share. If the garbage
collector runs Python code in the middle of a parse, another thread may begin a parse of its own there, and the first
one ends in `SystemError: AST constructor recursion depth mismatch`. Proposals are made in threads, so parses wait for
each other.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from threading import Lock

_ONE_AT_A_TIME = Lock()


@lru_cache(maxsize=32)
def parse(source: str) -> ast.Module:
    """The syntax tree of `source`. Raises SyntaxError, and ValueError for a NUL character.

    The tree is shared by all who ask for the same text: it is read, never changed.
    """
    with _ONE_AT_A_TIME:
        return ast.parse(source)


@lru_cache(maxsize=32)
def nodes(source: str) -> tuple[ast.AST, ...]:
    """All nodes of the tree of `source`, each before those within it. Raises as `parse` does."""
    return tuple(ast.walk(parse(source)))
