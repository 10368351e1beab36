"""Starts the two layers of each block that write to the residual stream smaller in deeper models."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue._edit import add_constant, expression, replace, text
from operators.catalogue._mlp import residual_projections
from operators.catalogue._model import after_initialisation, callee, calls, layers

IDEA = "The residual stream is a sum over 2 * depth branches, so each should start at 1 / sqrt(2 * depth) of the scale."
SOURCE = "Radford et al. 2019, GPT-2 (section 2.3)"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: no initial deviation depends on the depth yet. A start at zero is replaced."""
    if any("sqrt" in text(arg) or "** -0.5" in text(arg) for call in _normal(module) for arg in call.args):
        raise Refused("an initial standard deviation contains a root already")
    weights = [f"{path}.weight" for path in residual_projections(module)]
    container = layers(module).container
    module = add_constant(module, "PROJECTION_STD", 0.02, "knob: 0.002..0.1 log")
    std = f"std=PROJECTION_STD * (2 * len({container})) ** -0.5"
    appended = []
    for weight in weights:
        zeroed = [c for c in calls(module) if callee(c) == "zeros_" and text(c.args[0].value).endswith(weight)]
        if zeroed:
            module = replace(module, zeroed[0], expression(f"nn.init.normal_({text(zeroed[0].args[0].value)}, {std})"))
        else:
            appended.append(f"    nn.init.normal_(block.{weight}, {std})")
    return after_initialisation(module, "\n".join([f"for block in {container}:", *appended])) if appended else module


def _normal(module: cst.Module) -> list[cst.Call]:
    return [call for call in calls(module) if callee(call) in {"normal_", "trunc_normal_"}]
