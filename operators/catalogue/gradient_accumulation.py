"""Steps the optimizer once for several batches, on the mean of their gradients."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training
from operators.catalogue._tree import find, path

IDEA = "Fewer steps on less noisy gradients allow a larger learning rate."
SOURCE = "McCandlish et al. 2018, arXiv:1812.06162; Smith et al. 2018, arXiv:1711.00489"

ZERO_GRAD = m.SimpleStatementLine(body=[m.Expr(m.Call(func=m.Attribute(attr=m.Name("zero_grad"))))])
CALLED = m.SimpleStatementLine(body=[m.Expr(m.Call())])
BACKWARD = m.SimpleStatementLine(body=[m.Expr(m.Call(func=m.Attribute(m.Name(), m.Name("backward"))))])


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: zero_grad, backward (of a plain name) and step are statements of one block, without a jump."""
    if "ACCUMULATION" in edit.names_in_use(module):
        raise Refused("gradients are accumulated already")
    step = training.optimizer_step(module)
    block = path(module, step.once)[-2]
    assert isinstance(block, cst.IndentedBlock | cst.Module)
    body = list(block.body)
    zero, backward = (_index(body, pattern) for pattern in (ZERO_GRAD, BACKWARD))
    last = max(body.index(step.once), zero)
    while last + 1 < len(body) and m.matches(body[last + 1], CALLED):
        last += 1  # what is called right after a step, such as an average of the weights, belongs to it
    if any(find(node, m.Continue() | m.Break() | m.Return()) for node in body[backward:last]):
        raise Refused("the block of the optimizer's step is left early")
    update = [node for node in body[backward + 1 : last + 1] if node is not body[zero]] + [body[zero]]
    computed = {name for node in update for name in _assigned(node)}
    if any(computed & edit.names_in_use(node) for node in body[last + 1 :]):
        raise Refused("something after the optimizer's step uses what was computed for it")
    branch = edit.statement("if next(micro_steps) % ACCUMULATION == 0:\n    pass")
    branch = branch.with_changes(body=cst.IndentedBlock(update))
    kept = [node for node in body[:backward] if node is not body[zero]]
    whole = block.with_changes(body=[*kept, _divided(body[backward]), branch, *body[last + 1 :]])
    module = edit.replace(module, block, whole)
    module = training.define(module, training.optimizer_step(module).once, "micro_steps = itertools.count(1)")
    return edit.add_constant(edit.add_import(module, "itertools"), "ACCUMULATION", 2, "knob: 2|4|8")


def _assigned(node: cst.CSTNode) -> set[str]:
    return {edit.text(cst.ensure_type(found, cst.AssignTarget).target) for found in find(node, m.AssignTarget())}


def _index(body: list[cst.BaseStatement], pattern: m.BaseMatcherNode) -> int:
    found = [i for i, node in enumerate(body) if m.matches(node, pattern)]
    if len(found) != 1:
        raise Refused("the block of the optimizer's step has not one zero_grad and one backward of a plain name")
    return found[0]


def _divided(line: cst.BaseStatement) -> cst.BaseStatement:
    """`loss.backward()` as `(loss / ACCUMULATION).backward()`."""
    call = find(line, m.Attribute(attr=m.Name("backward")))[0]
    value = cst.ensure_type(call, cst.Attribute).value
    changed = line.deep_replace(value, edit.expression(f"({edit.text(value)} / ACCUMULATION)"))
    return cst.ensure_type(changed, cst.SimpleStatementLine)
