"""Gates the result of each attention head by a sigmoid of the block's input."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue._edit import expression, insert_before, replace, text
from operators.catalogue._model import append_to_init, assigned, attention, body, refuse_if_used

IDEA = "A head that can be switched off at a position need not attend to a meaningless token there."
SOURCE = "Qiu et al. 2025, Gated Attention for Large Language Models, arXiv:2505.06708; modded-nanogpt record 28"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: attention whose input keeps its name until the heads are mixed."""
    refuse_if_used(module, "head_gate")
    site = attention(module)
    if any((pair := assigned(s)) and pair[0] == site.input for s in body(site.forward)):
        raise Refused(f"`{site.name}.forward` assigns to its input `{site.input}`")
    gate = f"head_gate = 2 * torch.sigmoid(self.head_gate({site.input})).transpose(1, 2).unsqueeze(-1)"
    module = insert_before(module, site.score, gate)
    mixed = attention(module).mixed
    alone = any((pair := assigned(s)) and pair[1] is mixed for s in body(attention(module).forward))
    gated = f"head_gate * {text(mixed)}"
    module = replace(module, mixed, expression(gated if alone else f"({gated})"))
    return append_to_init(module, site, f"self.head_gate = nn.Linear({site.width}, {site.heads}, bias=False)")
