"""Lets AdamW divide by the largest second moment seen so far."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "A step size that can only shrink keeps a rare large gradient from being forgotten."
SOURCE = "Reddi et al. 2018, arXiv:1904.09237"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where AdamW is told already whether to do so."""
    call = training.adamw(module)
    if training.keyword(call, "amsgrad"):
        raise Refused("AdamW is told already whether to use AMSGrad")
    return edit.replace(module, call, training.with_keyword(call, "amsgrad", "True"))
