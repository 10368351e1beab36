"""Multiplies every learning rate by a linear warm-up over a share of the budget."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "A learning rate that rises from near zero at the start allows a larger one afterwards."
SOURCE = "Goyal et al. 2017, arXiv:1706.02677"

CODE = '''
def lr_warmup(done):
    """The learning rate's factor: from LR_START to 1 over the first LR_WARMUP of the budget."""
    return LR_START + (1.0 - LR_START) * min(1.0, done / LR_WARMUP)
'''


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where this warm-up is there already."""
    if "lr_warmup" in edit.names_in_use(module):
        raise Refused("the learning rate is warmed up already")
    module = training.define(module, training.optimizer_step(module).once, CODE)
    module = training.scale_learning_rate(module, "lr_warmup(progress())")
    module = edit.add_from_import(module, "prepare", "progress")
    module = edit.add_constant(module, "LR_WARMUP", 0.05, "knob: 0.005..0.3 log")
    return edit.add_constant(module, "LR_START", 0.05, "knob: 0.01..0.5 log")
