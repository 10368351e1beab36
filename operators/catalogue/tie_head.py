"""Makes the head share the matrix of the token embedding."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue._edit import text
from operators.catalogue._model import after_initialisation, calls, model
from operators.catalogue._tying import tying_statement

IDEA = "One matrix for reading and predicting tokens halves the largest tables and shares what they learn."
SOURCE = "Press & Wolf 2017, Using the Output Embedding to Improve Language Models, arXiv:1608.05859"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: the two weights are not tied, and no optimizer has a group for one of them alone."""
    if tying_statement(module) is not None:
        raise Refused("embedding and head are tied already")
    role = model(module)
    own = m.Attribute(value=m.Attribute(attr=m.Name(role.head)), attr=m.Name("parameters"))
    if any(m.matches(call.func, own) for call in calls(module)):
        raise Refused(f"the optimizer has a parameter group of its own for `{role.head}`")
    if "bias=False" not in text(role.linears[role.head]).replace(" ", ""):
        raise Refused(f"the head `{role.head}` has a bias")
    return after_initialisation(module, f"self.{role.head}.weight = self.{role.tokens}.weight")
