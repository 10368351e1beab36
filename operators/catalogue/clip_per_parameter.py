"""Clips the gradient of every parameter on its own, in place of a clipping of all together if there is one."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused, clip_removal
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "One parameter with a large gradient should not shrink the steps of all the others."
SOURCE = "Seetharaman et al. 2020, arXiv:2007.14469; Takase et al. 2024, arXiv:2312.16903"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where parameters are clipped one by one already, or the model is not known where the optimizer steps."""
    if "PARAMETER_CLIP" in edit.names_in_use(module):
        raise Refused("parameters are clipped one by one already")
    model = training.model_name(module)
    training.require_name(module, training.optimizer_step(module).line, model)
    if training.outside_classes(module, training.CLIP):
        module = clip_removal.apply(module, rng)
    code = f"for p in {model}.parameters():\n    torch.nn.utils.clip_grad_norm_(p, PARAMETER_CLIP)"
    module = training.before_step(module, code)
    return edit.add_constant(module, "PARAMETER_CLIP", 0.3, "knob: 0.01..3.0 log")
