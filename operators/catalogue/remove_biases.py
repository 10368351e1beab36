"""Removes the biases of linear layers and layer norms."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue._edit import expression, replace_all
from operators.catalogue._tree import find

IDEA = "Biases contribute nothing at this size, and cost time in every step."
SOURCE = "Chowdhery et al. 2022, PaLM, arXiv:2204.02311 (no biases)"

_SILENT = m.DoesNotMatch(m.Arg(keyword=m.Name("bias") | m.Name("elementwise_affine")))
_TWO = [m.Arg(keyword=None), m.Arg(keyword=None)]
LINEAR = m.Call(func=m.Attribute(attr=m.Name("Linear")), args=_TWO)
LAYER_NORM = m.Call(func=m.Attribute(attr=m.Name("LayerNorm")), args=[m.AtLeastN(_SILENT, n=1)])


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: some layer has a bias by default, and no code counts on one."""
    found = find(module, LINEAR | LAYER_NORM)
    if not found:
        raise Refused("every linear layer and layer norm says whether it has a bias")
    guarded = find(module, m.Comparison(left=m.Attribute(attr=m.Name("bias"))))
    if not guarded and find(module, m.Attribute(attr=m.Name("bias"))):
        raise Refused("the script uses biases without asking whether they are there")
    return replace_all(module, {call: _unbiased(call) for call in found})


def _unbiased(node: cst.CSTNode) -> cst.Call:
    call = cst.ensure_type(node, cst.Call)
    bias = cst.ensure_type(expression("f(bias=False)"), cst.Call).args[0]
    return call.with_changes(args=[*call.args, bias])
