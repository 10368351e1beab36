"""Limits attention to the last positions in every second block, beginning with the first."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue._edit import add_constant, expression, insert_definition, replace, text
from operators.catalogue._model import after_initialisation, append_to_init, attention, block, layers, refuse_if_used

IDEA = "Most of what a block attends to is near, so that every second one can do with a short window."
SOURCE = "Beltagy et al. 2020, Longformer, arXiv:2004.05150; modded-nanogpt record 20 (long-short attention)"

FUNCTION = '''
def windowed_attention(q, k, v, window):
    """Causal attention of heads (B, H, T, D) to the last `window` positions, or to all if it is None."""
    T = q.size(-2)
    if window is None or window >= T:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    mask = torch.ones(T, T, dtype=torch.bool, device=q.device).tril().triu(1 - window)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
'''


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: fused causal attention without other options, and blocks in a list."""
    refuse_if_used(module, "windowed_attention", "window")
    site = attention(module)
    names = f"{site.query}, {site.key}, {site.value}"
    if text(site.mixed) != f"F.scaled_dot_product_attention({names}, is_causal=True)":
        raise Refused(f"`{site.name}` does not call `scaled_dot_product_attention(q, k, v, is_causal=True)`")
    module = replace(module, site.mixed, expression(f"windowed_attention({names}, self.window)"))
    module = insert_definition(module, FUNCTION, before=site.name)
    module = append_to_init(module, site, "self.window = None")
    inner, container = block(module).attention, layers(module).container
    local = f"for block in {container}[::2]:\n    block.{inner}.window = SHORT_WINDOW"
    return add_constant(after_initialisation(module, local), "SHORT_WINDOW", 64, "knob: 8..256 log")
