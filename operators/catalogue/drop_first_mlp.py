"""Removes the MLP of the first block."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue._edit import expression, replace, text
from operators.catalogue._mlp import feed_forward
from operators.catalogue._model import after_initialisation, branches, layers

IDEA = "The first MLP sees little more than single tokens, which the embedding could know: its time is better spent."
SOURCE = "modded-nanogpt record 30 (first MLP dropped)"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: the MLP is a residual branch of the block, and the blocks are in a list."""
    mlp = f"self.{feed_forward(module).attribute}"
    found = [b.branch for b in branches(module) if text(b.branch.func) == mlp]
    if len(found) != 1:
        raise Refused(f"`{mlp}` is not a residual branch of the block")
    guarded = f"({text(found[0])} if {mlp} is not None else 0)"
    module = replace(module, found[0], expression(guarded))
    return after_initialisation(module, f"{layers(module).container}[0].{feed_forward(module).attribute} = None")
