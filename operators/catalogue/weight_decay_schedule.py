"""Lets the weight decay of every group change linearly over the budget."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "Weight decay is useful early and holds the weights back late, so it should fall with time."
SOURCE = "karpathy/nanochat, weight decay schedule; Xie et al. 2023, arXiv:2011.11152"

STEP = """
for group in {groups}:
    initial = group.setdefault("initial_weight_decay", group["weight_decay"])
    group["weight_decay"] = initial * (1.0 + (FINAL_WEIGHT_DECAY - 1.0) * progress())
"""


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where the weight decay is scheduled already."""
    if "initial_weight_decay" in module.code:
        raise Refused("the weight decay is scheduled already")
    module = training.before_step(module, STEP)
    module = edit.add_from_import(module, "prepare", "progress")
    return edit.add_constant(module, "FINAL_WEIGHT_DECAY", 0.1, "knob: 0.01..3.0 log")
