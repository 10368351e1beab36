"""Takes back the part of each update that points up the present gradient."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training
from operators.catalogue._tree import find

IDEA = "A coordinate whose momentum disagrees with its gradient should not move in this step."
SOURCE = "Liang et al. 2024, arXiv:2411.16085, algorithm 1"

CODE = '''
@torch.no_grad()
def take_back_uphill(optimizer, before):
    """Undo the updates with the sign of the gradient, and scale the others up to the same total."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for p, old in zip(params, before):
        if p.grad is not None:
            update = p - old
            kept = (update * p.grad <= 0).to(p.dtype)
            p.copy_(old + update * kept / kept.mean().clamp(min=1e-3))  # knob: fixed
'''
BEFORE = 'before = [p.detach().clone() for group in {0}.param_groups for p in group["params"]]'
AFTER = "take_back_uphill({0}, before)"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where updates are cautious already. Cautious weight decay comes first: it reads what the step added."""
    if "take_back_uphill" in edit.names_in_use(module):
        raise Refused("updates are cautious already")
    module = training.define(module, training.optimizer_step(module).once, CODE)
    step = training.optimizer_step(module)
    module = edit.insert_before(module, step.line, BEFORE.format(step.optimizer))
    decay = find(module, m.SimpleStatementLine(body=[m.Expr(m.Call(func=m.Name("give_back_decay")))]))
    last = training.statement_of(module, decay[0]) if decay else training.optimizer_step(module).line
    return edit.insert_after(module, last, AFTER.format(step.optimizer))
