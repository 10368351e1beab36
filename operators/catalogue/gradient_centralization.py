"""Removes the mean of each row from the gradients of matrices."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "A gradient whose rows have zero mean keeps the weights in a smoother part of the loss."
SOURCE = "Yong et al. 2020, arXiv:2004.01461"

CODE = '''
@torch.no_grad()
def centralize(params):
    """Zero mean over the inputs of each output, for everything that has two dimensions or more."""
    for p in params:
        if p.grad is not None and p.ndim > 1:
            p.grad.sub_(p.grad.mean(dim=-1, keepdim=True))
'''


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where gradients are centralized already."""
    if "centralize" in edit.names_in_use(module):
        raise Refused("gradients are centralized already")
    module = training.define(module, training.optimizer_step(module).once, CODE)
    return training.before_step(module, 'for group in {groups}:\n    centralize(group["params"])')
