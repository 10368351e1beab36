"""Adds a second embedding of the tokens to the values of every attention, by a learned weight for each."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue._edit import insert_after, insert_before, replace, text
from operators.catalogue._model import (
    append_to_init,
    assigned,
    attention,
    block,
    body,
    calls,
    embeddings,
    layers,
    model,
    refuse_if_used,
)
from operators.catalogue._tree import find

IDEA = "Values that know their token directly, whatever the stream has become, make attention's work easier."
SOURCE = "Zhou et al. 2024, Value Residual Learning, arXiv:2410.17897; modded-nanogpt record 14"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: one embedding of the tokens, and an optimizer that takes all parameters of the model."""
    refuse_if_used(module, "value_embedding", "share_heads")
    role = model(module)
    lookups = [c for c in calls(role.forward) if [text(a.value) for a in c.args] == [role.input]]
    if len(lookups) != 1:
        raise Refused(f"`{role.name}` looks something else up by its tokens already")
    if not find(module, m.Call(func=m.Attribute(value=m.Name(), attr=m.Name("parameters")))):
        raise Refused("the optimizer takes the parameters of chosen parts of the model")
    size = ", ".join(text(arg.value) for arg in embeddings(role)[role.tokens].args)
    tokens = next(s for s in body(role.init) if (pair := assigned(s)) and pair[0] == f"self.{role.tokens}")
    module = insert_after(module, tokens, f"self.value_embedding = nn.Embedding({size})")
    module = insert_before(module, layers(module).loop, f"value_embedding = self.value_embedding({role.input})")
    module = _passed(module, layers(module).step, layers(module).block)
    module = _received(module, block(module).forward)
    module = _passed(module, block(module).forward, f"self.{block(module).attention}")
    module = _received(module, attention(module).forward)
    return _mixed(module)


def _passed(module: cst.Module, where: cst.CSTNode, function: str) -> cst.Module:
    """The only call of `function` within `where` with the value embedding as its last argument."""
    found = [call for call in calls(where) if text(call.func) == function]
    if len(found) != 1:
        raise Refused(f"`{function}` is not called exactly once")
    argument = cst.Arg(cst.Name("value_embedding"))
    return replace(module, found[0], found[0].with_changes(args=[*found[0].args, argument]))


def _received(module: cst.Module, forward: cst.FunctionDef) -> cst.Module:
    """A forward pass with the value embedding as its last parameter."""
    parameters = [*forward.params.params, cst.Param(cst.Name("value_embedding"))]
    return replace(module, forward.params, forward.params.with_changes(params=parameters))


def _mixed(module: cst.Module) -> cst.Module:
    """The value embedding added to the values before they are mixed."""
    site = attention(module)
    heads = f"value_embedding.unflatten(-1, (-1, {site.value}.size(-1))).transpose(1, 2)"
    module = insert_before(module, site.score, f"{site.value} = {site.value} + self.value_weight * {heads}")
    return append_to_init(module, site, "self.value_weight = nn.Parameter(torch.tensor(0.5))")
