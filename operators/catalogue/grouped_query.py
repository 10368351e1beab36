"""Lets groups of query heads share a key and a value head."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue._edit import add_constant
from operators.catalogue._heads import with_shared_heads

IDEA = "Fewer heads for keys and values than for queries save parameters and arithmetic at little loss."
SOURCE = "Ainslie et al. 2023, GQA, arXiv:2305.13245"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: queries, keys and values are linear in the input, and no heads are shared yet."""
    return with_shared_heads(add_constant(module, "KV_HEADS", 2, "knob: 1|2"), "KV_HEADS")
