"""Adds the embedding of the tokens to the input of every block, by a learned weight for each."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue._edit import insert_before
from operators.catalogue._model import append_to, block, layers, refuse_if_used

IDEA = "Blocks that can read the token's embedding anew need not carry it through the residual stream."
SOURCE = "modded-nanogpt record 9 (embedding skip connections); karpathy/nanochat, gpt.py (x0 lambdas)"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: a loop over the blocks."""
    refuse_if_used(module, "embedding_skip", "x0")
    module = insert_before(module, layers(module).loop, f"x0 = {layers(module).stream}")
    found = layers(module)
    step = f"{found.stream} = {found.stream} + {found.block}.embedding_skip * x0"
    module = insert_before(module, found.step, step)
    return append_to(module, block(module).init, "self.embedding_skip = nn.Parameter(torch.zeros(()))")
