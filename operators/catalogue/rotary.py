"""Replaces learned positions by a rotation of queries and keys that grows with the position."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue._edit import add_constant, insert_before, insert_definition
from operators.catalogue._model import attention, refuse_if_used
from operators.catalogue._positions import position_embedding, without_position_embedding
from operators.catalogue._tree import find

IDEA = "Attention that sees relative positions, as angles between queries and keys, needs no learned positions."
SOURCE = "Su et al. 2021, RoFormer, arXiv:2104.09864; modded-nanogpt record 2"

ROTARY = '''
def rotary(x):
    """Heads (B, H, T, D) with each pair of channels turned by an angle in proportion to the position."""
    T, D = x.shape[-2:]
    frequency = ROTARY_BASE ** (-torch.arange(0, D, 2, device=x.device) / D)
    angle = torch.outer(torch.arange(T, device=x.device), frequency)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)
'''


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: attention with named queries and keys, and no sine in the script. Learned positions are removed."""
    if find(module, m.Attribute(attr=m.Name("sin"))):
        raise Refused("the script computes sines: it has rotary or sinusoidal positions already")
    refuse_if_used(module, "rotary")
    module = add_constant(module, "ROTARY_BASE", 10_000, "knob: 100..1e6 log")
    site = attention(module)
    module = insert_before(module, site.score, f"{site.query}, {site.key} = rotary({site.query}), rotary({site.key})")
    module = insert_definition(module, ROTARY, before=site.name)
    return without_position_embedding(module) if position_embedding(module) else module
