"""Replaces every LayerNorm by an RMSNorm of the same width and epsilon."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue._edit import replace_all
from operators.catalogue._tree import find

IDEA = "Normalising by the root mean square alone, without centring and without a bias, is enough."
SOURCE = "Zhang & Sennrich 2019, Root Mean Square Layer Normalization, arXiv:1910.07467"

LAYER_NORM = m.Call(func=m.Attribute(attr=m.Name("LayerNorm")))


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: the script constructs `nn.LayerNorm`."""
    found = find(module, LAYER_NORM)
    if not found:
        raise Refused("the script constructs no nn.LayerNorm")
    return replace_all(module, {call: _rms_norm(call) for call in found})


def _rms_norm(node: cst.CSTNode) -> cst.Call:
    call = cst.ensure_type(node, cst.Call)
    kept = [arg for arg in call.args if arg.keyword is None or arg.keyword.value != "bias"]
    kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    function = cst.ensure_type(call.func, cst.Attribute)
    return call.with_changes(func=function.with_changes(attr=cst.Name("RMSNorm")), args=kept)
