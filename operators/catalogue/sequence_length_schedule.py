"""Cuts the sequences of each batch into shorter ones at the start of the budget; no token is left out."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "Short sequences are cheaper and teach what is learned first; long ones are needed only later."
SOURCE = "Li et al. 2022, arXiv:2108.06084; modded-nanogpt record 13"

CODE = """
if progress() < SHORT_SEQUENCES_UNTIL:
    length = {x}.shape[1] // SEQUENCE_PARTS
    {x}, {y} = {x}.reshape(-1, length), {y}.reshape(-1, length)
"""


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where sequences grow already, or the script has no loop over batches."""
    loop = training.training_loop(module)
    if "SHORT_SEQUENCES_UNTIL" in edit.names_in_use(module):
        raise Refused("the sequences grow already")
    module = edit.insert_before(module, loop.first, CODE.format(x=loop.inputs, y=loop.targets))
    module = edit.add_from_import(module, "prepare", "progress")
    module = edit.add_constant(module, "SHORT_SEQUENCES_UNTIL", 0.3, "knob: 0.05..0.7")
    return edit.add_constant(module, "SEQUENCE_PARTS", 2, "knob: 2|4|8")
