"""Frees norms, biases and embeddings from weight decay by giving them a parameter group of their own."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "Weight decay helps matrices; gains, biases and embeddings are better left alone."
SOURCE = "Radford et al. 2018 (GPT), section 4.1; karpathy/minGPT, configure_optimizers"

BODY = (
    "[p for part in model.modules() for p in part.parameters(recurse=False)"
    " if p.ndim < 2 or isinstance(part, nn.Embedding)]"
)


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where these parameters have a group already, or AdamW decays nothing."""
    if "undecayed" in edit.names_in_use(module):
        raise Refused("norms, biases and embeddings are not decayed already")
    decay = training.keyword(training.adamw(module), "weight_decay")
    if decay is not None and edit.text(decay.value) in {"0", "0.0"}:
        raise Refused("AdamW decays nothing")
    return training.split_groups(module, "undecayed", BODY, "weight_decay=0.0")
