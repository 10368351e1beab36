"""Finding nodes without a visitor, and edits that leave everything else the very same nodes."""

from __future__ import annotations

import libcst as cst
import libcst.matchers as m
import pytest

from operators.catalogue._tree import find, names, path, spliced
from tests.operators.catalogue.harness import SCRIPTS

TREES = {name: cst.parse_module(source) for name, source in SCRIPTS.items()}
PATTERNS = [m.Name(), m.Call(func=m.Attribute()), m.MatrixMultiply(), m.AssignTarget() | m.Arg(), m.ImportFrom()]


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: type(pattern).__name__)
def test_finds_what_a_visitor_finds(script: str, pattern: m.BaseMatcherNode) -> None:
    assert set(find(TREES[script], pattern)) == set(m.findall(TREES[script], pattern))


def test_names_are_given_as_often_as_they_occur() -> None:
    assert sorted(names(cst.parse_module("a = b.a(a=1)\n"))) == ["a", "a", "a", "b"]


def test_a_path_goes_down_to_the_very_node() -> None:
    module = cst.parse_module("def f():\n    return g(1)\n")
    (number,) = find(module, m.Integer())
    kinds = ["Module", "FunctionDef", "IndentedBlock", "SimpleStatementLine", "Return", "Call", "Arg", "Integer"]
    assert [type(node).__name__ for node in path(module, number)] == kinds
    assert path(module, cst.Integer("1")) == []


def test_expressions_in_different_places_are_exchanged_at_once() -> None:
    module = cst.parse_module("f(1, g(2))  # kept\n")
    one, two = find(module, m.Integer())
    assert spliced(module, {one: [cst.Name("a")], two: [cst.Name("b")]}).code == "f(a, g(b))  # kept\n"


def test_statements_may_become_several_or_none() -> None:
    module = cst.parse_module("a()  # one\nif b:\n    c()\n    d()\n")
    first, branch = module.body
    assert isinstance(branch, cst.If)
    inner = branch.body.body[0]
    assert spliced(module, {first: [], inner: [inner, inner]}).code == "if b:\n    c()\n    c()\n    d()\n"


def test_what_did_not_change_is_shared() -> None:
    module = TREES["plain"]
    (call,) = find(module, m.Call(func=m.Name("evaluate_bpb")))
    after = spliced(module, {call: [cst.Name("skipped")]})
    changed = [one for one, other in zip(after.body, module.body, strict=True) if one is not other]
    assert [cst.Module([]).code_for_node(one).split()[-1] for one in changed] == ["skipped"]


def test_a_node_of_another_tree_is_an_error() -> None:
    stale = TREES["plain"].body[-1]
    with pytest.raises(ValueError, match="look it up again after an edit"):
        spliced(TREES["dataclass"], {stale: []})
