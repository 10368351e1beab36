"""Three-way merge of statements: bodies are aligned on statements that all share, bodies within bodies likewise.

Definitions, constants, fields and imports are matched by name wherever they stand; other statements by an anchored
diff3: equal statements are anchors, between anchors those that assign the same target or open the same block are
paired. Who wins where both sides differ is asked of the caller; whether the result makes sense is `merge`'s business.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Literal

from operators.addresses import is_constant
from operators.imports import merged_import
from operators.layout import Statement, render
from operators.syntax import nodes

Side = Literal["left", "right"]
Body = tuple[Statement, ...]
Versions = tuple[Statement | None, Statement | None, Statement | None]
Decide = Callable[[Versions, str, str], Side]
"""Base, left and right version, the class that they are in as "Class." or "", what is at odds; to the side taken."""


class Clash(Exception):
    """Both sides changed the same statements differently; the message says how."""


def merge_text(base: str, left: str, right: str, what: str) -> str:
    """The text that changed. Raises Clash if both changed differently."""
    if left in (base, right):
        return right
    if right == base:
        return left
    raise Clash(f"both changed {what}")


def merge_members(base: Body, left: Body, right: Body, decide: Decide, scope: str = "") -> Body:
    """Merge the bodies of a module or a class (`scope` is then "Class."), asking `decide` at each clash."""
    bodies = [list(base), list(left), list(right)]
    keys = [[_key(s, scope) for s in body] for body in bodies]
    named = {key for body in keys for key in body if key and all(other.count(key) < 2 for other in keys)}
    for key in dict.fromkeys(key for body in keys for key in body if key in named):
        found = [next((s for s in body if _key(s, scope) == key), None) for body in bodies]
        versions = found[0], found[1], found[2]
        merged = _decided(versions, decide, scope)
        for body, version in zip(bodies, _placed(versions, merged), strict=True):
            body[:] = [s for s in (version if _key(s, scope) == key else s for s in body) if s is not None]
    emitted: set[str] = set()
    result: list[Statement] = []
    for statement in _sequence(tuple(bodies[0]), tuple(bodies[1]), tuple(bodies[2]), decide, scope):
        own = _key(statement, scope)
        if own not in emitted:
            result.append(statement)
        if own in named:
            emitted.add(own)
    return tuple(result)


def _placed(versions: Versions, merged: Statement | None) -> Versions:
    """What stands for each version when places are merged: the result, where the side that settles its place has it."""
    base, left, right = (merged if version else None for version in versions)
    if base and not (left and right):
        base = None
    elif not base and left:
        right = None
    return base, left, right


def _sequence(base: Body, left: Body, right: Body, decide: Decide | None, scope: str) -> Iterator[Statement]:
    """The merged statements in order. Without `decide` a clash is raised."""
    pairs_left, new_left = _aligned(base, left)
    pairs_right, new_right = _aligned(base, right)
    if decide is None:
        _check_moves(base, (pairs_left, new_left), (pairs_right, new_right))
        _check_moves(base, (pairs_right, new_right), (pairs_left, new_left))
    for index in range(len(base) + 1):
        yield from _inserted(new_left[index], new_right[index], decide, scope)
        if index < len(base):
            merged = _decided((base[index], pairs_left.get(index), pairs_right.get(index)), decide, scope)
            if merged is not None:
                yield merged


Alignment = tuple[dict[int, Statement], list[list[Statement]]]


def _check_moves(base: Body, ours: Alignment, theirs: Alignment) -> None:
    """Raise Clash where one side moved a statement, into a branch for instance, that the other has plans with.

    Where the other deleted or moved it too, a copy would stay; what the other put beside it would stay behind.
    """
    (pairs, new), (other_pairs, other_new) = ours, theirs
    inserted = _flat([s for group in new for s in group])
    if inserted == _flat([s for group in other_new for s in group]):
        return
    for index, statement in enumerate(base):
        if index in pairs or _flat([statement]) not in inserted:
            continue
        if index not in other_pairs:
            raise Clash("one side moved what the other deleted or moved elsewhere")
        if other_new[index] or other_new[index + 1]:
            raise Clash("one side moved what the other put something beside")


def _flat(statements: Sequence[Statement]) -> str:
    """The code of statements without indentation."""
    return "\n".join(["", *(line.strip() for s in statements for line in s.text.splitlines()), ""])


def _aligned(base: Body, other: Body) -> Alignment:
    """The partner in `other` of each base statement by index, and what `other` has new before each index."""
    pairs: dict[int, int] = {}
    exact = SequenceMatcher(None, [s.text for s in base], [s.text for s in other], autojunk=False)
    for tag, i1, i2, j1, j2 in exact.get_opcodes():
        if tag == "equal":
            pairs.update(zip(range(i1, i2), range(j1, j2), strict=True))
        elif tag == "replace":
            ours, theirs = ([(s.kind, s.name) for s in body] for body in (base[i1:i2], other[j1:j2]))
            for block in SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks():
                pairs.update({i1 + block.a + k: j1 + block.b + k for k in range(block.size)})
    new: list[list[Statement]] = [[] for _ in range(len(base) + 1)]
    index_of, position = {j: i for i, j in pairs.items()}, 0
    for j, statement in enumerate(other):
        if j in index_of:
            position = index_of[j] + 1
        else:
            new[position].append(statement)
    return {i: other[j] for i, j in pairs.items()}, new


def _inserted(left: Sequence[Statement], right: Sequence[Statement], decide: Decide | None, scope: str) -> Body:
    """What both sides put in the same place: one after the other if neither touches what the other does.

    Definitions and constants of a module or class do not depend on their place, so both sides' are kept.
    """
    texts = [s.text for s in left]
    if not left or not right or texts == [s.text for s in right]:
        return tuple(left or right)
    free = {s.text for s in (*left, *right) if decide is not None and _key(s, scope)}
    ours, theirs = ([s for s in body if s.text not in free] for body in (left, right))
    if _independent(ours, theirs):
        return (*left, *(s for s in right if s.text not in texts))
    clash = Clash("both inserted statements here that depend on each other")
    if _side((None, ours[0], theirs[0]), clash, decide, scope) == "left":
        return (*left, *(s for s in right if s.text in free and s.text not in texts))
    return (*(s for s in left if s.text in free and s not in right), *right)


def _decided(versions: Versions, decide: Decide | None, scope: str) -> Statement | None:
    """The merged version of one statement; None if it goes."""
    try:
        return _merged(versions, decide, scope)
    except Clash as clash:
        side = _side(versions, clash, decide, scope)
        return versions[1] if side == "left" else versions[2]


def _side(versions: Versions, clash: Clash, decide: Decide | None, scope: str) -> Side:
    if decide is None:
        raise clash
    return decide(versions, scope, str(clash))


def _merged(versions: Versions, decide: Decide | None, scope: str) -> Statement | None:
    base, left, right = versions
    if base is None or left is None or right is None:
        return _one_sided(base, left, right)
    gap = left.gap if right.gap == base.gap else right.gap
    if left.text in (base.text, right.text):
        return replace(right, gap=gap)
    if right.text == base.text:
        return replace(left, gap=gap)
    if base.kind == left.kind == right.kind == "import" and base.name.startswith("from"):
        return replace(left, gap=gap, head=_import_head(base, left, right))
    if not (base.body and left.body and right.body and base.kind == left.kind == right.kind):
        raise Clash("both changed it")
    if base.kind == "class" and decide is not None:
        body = merge_members(base.body, left.body, right.body, decide, f"{scope}{base.name}.")
    else:
        body = tuple(_sequence(base.body, left.body, right.body, None, scope))
    head = merge_text(base.head, left.head, right.head, "its header")
    return replace(left, gap=gap, head=head, body=body, tail=merge_text(base.tail, left.tail, right.tail, "its end"))


def _one_sided(base: Statement | None, left: Statement | None, right: Statement | None) -> Statement | None:
    """The merge where at least one version is missing."""
    if base is None and left and right:
        if left.kind == right.kind == "import" and left.name.startswith("from"):
            return replace(left, head=_import_head(None, left, right))
        if left.text != right.text:
            raise Clash("both added it, differently")
        return left
    if base is None:
        return left or right
    kept = left or right
    if kept and kept.text != base.text:
        raise Clash(f"{'left' if right else 'right'} deleted it, {'right' if right else 'left'} changed it")
    return None


def _key(statement: Statement, scope: str) -> str | None:
    """What a statement is matched by in another version wherever it stands; None for one that is known by its place."""
    match statement.kind:
        case "def" | "class" | "import":
            return statement.name
        case "banner":
            return f"# {statement.name}"
        case "doc":
            return '"""'
        case "assign" if is_constant(statement) or (scope and statement.name.isidentifier()):
            return statement.name
    return None


def _import_head(base: Statement | None, left: Statement, right: Statement) -> str:
    head = merged_import(base, left, right)
    if not head:
        raise Clash("between them both removed every name")
    return head


def _independent(left: Sequence[Statement], right: Sequence[Statement]) -> bool:
    """Whether neither group writes what the other reads or writes, so that their order does not matter."""
    (reads_left, writes_left), (reads_right, writes_right) = _effects(left), _effects(right)
    return not (writes_left & (reads_right | writes_right) or writes_right & reads_left)


def _effects(statements: Sequence[Statement]) -> tuple[set[str], set[str]]:
    """The dotted names that statements read and write. A call for its effect writes its receiver and arguments."""
    reads: set[str] = set()
    writes: set[str] = set()
    for node in nodes(textwrap.dedent(render(statements))):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                dotted = ast.unparse(node)
                (reads if isinstance(node.ctx, ast.Load) else writes).add(dotted)
            case ast.Expr(value=ast.Call(func=function, args=arguments)):
                receiver = function.value if isinstance(function, ast.Attribute) else function
                writes |= {ast.unparse(part) for part in (receiver, *arguments)}
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                writes.add(name)
            case ast.Return() | ast.Break() | ast.Continue() | ast.Raise():
                writes.add("return")
            case ast.AugAssign(target=target):
                reads.add(ast.unparse(target))
    return reads - {"self"}, writes - {"self", "print"}
