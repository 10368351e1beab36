"""Multiplies every learning rate by a cosine cooldown; a schedule that the script has is kept, and cooled down too."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue._cooldown import cool_down
from operators.catalogue._edit import add_import

IDEA = "A learning rate that falls along half a cosine over the last part of the budget ends at a lower loss."
SOURCE = "Loshchilov and Hutter 2017, arXiv:1608.03983"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where the cooldown has this shape already."""
    return add_import(cool_down(module, "half a cosine", "(0.5 - 0.5 * math.cos(math.pi * left))"), "math")
