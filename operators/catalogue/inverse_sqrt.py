"""Multiplies every learning rate by an inverse square root of the time used."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "A learning rate that decays as the inverse square root of time suits a budget of any length."
SOURCE = "Vaswani et al. 2017, arXiv:1706.03762; Zhai et al. 2022, arXiv:2106.04560"

CODE = '''
def lr_inverse_sqrt(done):
    """The learning rate's factor: from 1 down as the inverse square root of time, the faster the larger LR_DECAY."""
    return 1.0 / (1.0 + LR_DECAY * done) ** 0.5
'''


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where the decay is there already."""
    if "lr_inverse_sqrt" in edit.names_in_use(module):
        raise Refused("the learning rate decays with the inverse square root already")
    module = training.define(module, training.optimizer_step(module).once, CODE)
    module = training.scale_learning_rate(module, "lr_inverse_sqrt(progress())")
    module = edit.add_from_import(module, "prepare", "progress")
    return edit.add_constant(module, "LR_DECAY", 10.0, "knob: 1..1000 log")
