"""Makes the head share the matrix of the token embedding."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue._edit import drop_unused, text
from operators.catalogue._model import after_initialisation, calls, model
from operators.catalogue._tree import find, names, spliced
from operators.catalogue._tying import tying_statement

IDEA = "One matrix for reading and predicting tokens halves the largest tables and shares what they learn."
SOURCE = "Press & Wolf 2017, Using the Output Embedding to Improve Language Models, arXiv:1608.05859"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: the two weights are not tied, and the head shares no parameter group with some other parameters.

    A group of the head alone is dropped with its constants: the matrix is stepped as the embedding is.
    """
    if tying_statement(module) is not None:
        raise Refused("embedding and head are tied already")
    role = model(module)
    if "bias=False" not in text(role.linears[role.head]).replace(" ", ""):
        raise Refused(f"the head `{role.head}` has a bias")
    module = _without_own_group(module, role.head)
    return after_initialisation(module, f"self.{role.head}.weight = self.{role.tokens}.weight")


def _without_own_group(module: cst.Module, head: str) -> cst.Module:
    """Without the parameter group that holds the head and nothing else: no parameter may be in two groups."""
    own = m.Attribute(value=m.Attribute(attr=m.Name(head)), attr=m.Name("parameters"))
    asked = [call for call in calls(module) if m.matches(call.func, own)]
    groups = [element for element in find(module, m.Element()) if _is_group_of(element, own)]
    lists = [node for node in find(module, m.List()) if set(cst.ensure_type(node, cst.List).elements) & set(groups)]
    if len(asked) != len(groups) or any(len(cst.ensure_type(node, cst.List).elements) < 2 for node in lists):
        raise Refused(f"the optimizer takes the parameters of `{head}` by name, but not as one group of several")
    changed = spliced(module, {group: [] for group in groups})
    for name in dict.fromkeys(name for group in groups for name in names(group)):
        changed = drop_unused(changed, name)
    return changed


def _is_group_of(element: cst.CSTNode, own: m.Attribute) -> bool:
    """Whether an element of a list is a dictionary whose "params" are those that the method `own` gives."""
    taken = m.Call(func=own)
    params = taken | m.Call(func=m.Name("list"), args=[m.Arg(taken)])
    key = m.SimpleString('"params"') | m.SimpleString("'params'")
    written = m.Dict(elements=[m.ZeroOrMore(), m.DictElement(key, params), m.ZeroOrMore()])
    called = m.Call(
        func=m.Name("dict"),
        args=[m.ZeroOrMore(), m.Arg(params, keyword=m.Name("params")), m.ZeroOrMore()],
    )
    return m.matches(element, m.Element(written | called))
