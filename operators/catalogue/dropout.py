"""Drops a share of each residual branch's channels while training."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue._edit import add_constant, expression, replace, text
from operators.catalogue._model import branches, callee, calls

IDEA = "Dropout on the residual branches keeps the model from relying on single channels."
SOURCE = "Srivastava et al. 2014, Dropout, JMLR 15; Radford et al. 2018 (GPT), section 4.1 (residual dropout)"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: no dropout yet, residual branches, and a switch to evaluation with `eval()`."""
    called = {callee(call) for call in calls(module)}
    if called & {"Dropout", "dropout"}:
        raise Refused("the script has dropout already")
    if "eval" not in called:
        raise Refused("the script never calls `eval()`: dropout would stay on in the evaluation")
    count = len(branches(module))
    if count == 0:
        raise Refused("the block has no residual branches of the form `x + f(x)`")
    module = add_constant(module, "DROPOUT", 0.1, "knob: 0.01..0.3 log")
    for i in range(count):
        branch = branches(module)[i].branch
        module = replace(module, branch, expression(f"F.dropout({text(branch)}, DROPOUT, self.training)"))
    return module
