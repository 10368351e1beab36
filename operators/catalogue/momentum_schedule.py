"""Lets AdamW's first momentum rise over the start of the budget."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "Little momentum at the start, while gradients turn quickly, and more of it afterwards trains faster."
SOURCE = "modded-nanogpt record 9 (momentum warm-up); Sutskever et al. 2013"

CODE = '''
def warmed_up(done, final):
    """Rises from BETA1_START to its final value over the first BETA1_WARMUP of the budget."""
    return BETA1_START + (final - BETA1_START) * min(1.0, done / BETA1_WARMUP)
'''
STEP = """
for group in {groups}:
    if "betas" in group:
        beta1, beta2 = group.setdefault("initial_betas", group["betas"])
        group["betas"] = (warmed_up(progress(), beta1), beta2)
"""


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where betas are scheduled already, or nothing has betas."""
    if "initial_betas" in module.code:
        raise Refused("the momentum is scheduled already")
    training.adamw(module)
    module = training.define(module, training.optimizer_step(module).once, CODE)
    module = training.before_step(module, STEP)
    module = edit.add_from_import(module, "prepare", "progress")
    module = edit.add_constant(module, "BETA1_START", 0.8, "knob: 0.5..0.95")
    return edit.add_constant(module, "BETA1_WARMUP", 0.1, "knob: 0.01..0.5 log")
