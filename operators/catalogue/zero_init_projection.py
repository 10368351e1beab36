"""Starts the two layers of each block that write to the residual stream at zero."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue._edit import text
from operators.catalogue._mlp import residual_projections
from operators.catalogue._model import after_initialisation, calls, layers

IDEA = "Blocks that start as the identity let the gradient reach the embeddings first, and train faster."
SOURCE = "Zhang et al. 2019, Fixup Initialization, arXiv:1901.09321; modded-nanogpt record 5"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: a loop over blocks with an attention and an MLP whose last layers do not start at zero."""
    weights = [f"{path}.weight" for path in residual_projections(module)]
    if any(zeroed(module, weight) for weight in weights):
        raise Refused("a projection to the residual stream starts at zero already")
    loop = layers(module)
    lines = [f"    nn.init.zeros_(block.{weight})" for weight in weights]
    return after_initialisation(module, "\n".join([f"for block in {loop.container}:", *lines]))


def zeroed(module: cst.Module, weight: str) -> bool:
    """Whether the script sets a weight that ends like `weight` to zero."""
    zeros = [c for c in calls(module) if m.matches(c.func, m.Attribute(attr=m.Name("zeros_"))) and c.args]
    return any(text(call.args[0].value).endswith(weight) for call in zeros)
