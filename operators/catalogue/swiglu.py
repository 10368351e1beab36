"""Turns the MLP into a gated one of about equal parameters: two thirds of the hidden width, twice."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue._edit import expression, replace
from operators.catalogue._mlp import feed_forward, with_activation
from operators.catalogue._model import factor, refuse_if_used

IDEA = "An MLP whose hidden values are gated by a second projection is better at equal parameters."
SOURCE = "Shazeer 2020, GLU Variants Improve Transformer, arXiv:2002.05202"

FUNCTION = '''
def swiglu(x):
    """The second half of the channels, gated by the SiLU of the first."""
    gate, value = x.chunk(2, dim=-1)
    return F.silu(gate) * value
'''


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: an MLP of two linear layers without a gate."""
    refuse_if_used(module, "swiglu", "Swiglu")
    module = with_activation(module, FUNCTION)
    hidden = factor(feed_forward(module).contract.args[0].value)
    gated = f"{hidden} // 12 * 8"  # two thirds of the width, rounded down to a multiple of 8
    module = replace(module, feed_forward(module).expand.args[1].value, expression(f"2 * ({gated})"))
    return replace(module, feed_forward(module).contract.args[0].value, expression(gated))
