"""Lets attention and MLP of a block read the same input, and adds both at once."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue._edit import expression, replace, replace_statement, text
from operators.catalogue._model import block, body, branches

IDEA = "Attention and MLP that read the same input need one synchronisation a block less, at little loss."
SOURCE = "Wang & Komatsuzaki 2021, GPT-J-6B; Chowdhery et al. 2022, PaLM, arXiv:2204.02311"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: two residual branches on the same stream, one statement after the other."""
    found = branches(module)
    if len(found) != 2 or found[0].stream != found[1].stream:
        raise Refused("the block is not a sequence of two residual branches")
    first, second = (body(block(module).forward).index(branch.statement) for branch in found)
    if second != first + 1:
        raise Refused("something else happens between the two residual branches")
    joint = expression(f"{found[0].stream} + {text(found[0].branch)}")
    module = replace_statement(module, found[0].statement, [])
    return replace(module, branches(module)[0].total.left, joint)
