"""Import statements as sets of names."""

from __future__ import annotations

import ast
from dataclasses import replace

from operators.layout import Statement, layout, render
from operators.syntax import parse

MAX_LINE = 120


def merged_import(base: Statement | None, left: Statement, right: Statement) -> str:
    """Three-way merge of imports from one module: the names that both kept and those that either added.

    Comments above the statement are `left`'s. "" if no name is left.
    """
    before, ours, theirs = (_imported(s) for s in (base, left, right))
    kept = [n for n in ours if n in theirs or n not in before] + [n for n in theirs if n not in (*before, *ours)]
    if not kept:
        return ""
    comments = left.head[: left.head.index(left.name)]
    line = f"{left.name} import {', '.join(kept)}\n"
    if len(line) > MAX_LINE:
        line = f"{left.name} import (\n" + "".join(f"    {name},\n" for name in kept) + ")\n"
    return comments + line


def import_of(source: str, name: str) -> Statement | None:
    """The top-level import that binds `name`, for that name alone. Raises SyntaxError."""
    for node in parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name.partition(".")[0]) == name:
                    return layout(_import_line(node, alias)).statements[0]
    return None


def _import_line(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    """The import of one of the names."""
    if isinstance(node, ast.Import):
        return f"import {ast.unparse(alias)}\n"
    return f"from {'.' * node.level}{node.module or ''} import {ast.unparse(alias)}\n"


def with_import(source: str, wanted: Statement) -> str:
    """The program with one more import: joined to one from the same module, else after the last one."""
    statements, tail = layout(source)
    for index, statement in enumerate(statements):
        if statement.kind == "import" and statement.name == wanted.name:
            joined = statement
            if wanted.name.startswith("from"):
                joined = replace(statement, head=merged_import(None, statement, wanted))
            return render((*statements[:index], joined, *statements[index + 1 :])) + tail
    ends = [i + 1 for i, s in enumerate(statements) if s.kind == "import"]
    end = ends[-1] if ends else int(bool(statements) and statements[0].kind == "doc")
    return render((*statements[:end], wanted, *statements[end:])) + tail


def _imported(statement: Statement | None) -> list[str]:
    """`name` or `name as other` for each name of a from-import."""
    node = parse(statement.text).body[0] if statement else None
    return [ast.unparse(alias) for alias in node.names] if isinstance(node, ast.ImportFrom) else []
