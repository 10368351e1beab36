"""Removes the clipping of the gradient's norm, and the number that belonged to it."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "An optimizer that normalises its updates does not need the gradient clipped."
SOURCE = "karpathy/nanochat and modded-nanogpt, which do without"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where there is no single statement that clips."""
    line = training.only(training.outside_classes(module, training.CLIP), "statement that clips the gradient")
    names = sorted(edit.names_in_use(line))
    module = edit.replace_statement(module, training.statement_of(module, line), [])
    for name in names:
        module = edit.drop_unused(module, name)
    return module
