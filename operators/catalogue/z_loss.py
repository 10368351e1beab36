"""Adds the squared logarithm of the softmax's normaliser to the training loss; the evaluation is left as it is."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training
from operators.catalogue._tree import find

IDEA = "Logits whose normaliser is held near one drift less, and training is steadier."
SOURCE = "Chowdhery et al. 2022, arXiv:2204.02311 (PaLM), section 5"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where the term is there already, or the cross-entropy is not assigned to a name outside the model."""
    if "Z_LOSS" in edit.names_in_use(module):
        raise Refused("the normaliser is penalised already")
    call = training.loss(module)
    line = training.statement_of(module, call)
    assigned = [node for node in find(line, m.Assign(targets=[m.AssignTarget(m.Name())])) if call in node.children]
    if not assigned:
        raise Refused("the cross-entropy is not assigned to a name")
    name = edit.text(cst.ensure_type(assigned[0], cst.Assign).targets[0].target)
    logits = edit.text(call.args[0].value)
    code = f"{name} = {name} + Z_LOSS * {logits}.logsumexp(dim=-1).square().mean()"
    module = edit.insert_after(module, line, code)
    return edit.add_constant(module, "Z_LOSS", 1e-4, "knob: 1e-6..1e-2 log")
