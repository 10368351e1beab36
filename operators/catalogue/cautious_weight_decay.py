"""Gives back the weight decay of a step wherever the update itself has moved a weight away from zero."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "Weight decay should act only on coordinates that the update shrinks as well."
SOURCE = "Chen et al. 2025, arXiv:2510.12402; modded-nanogpt record 43"

CODE = '''
@torch.no_grad()
def give_back_decay(optimizer, before):
    """Undo a decoupled weight decay where the rest of the step has the sign of the weight."""
    for group, olds in zip(optimizer.param_groups, before):
        factor = group["lr"] * group["weight_decay"]
        for p, old in zip(group["params"], olds):
            if factor and not torch.equal(p, old):
                decay = factor * old
                opposed = (p - old + decay) * old > 0
                p.add_(decay * opposed)
'''
BEFORE = 'undecayed = [[p.detach().clone() for p in group["params"]] for group in {0}.param_groups]'
AFTER = "give_back_decay({0}, undecayed)"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where weight decay is cautious already."""
    if "give_back_decay" in edit.names_in_use(module):
        raise Refused("weight decay is cautious already")
    module = training.define(module, training.optimizer_step(module).once, CODE)
    step = training.optimizer_step(module)
    module = edit.insert_before(module, step.line, BEFORE.format(step.optimizer))
    return edit.insert_after(module, training.optimizer_step(module).line, AFTER.format(step.optimizer))
