"""Removes learned positions: what is left of order is the causal mask."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue._positions import without_position_embedding

IDEA = "A causal mask alone tells a decoder where it is, so that positions need no parameters."
SOURCE = "Haviv et al. 2022, Transformer Language Models without Positional Encodings, arXiv:2203.16634"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: learned positions are a term of the sum that enters the first block."""
    return without_position_embedding(module)
