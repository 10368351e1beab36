"""Steps the embeddings every second time only, with the gradients of two steps added up."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "Embeddings change slowly, so the time of every second of their updates can be saved."
SOURCE = "modded-nanogpt record 39 (Adam every second step)"

CODE = '''
held_gradients = {}


def hold_every_second(model):
    """Add up the embeddings' gradients of two steps; in the first of them the optimizer sees none."""
    tables = (part for part in model.modules() if isinstance(part, nn.Embedding))
    for p in {p for table in tables for p in table.parameters()}:  # one table may hold another
        if p.grad is not None and p in held_gradients:
            p.grad.add_(held_gradients.pop(p))
        elif p.grad is not None:
            held_gradients[p], p.grad = p.grad, None
'''


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where gradients are held already, or the model is not known where the optimizer steps."""
    if "hold_every_second" in edit.names_in_use(module):
        raise Refused("the embeddings are stepped every second time already")
    model, step = training.model_name(module), training.optimizer_step(module).once
    training.require_name(module, step, model)
    module = training.define(module, step, CODE)
    return training.before_step(module, f"hold_every_second({model})")
