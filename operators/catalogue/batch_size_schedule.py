"""Trains on a part of each batch at the start of the budget; the loader is left as it is."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "Early gradients agree with each other, so smaller batches and more steps are better at the start."
SOURCE = "McCandlish et al. 2018, arXiv:1812.06162; modded-nanogpt record 46"

CODE = """
if progress() < SMALL_BATCH_UNTIL:
    rows = max(1, len({x}) // SMALL_BATCH_PARTS)
    {x}, {y} = {x}[:rows], {y}[:rows]
"""


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where the batch grows already, or the script has no loop over batches."""
    loop = training.training_loop(module)
    if "SMALL_BATCH_UNTIL" in edit.names_in_use(module):
        raise Refused("the batch grows already")
    module = edit.insert_before(module, loop.first, CODE.format(x=loop.inputs, y=loop.targets))
    module = edit.add_from_import(module, "prepare", "progress")
    module = edit.add_constant(module, "SMALL_BATCH_UNTIL", 0.3, "knob: 0.05..0.7")
    return edit.add_constant(module, "SMALL_BATCH_PARTS", 2, "knob: 2|4|8")
