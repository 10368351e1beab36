"""Multiplies every learning rate by a 1-sqrt cooldown; a schedule that the script has is kept, and cooled down too."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue._cooldown import cool_down

IDEA = "A cooldown that falls fast at first, as one minus a square root, ends lower than a straight line."
SOURCE = "Hägele et al. 2024, arXiv:2405.18392, section 4"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where the cooldown has this shape already."""
    return cool_down(module, "one minus a square root", "(1.0 - (1.0 - left) ** 0.5)")
