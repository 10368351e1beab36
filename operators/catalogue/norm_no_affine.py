"""Removes the learned gains and biases of the norms."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue._edit import expression, replace_all
from operators.catalogue._tree import find

IDEA = "The linear layer after a norm can learn its gain, so that the norm needs no parameters."
SOURCE = "Groeneveld et al. 2024, OLMo, arXiv:2402.00838 (non-parametric layer norm)"

_SILENT = m.DoesNotMatch(m.Arg(keyword=m.Name("elementwise_affine")))
NORM = m.Call(
    func=m.Attribute(attr=m.Name("LayerNorm") | m.Name("RMSNorm")),
    args=[m.AtLeastN(_SILENT, n=1)],
)


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: the script constructs norms that have gains by default."""
    found = find(module, NORM)
    if not found:
        raise Refused("the script constructs no norm with a gain")
    return replace_all(module, {call: _plain(call) for call in found})


def _plain(node: cst.CSTNode) -> cst.Call:
    call = cst.ensure_type(node, cst.Call)
    plain = cst.ensure_type(expression("f(elementwise_affine=False)"), cst.Call).args[0]
    kept = [arg for arg in call.args if arg.keyword is None or arg.keyword.value != "bias"]
    return call.with_changes(args=[*kept, plain])
