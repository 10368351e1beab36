"""Small edits that the transformations share: constants, imports, definitions, statements beside statements.

Every function returns a new tree and leaves the bytes of everything else as they were. What to edit, and whether
an edit makes sense, is the transformation's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TypeAlias

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue._tree import find, names, spliced

Statement: TypeAlias = cst.SimpleStatementLine | cst.BaseCompoundStatement

BLANK = cst.EmptyLine(indent=False)
_NO_MODULE = cst.Module([])
_FUTURE = m.SimpleStatementLine(body=[m.ImportFrom(module=m.Name("__future__"))])


def statements(code: str) -> list[Statement]:
    """`code` as a list of statements; comments above the first one are kept with it, blank lines are not."""
    parsed = cst.parse_module(code.strip("\n") + "\n")
    if not parsed.body:
        return []
    first, *rest = parsed.body
    return [first.with_changes(leading_lines=[*parsed.header, *first.leading_lines]), *rest]


def statement(code: str) -> Statement:
    """The one statement in `code`."""
    (only,) = statements(code)
    return only


def expression(code: str) -> cst.BaseExpression:
    """`code` as an expression."""
    return cst.parse_expression(code)


def text(node: cst.CSTNode) -> str:
    """The source of `node`, without surrounding whitespace."""
    return _NO_MODULE.code_for_node(node).strip()


def names_in_use(node: cst.CSTNode) -> set[str]:
    """Every identifier in `node`, attributes and keywords included: what a fresh name must avoid."""
    return set(names(node))


def fresh(module: cst.Module, name: str) -> str:
    """`name`, or `name_2`, `name_3` and so on: the first that the module does not use."""
    used = names_in_use(module)
    candidates = (name if i == 1 else f"{name}_{i}" for i in range(1, len(used) + 2))
    return next(c for c in candidates if c not in used)


def replace(module: cst.Module, old: cst.CSTNode, new: cst.CSTNode) -> cst.Module:
    """`old`, a node of this very tree, replaced by `new`. Nodes found before an edit are not in the tree after it."""
    return replace_all(module, {old: new})


def replace_all(module: cst.Module, changes: Mapping[cst.CSTNode, cst.CSTNode]) -> cst.Module:
    """Several nodes of this tree, none within another, replaced at once."""
    return spliced(module, {old: [new] for old, new in changes.items()})


def replace_statement(module: cst.Module, old: Statement, new: Sequence[Statement]) -> cst.Module:
    """The statement `old` of this tree replaced by `new`; what stood above it stands above the first new one."""
    if not new:
        return spliced(module, {old: []})
    first = new[0].with_changes(leading_lines=[*old.leading_lines, *new[0].leading_lines])
    return spliced(module, {old: [first, *new[1:]]})


def insert_before(module: cst.Module, anchor: Statement, code: str) -> cst.Module:
    """The statements in `code` put before the statement `anchor`, which keeps the comment right above it."""
    banner, own = _split(anchor.leading_lines)
    first, *rest = statements(code)
    first = first.with_changes(leading_lines=[*banner, *first.leading_lines])
    return spliced(module, {anchor: [first, *rest, anchor.with_changes(leading_lines=own)]})


def insert_after(module: cst.Module, anchor: Statement, code: str) -> cst.Module:
    """The statements in `code` put after the statement `anchor`."""
    return spliced(module, {anchor: [anchor, *statements(code)]})


def insert_definition(module: cst.Module, code: str, *, before: str) -> cst.Module:
    """Classes and functions in `code`, two blank lines around each, before the top-level definition `before`.

    A comment banner above `before` stays above the new ones. Raises Refused if there is no such definition.
    """
    anchor = definition(module, before)
    banner, own = _split(anchor.leading_lines)
    first, *rest = _spaced(code)
    first = first.with_changes(leading_lines=[*banner, *_split(first.leading_lines)[1]])
    return spliced(module, {anchor: [first, *rest, anchor.with_changes(leading_lines=[BLANK, BLANK, *own])]})


def append_definition(module: cst.Module, code: str, *, after: str) -> cst.Module:
    """Classes and functions in `code`, two blank lines above each, after the top-level definition `after`."""
    anchor = definition(module, after)
    return spliced(module, {anchor: [anchor, *_spaced(code)]})


def _spaced(code: str) -> list[Statement]:
    """The statements in `code`, each below two blank lines."""
    return [s.with_changes(leading_lines=[BLANK, BLANK, *_split(s.leading_lines)[1]]) for s in statements(code)]


def definition(module: cst.Module, name: str) -> cst.ClassDef | cst.FunctionDef:
    """The top-level class or function called `name`. Raises Refused if there is none."""
    for node in module.body:
        if isinstance(node, cst.ClassDef | cst.FunctionDef) and node.name.value == name:
            return node
    raise Refused(f"there is no top-level definition of `{name}`")


def add_constant(module: cst.Module, name: str, value: object, comment: str = "") -> cst.Module:
    """`NAME = value  # comment` after the longest run of upper-case constants, or after the imports if none.

    A string is taken as source text. Raises Refused if the module already binds the name.
    """
    if find(module, m.AssignTarget(m.Name(name)) | m.AnnAssign(target=m.Name(name))):
        raise Refused(f"the script already has a `{name}`")
    line = statement(f"{name} = {value}" + (f"  # {comment}" if comment else ""))
    place = _end_of_constants(module)
    if place == 0 or not _is_constant(module.body[place - 1]):
        line = line.with_changes(leading_lines=[BLANK])
    return module.with_changes(body=[*module.body[:place], line, *module.body[place:]])


def drop_unused(module: cst.Module, name: str) -> cst.Module:
    """Without the constant, or dataclass field, `name` if nothing else in the module mentions it."""
    assignment = m.Assign(targets=[m.AssignTarget(m.Name(name))]) | m.AnnAssign(target=m.Name(name))
    lines = find(module, m.SimpleStatementLine(body=[assignment]))
    if len(lines) != 1 or names(module).count(name) != 1:
        return module
    return spliced(module, {lines[0]: []})


def add_import(module: cst.Module, name: str) -> cst.Module:
    """`import name` at the head of the imports, unless it is there."""
    imports = [node for node in module.body if _is_import(node)]
    if any(text(node.with_changes(leading_lines=[])).split("  #")[0] == f"import {name}" for node in imports):
        return module
    anchor = next((node for node in imports if not m.matches(node, _FUTURE)), None)
    if anchor is None:
        raise Refused("the script imports nothing")
    return insert_before(module, anchor, f"import {name}")


def add_from_import(module: cst.Module, source: str, name: str) -> cst.Module:
    """`name` appended to the existing `from source import ...`, or such a line after the imports."""
    for node in find(module, m.ImportFrom()):
        assert isinstance(node, cst.ImportFrom)
        if node.module is None or text(node.module) != source or isinstance(node.names, cst.ImportStar):
            continue
        if any(text(alias.name) == name for alias in node.names):
            return module
        return replace(module, node, node.with_changes(names=_appended(node.names, name)))
    place = _end_of_imports(module)
    line = statement(f"from {source} import {name}")
    return module.with_changes(body=[*module.body[:place], line, *module.body[place:]])


def _appended(aliases: Sequence[cst.ImportAlias], name: str) -> list[cst.ImportAlias]:
    """`aliases` and `name`, in the layout (one line, or one name a line) of the others."""
    *before, last = aliases
    comma = before[-1].comma if before else cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    new = cst.ImportAlias(cst.Name(name), comma=last.comma)
    return [*before, last.with_changes(comma=comma), new]


def _split(lines: Sequence[cst.EmptyLine]) -> tuple[list[cst.EmptyLine], list[cst.EmptyLine]]:
    """Lines above a statement as (up to the last blank one, the comment right above the statement)."""
    blank = max((i + 1 for i, line in enumerate(lines) if line.comment is None), default=0)
    return list(lines[:blank]), list(lines[blank:])


def _is_import(node: cst.CSTNode) -> bool:
    return m.matches(node, m.SimpleStatementLine(body=[m.Import() | m.ImportFrom()]))


def _is_constant(node: cst.CSTNode) -> bool:
    """Whether `node` is `UPPER = ...`."""
    upper = m.Name(value=m.MatchIfTrue(str.isupper))
    assigned = m.Assign(targets=[m.AssignTarget(target=upper)]) | m.AnnAssign(target=upper)
    return m.matches(node, m.SimpleStatementLine(body=[assigned]))


def _end_of_imports(module: cst.Module) -> int:
    return max((i + 1 for i, node in enumerate(module.body) if _is_import(node)), default=0)


def _end_of_constants(module: cst.Module) -> int:
    """The index after the longest run of upper-case assignments, else after the imports."""
    indices = range(len(module.body))
    groups = groupby(indices, lambda i: _is_constant(module.body[i]))
    runs = [list(run) for constant, run in groups if constant]
    return max(runs, key=len)[-1] + 1 if runs else _end_of_imports(module)
