"""Evaluates an exponential moving average of the weights in place of the last ones; training is left as it is."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue._average import evaluate_average
from operators.catalogue._edit import add_constant

IDEA = "An exponential moving average of the weights has less noise than the last weights, and a lower loss."
SOURCE = "Polyak and Juditsky 1992; Morales-Brotons et al. 2024, arXiv:2411.18704"

UPDATE = """
params = list(model.parameters())
if self.weights is None:
    self.weights = [p.detach().clone() for p in params]
self.count += 1
torch._foreach_lerp_(self.weights, params, max(EMA_RATE, 1.0 / self.count))
"""


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where an average is evaluated already, or the model is not known where the optimizer steps."""
    module = evaluate_average(module, "Exponential moving average of the weights.", UPDATE)
    return add_constant(module, "EMA_RATE", 0.02, "knob: 0.001..0.3 log")
