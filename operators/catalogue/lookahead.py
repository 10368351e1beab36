"""Pulls the weights back, every few steps, towards where they were a few steps ago."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "Slow weights that follow fast ones at a distance dampen the noise of the training."
SOURCE = "Zhang et al. 2019, arXiv:1907.08610, algorithm 1"

CODE = '''
class Lookahead:
    """Slow weights, which every LOOKAHEAD_STEPS steps go a part of the way to the fast ones, and replace them."""

    def __init__(self):
        self.slow, self.count = None, 0

    @torch.no_grad()
    def update(self, params):
        if self.slow is None:
            self.slow = [p.detach().clone() for p in params]
        self.count += 1
        if self.count % LOOKAHEAD_STEPS == 0:
            torch._foreach_lerp_(self.slow, params, LOOKAHEAD_SHARE)
            torch._foreach_copy_(params, self.slow)


lookahead = Lookahead()
'''


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where there are slow weights already."""
    if "lookahead" in edit.names_in_use(module):
        raise Refused("the script has slow weights already")
    step = training.optimizer_step(module)
    module = training.define(module, step.once, CODE)
    code = f'lookahead.update([p for group in {step.groups} for p in group["params"]])'
    module = edit.insert_after(module, training.optimizer_step(module).once, code)
    module = edit.add_constant(module, "LOOKAHEAD_STEPS", 5, "knob: 2..20 log")
    return edit.add_constant(module, "LOOKAHEAD_SHARE", 0.5, "knob: 0.2..0.9")
