"""Replaces AdamW by Lion, with the same arguments; its learning rate is a fraction of the one given.

The paper raises the weight decay by as much as it lowers the rate, so their product, what is taken off a weight in a
step, stays what it was under AdamW.
"""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "The sign of a momentum is as good an update as Adam's ratio, and needs half the memory."
SOURCE = "Chen et al. 2023, arXiv:2302.06675, algorithm 2"

CODE = '''
class Lion(torch.optim.Optimizer):
    """Sign of an interpolated momentum, weight decay as AdamW's; the rate is LION_LR_RATIO times `lr`."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0):  # knob: fixed
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            grads = [p.grad for p in params]
            momenta = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in params]
            rate, (beta1, beta2) = LION_LR_RATIO * group["lr"], group["betas"]
            updates = torch._foreach_sign(torch._foreach_lerp(grads, momenta, beta1))
            torch._foreach_mul_(params, 1.0 - group["lr"] * group["weight_decay"])  # as strong as AdamW's
            torch._foreach_add_(params, updates, alpha=-rate)
            torch._foreach_lerp_(momenta, grads, 1.0 - beta2)
'''
KEPT = {"lr", "betas", "weight_decay"}


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where the optimizer is not a plain `torch.optim.AdamW`."""
    call = training.adamw(module)
    if not isinstance(call.func, cst.Attribute):
        raise Refused("the optimizer is a class of the script")
    module = training.define(module, call, CODE)
    call = training.adamw(module)
    args = [call.args[0], *(arg for arg in call.args[1:] if arg.keyword is not None and arg.keyword.value in KEPT)]
    args[-1] = args[-1].with_changes(comma=call.args[-1].comma)
    lion = call.with_changes(func=cst.Name("Lion"), args=args)
    module = edit.replace(module, call, lion)
    return edit.add_constant(module, "LION_LR_RATIO", 0.2, "knob: 0.03..1.0 log")
