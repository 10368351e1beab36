"""Learned position embeddings: an embedding that is looked up at `torch.arange`, not at tokens."""

from __future__ import annotations

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue._edit import names_in_use, replace, replace_statement, text
from operators.catalogue._model import Model, assigned, body, callee, calls, embeddings, enclosing_statement, model
from operators.catalogue._tree import find, names


def position_embedding(module: cst.Module) -> cst.Call | None:
    """The lookup of learned positions in the model's forward pass, if there is one."""
    role = model(module)
    counted = {name for name, value in _assignments(role) if _is_arange(value)}
    for call in calls(role.forward):
        if callee(call) in embeddings(role) and len(call.args) == 1:
            argument = call.args[0].value
            if text(argument) in counted or _is_arange(argument):
                return call
    return None


def without_position_embedding(module: cst.Module) -> cst.Module:
    """The script without learned positions: no term, no embedding, and no name that only served them.

    Raises Refused if there are none, or if they are not simply a term of a sum.
    """
    lookup = position_embedding(module)
    if lookup is None:
        raise Refused("the model has no learned position embedding")
    role, attribute = model(module), callee(lookup)
    before = _locals(role)
    module = _without_term(module, role, lookup)
    constructor = next(s for s in body(model(module).init) if (pair := assigned(s)) and pair[0] == f"self.{attribute}")
    module = replace_statement(module, constructor, [])
    if attribute in names_in_use(module):
        raise Refused(f"the position embedding `{attribute}` is used elsewhere too")
    return _without_unused(module, before)


def _without_term(module: cst.Module, role: Model, lookup: cst.Call) -> cst.Module:
    statement = enclosing_statement(role.forward, lookup)
    pair = assigned(statement)
    if pair is not None and pair[1] is lookup:
        module = replace_statement(module, statement, [])
    sums = [
        total
        for total in find(model(module).forward, m.BinaryOperation(operator=m.Add()))
        if isinstance(total, cst.BinaryOperation) and (total.right is lookup or (pair and text(total.right) == pair[0]))
    ]
    if len(sums) != 1:
        raise Refused("the position embedding is not the last term of a sum")
    return replace(module, sums[0], sums[0].left)


def _without_unused(module: cst.Module, candidates: set[str]) -> cst.Module:
    """Without assignments to those local names of the forward pass that nothing reads any more."""
    while True:
        forward = model(module).forward
        unread = [
            s for s in body(forward) if (p := assigned(s)) and p[0] in candidates and names(forward).count(p[0]) == 1
        ]
        if not unread:
            return module
        module = replace_statement(module, unread[0], [])


def _locals(role: Model) -> set[str]:
    return {name for name, _ in _assignments(role)}


def _assignments(role: Model) -> list[tuple[str, cst.BaseExpression]]:
    return [pair for s in body(role.forward) if (pair := assigned(s))]


def _is_arange(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.Call) and callee(node) == "arange"
