"""Clips each parameter's gradient to a share of that parameter's own norm."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "How large a gradient may be depends on the size of the weights that it changes."
SOURCE = "Brock et al. 2021, arXiv:2102.06171, section 4"

CODE = '''
@torch.no_grad()
def clip_to_weights(params):
    """Shrink gradients whose norm is beyond ADAPTIVE_CLIP times the norm of their parameter."""
    for p in params:
        if p.grad is not None:
            limit = ADAPTIVE_CLIP * p.norm().clamp(min=1e-3)  # knob: fixed
            p.grad.mul_((limit / (p.grad.norm() + 1e-6)).clamp(max=1.0))
'''


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where gradients are clipped so already."""
    if "clip_to_weights" in edit.names_in_use(module):
        raise Refused("gradients are clipped to the size of the weights already")
    module = training.define(module, training.optimizer_step(module).once, CODE)
    module = training.before_step(module, 'for group in {groups}:\n    clip_to_weights(group["params"])')
    return edit.add_constant(module, "ADAPTIVE_CLIP", 0.05, "knob: 0.003..1.0 log")
