"""Apply edits to a program at named places. Everything else stays byte for byte as it was.

The text is spliced along `layout`; only `rename` walks a libcst tree, because it alone sees the names inside
f-strings at their true places. It checks that the result compiles, not that it makes sense (`guard`).

Code of an edit is indented to its place unless it already is. It takes over the blank lines of its place, unless it
starts with a blank line or with a comment set off by one: then it brings its own.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from evolve.model import Edit
from operators.addresses import FILE, EditError, Place, body_at, find
from operators.layout import LINE, Statement, layout, render
from operators.rename import rename
from operators.syntax import nodes

Body = tuple[Statement, ...]


def apply(source: str, edits: Sequence[Edit]) -> str:
    """The program after the edits, made one after the other, so that each sees the addresses left by those before.

    Raises EditError where an address is unknown, code does not parse, a definition is replaced by something else,
    or the result does not compile.
    """
    text = source if source.endswith("\n") or not edits else source + "\n"
    for edit in edits:
        try:
            text = _apply(text, edit)
        except SyntaxError as error:
            raise EditError(f"the program does not parse, line {error.lineno}: {error.msg}") from error
    _check_compiles(text)
    return text


def _check_compiles(source: str) -> None:
    """Raise EditError if the program does not compile; unlike a parser this finds `return` outside a function."""
    try:
        compile(source, "<candidate>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f", line {line} ({source.splitlines()[line - 1].strip()!r})" if line else ""
        raise EditError(f"the edited program does not compile{where}: {getattr(error, 'msg', error)}") from error


def _apply(source: str, edit: Edit) -> str:
    code = edit.code.replace("\r\n", "\n")
    if edit.target == FILE:
        if edit.op != "replace":
            raise EditError(f"{FILE} can only be replaced; give {edit.op} an address within the file")
        return code
    place = find(source, edit.target)
    if edit.op == "rename":
        return rename(source, edit.target, code.strip())
    statements, tail = layout(source)
    body = body_at(statements, place.path)
    if edit.op == "delete":
        body = _deleted(body, place)
    else:
        body = _changed(body, place, edit, _parsed(code, edit, _indent(body[place.start])))
    return render(_with_body(statements, place.path, body)) + tail


def _changed(body: Body, place: Place, edit: Edit, new: Body) -> Body:
    before, old, after = body[: place.start], body[place.start : place.stop], body[place.stop :]
    inside = bool(place.path)
    first = new[0]
    match edit.op:
        case "replace":
            _check_defines(edit, old[0], new)
            return (*before, replace(first, gap=first.gap or old[0].gap), *new[1:], *after)
        case "insert_before" if first.gap:
            return (*before, *new, *old, *after)
        case "insert_before":
            gap = old[0].gap or separation(before[-1] if before else None, first, inside)
            head = replace(old[0], gap=separation(new[-1], old[0], inside))
            return (*before, replace(first, gap=gap), *new[1:], head, *old[1:], *after)
        case "insert_after":
            gap = first.gap or separation(old[-1], first, inside)
            if after and not after[0].gap:
                after = (replace(after[0], gap=separation(new[-1], after[0], inside)), *after[1:])
            return (*before, *old, replace(first, gap=gap), *new[1:], *after)
        case _:
            raise EditError(f"unknown operation {edit.op!r}; use replace, insert_before, insert_after, delete, rename")


def _deleted(body: Body, place: Place) -> Body:
    """What follows takes over the blank lines if it has none of its own."""
    before, old, after = body[: place.start], body[place.start : place.stop], body[place.stop :]
    if place.path and not before and not after:
        owner = place.address.rpartition(".")[0]
        raise EditError(f"{place.address} is all that {owner} holds; delete {owner} instead")
    if after and not after[0].gap:
        after = (replace(after[0], gap=old[0].gap), *after[1:])
    return (*before, *after)


def separation(previous: Statement | None, following: Statement, inside: bool) -> str:
    """The blank lines between two statements by PEP 8; `inside` a class there is one, not two."""
    if previous is None or previous.kind == "banner":
        return ""
    if {"def", "class"} & {previous.kind, following.kind}:
        return "\n" if inside else "\n\n"
    return "\n" if following.kind == "banner" else ""


def _check_defines(edit: Edit, old: Statement, new: Body) -> None:
    """A definition or constant is replaced by code that defines the same name: else its users are left behind."""
    if old.kind not in ("def", "class", "assign") or edit.target.rpartition(".")[2].startswith("@"):
        return
    if old.name not in {s.name for s in new if s.kind in ("def", "class", "assign")}:
        raise EditError(
            f"the code for {edit.target} does not define {old.name!r}; give the definition alone, with its name, "
            f"or use rename or delete"
        )


def _parsed(code: str, edit: Edit, indent: str) -> Body:
    """The statements of an edit's code, indented. Raises EditError where it does not parse or is empty."""
    where = f"the code of {edit.op} at {edit.target}"
    text = code if not code or code.endswith("\n") else code + "\n"
    try:
        text = _indented(text, indent)
        statements, tail = layout(f"if 1:\n{text}" if indent else text)
    except SyntaxError as error:
        raise EditError(f"{where} does not parse, line {(error.lineno or 1) - bool(indent)}: {error.msg}") from error
    if indent and statements:
        tail = statements[0].tail + tail
        statements = statements[0].body
    if not statements or all(s.kind == "banner" for s in statements):
        raise EditError(f"{where} holds no statement; use delete to remove code")
    return (*statements[:-1], replace(statements[-1], tail=statements[-1].tail + tail))


def _indented(code: str, indent: str) -> str:
    """Code moved to an indentation. Lines within strings that are no docstrings stay where they are."""
    first = next((line for line in code.splitlines() if line.strip() and not line.lstrip().startswith("#")), "")
    present = first[: len(first) - len(first.lstrip())]
    if present == indent:
        return code
    lines = LINE.findall(code)
    if present:
        lines = [line.removeprefix(present) for line in lines]
    fixed = _string_lines("".join(lines))
    return "".join(line if number in fixed or not line.strip() else indent + line for number, line in enumerate(lines))


def _string_lines(code: str) -> set[int]:
    """Lines (from 0) that begin within a string, docstrings aside."""
    every = nodes(code)
    docstrings = {id(node.value) for node in every if isinstance(node, ast.Expr)}
    strings = (n for n in every if isinstance(n, ast.Constant | ast.JoinedStr) and id(n) not in docstrings)
    return {
        line
        for s in strings
        if isinstance(s, ast.JoinedStr) or isinstance(s.value, str)
        for line in range(s.lineno, s.end_lineno or s.lineno)
    }


def _indent(statement: Statement) -> str:
    line = next(line for line in statement.head.splitlines() if line.strip())
    return line[: len(line) - len(line.lstrip())]


def _with_body(statements: Body, path: Sequence[int], body: Body) -> Body:
    """The statements with the body at `path` exchanged."""
    if not path:
        return body
    owner = statements[path[0]]
    changed = replace(owner, body=_with_body(owner.body, path[1:], body))
    return (*statements[: path[0]], changed, *statements[path[0] + 1 :])
