"""Adds the result of each block in the first half to the input of its mirror image in the second half."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue._edit import expression, insert_after, insert_before, replace
from operators.catalogue._model import append_to, block, layers, refuse_if_used

IDEA = "Late blocks that can read early results directly, as in a U-net, learn faster."
SOURCE = "modded-nanogpt records 11 and 15 (U-net skips); Ronneberger et al. 2015, arXiv:1505.04597"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: a loop over the blocks, which are in a list."""
    refuse_if_used(module, "unet_skip", "skips")
    module = _counted(module)
    module = insert_before(module, layers(module).loop, "skips = []")
    found = layers(module)
    blocks, x, layer = found.container, found.stream, found.index
    receive = f"if {layer} >= (len({blocks}) + 1) // 2:\n    {x} = {x} + {found.block}.unet_skip * skips.pop()"
    module = insert_before(module, found.step, receive)
    send = f"if {layer} < len({blocks}) // 2:\n    skips.append({x})"
    module = insert_after(module, layers(module).step, send)
    return append_to(module, block(module).init, "self.unet_skip = nn.Parameter(torch.ones(()))")


def _counted(module: cst.Module) -> cst.Module:
    """The loop over the blocks with a number for each."""
    found = layers(module)
    if found.index is not None:
        return module
    module = replace(module, found.loop.iter, expression(f"enumerate({found.container})"))
    target = cst.parse_statement(f"for layer, {found.block} in _: pass")
    return replace(module, layers(module).loop.target, cst.ensure_type(target, cst.For).target)
