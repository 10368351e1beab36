"""Multiplies every learning rate by a linear cooldown; a schedule that the script has is kept, and cooled down too."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue._cooldown import cool_down

IDEA = "A learning rate that falls linearly to a fraction over the last part of the budget ends at a lower loss."
SOURCE = "Hägele et al. 2024, arXiv:2405.18392; Bergsma et al. 2025, arXiv:2502.15938; modded-nanogpt record 2"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where the cooldown has this shape already."""
    return cool_down(module, "linear", "left")
