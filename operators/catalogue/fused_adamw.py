"""Asks AdamW for its fused kernel."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "One kernel for all parameters takes an optimizer step in less time than one per parameter."
SOURCE = "PyTorch documentation, torch.optim.AdamW, argument `fused`; karpathy/nanoGPT, configure_optimizers"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where AdamW is fused, or told not to be."""
    call = training.adamw(module)
    if any(training.keyword(call, name) for name in ("fused", "foreach", "capturable")):
        raise Refused("AdamW is told already which kernel to use")
    return edit.replace(module, call, training.with_keyword(call, "fused", "True"))
