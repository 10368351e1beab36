"""Finding and exchanging nodes of a libcst tree at the price of what is looked at, not of the whole tree.

A visitor of libcst builds a new tree even where it only reads. Here the fields of the nodes are read, and an edit
copies the nodes above the place of the change and shares all others with the tree before it; so what is known of a
top-level statement stays known until that statement changes. Whitespace, brackets and commas are not walked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache, lru_cache

import libcst as cst
import libcst.matchers as m

_LAYOUT = {
    "leading_lines", "lines_after_decorators", "header", "footer", "comma", "semicolon", "equal", "dot", "lpar", "rpar",
    "lbracket", "rbracket", "lbrace", "rbrace", "trailing_whitespace", "leading_whitespace",
}  # fmt: skip


def children(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The nodes right below `node`."""
    for name in _code_fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            yield value
        elif isinstance(value, list | tuple):
            yield from value


@cache
def _code_fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    """The fields of a class of nodes that may hold code."""
    names = (field.name for field in fields(kind))
    return tuple(name for name in names if name not in _LAYOUT and not name.startswith("whitespace"))


def walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """`node` and everything in it, children first: for expressions, in the order of evaluation."""
    for child in children(node):
        yield from walk(child)
    yield node


def find(root: cst.CSTNode, pattern: m.BaseMatcherNode) -> list[cst.CSTNode]:
    """The nodes in `root` that match, from the outer to the inner. The pattern is of a class of nodes, or several."""
    options = pattern.options if isinstance(pattern, m.OneOf) else [pattern]
    kinds = {getattr(cst, type(option).__name__) for option in options}
    nodes = (node for part in _parts(root) for node in _parents(part) if type(node) in kinds)
    return [node for node in nodes if m.matches(node, pattern)]


def names(root: cst.CSTNode) -> list[str]:
    """Every identifier in `root`, as often as it occurs, attributes and keywords included."""
    return [node.value for part in _parts(root) for node in _parents(part) if isinstance(node, cst.Name)]


def path(root: cst.CSTNode, node: cst.CSTNode) -> list[cst.CSTNode]:
    """The nodes from `root` down to `node`, both included; empty if `node` is not in this tree."""
    if root is node:
        return [root]
    for part in _parts(root):
        parents, upward = _parents(part), [node]
        if node in parents:
            while upward[-1] is not part:
                upward.append(parents[upward[-1]])
            return [root, *reversed(upward)] if part is not root else upward[::-1]
    return []


def _parts(root: cst.CSTNode) -> Sequence[cst.CSTNode]:
    """What of a tree is remembered by itself: the top-level statements of a module, so that it outlives an edit."""
    return root.body if isinstance(root, cst.Module) else [root]


@lru_cache(maxsize=1024)  # nodes are immutable, and equal only to themselves
def _parents(root: cst.CSTNode) -> dict[cst.CSTNode, cst.CSTNode]:
    """Every node in `root` with the one above it, from the outer to the inner; `root` is its own."""
    found = {root: root}

    def descend(node: cst.CSTNode) -> None:
        for child in children(node):
            found[child] = node
            descend(child)

    descend(root)
    return found


def spliced(module: cst.Module, changes: Mapping[cst.CSTNode, Sequence[cst.CSTNode]]) -> cst.Module:
    """Nodes of this tree, none within another, each replaced by others, of which there may be none in a sequence.

    Raises ValueError for a node that is not in this tree.
    """
    paths = [path(module, old) for old in changes]
    if not all(paths):
        raise ValueError("a node to be replaced is not in this tree; look it up again after an edit")
    copied = _copied(module, changes, {node for nodes in paths for node in nodes[:-1]})
    assert isinstance(copied, cst.Module)
    return copied


def _copied(
    node: cst.CSTNode, changes: Mapping[cst.CSTNode, Sequence[cst.CSTNode]], above: set[cst.CSTNode]
) -> cst.CSTNode:
    """A copy of `node`, one of those `above` a change, with the changes made."""

    def now(child: cst.CSTNode) -> Sequence[cst.CSTNode]:
        return changes[child] if child in changes else [_copied(child, changes, above) if child in above else child]

    new: dict[str, object] = {}
    for name in _code_fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            (new[name],) = now(value)
        elif isinstance(value, list | tuple):
            new[name] = [successor for child in value for successor in now(child)]
    return node.with_changes(**new)
