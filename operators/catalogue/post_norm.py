"""Moves the norm of each residual branch from its input to the sum, as in the first transformer."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue._edit import expression, replace, text
from operators.catalogue._model import Branch, branches

IDEA = "Normalising the residual stream itself after each branch keeps every layer's contribution at the same scale."
SOURCE = "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762; Xiong et al. 2020, arXiv:2002.04745"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: every residual branch is `x + f(norm(x))`."""
    if not branches(module):
        raise Refused("the block has no residual branches of the form `x + f(norm(x))`")
    while found := branches(module):
        module = replace(module, found[0].total, expression(_normalised_sum(found[0])))
    return module


def _normalised_sum(branch: Branch) -> str:
    norm, *others = (arg.value for arg in branch.branch.args)
    if not isinstance(norm, cst.Call) or [text(arg.value) for arg in norm.args] != [branch.stream]:
        raise Refused(f"the residual branch `{text(branch.branch)}` does not begin with a norm of the stream")
    inputs = ", ".join([branch.stream, *(text(value) for value in others)])
    return f"{text(norm.func)}({branch.stream} + {text(branch.branch.func)}({inputs}))"
