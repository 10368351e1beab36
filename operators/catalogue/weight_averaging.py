"""Evaluates the plain average of the weights over the last part of the budget; training is left as it is."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue._average import evaluate_average
from operators.catalogue._edit import add_constant, add_from_import

IDEA = "The mean of the last weights lies nearer to the bottom of the valley than any of them."
SOURCE = "Izmailov et al. 2018, arXiv:1803.05407; Kaddour 2022, arXiv:2209.14981 (LAWA)"

UPDATE = """
if progress() < 1.0 - AVERAGED_SHARE:
    return
params = list(model.parameters())
if self.weights is None:
    self.weights = [p.detach().clone() for p in params]
self.count += 1
torch._foreach_lerp_(self.weights, params, 1.0 / self.count)
"""


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where an average is evaluated already, or the model is not known where the optimizer steps."""
    module = evaluate_average(module, "Mean of the weights over the last AVERAGED_SHARE of the budget.", UPDATE)
    module = add_from_import(module, "prepare", "progress")
    return add_constant(module, "AVERAGED_SHARE", 0.1, "knob: 0.02..0.5 log")
