"""Trains against targets that give a little probability to every token; the evaluation is left as it is."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "Targets that are not quite certain keep the logits from growing without end."
SOURCE = "Szegedy et al. 2016, arXiv:1512.00567, section 7"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where targets are smoothed already, or the loss is computed within the model."""
    call = training.loss(module)
    if training.keyword(call, "label_smoothing"):
        raise Refused("targets are smoothed already")
    module = edit.replace(module, call, training.with_keyword(call, "label_smoothing", "LABEL_SMOOTHING"))
    return edit.add_constant(module, "LABEL_SMOOTHING", 0.02, "knob: 0.001..0.2 log")
