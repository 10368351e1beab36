"""Normalises queries and keys, head by head, before they are compared."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue._edit import insert_before, text
from operators.catalogue._model import attention, callee, calls

IDEA = "With queries and keys of unit root mean square, attention scores stay bounded and larger steps are stable."
SOURCE = "Henry et al. 2020, Query-Key Normalization for Transformers, arXiv:2010.04245; modded-nanogpt record 5"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: attention with named queries and keys that are not normalised yet."""
    site = attention(module)
    for call in calls(site.forward):
        if "norm" in callee(call) and call.args and text(call.args[0].value).find(site.query) >= 0:
            raise Refused(f"`{site.name}` normalises its queries already")
    lines = [f"{name} = F.rms_norm({name}, ({name}.size(-1),))" for name in (site.query, site.key)]
    return insert_before(module, site.score, "\n".join(lines))
