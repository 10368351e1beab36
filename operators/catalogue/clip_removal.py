"""Removes the clipping of the gradient's norm, a loop that did nothing else, and the number that belonged to it."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import _edit as edit
from operators.catalogue import _training as training
from operators.catalogue._tree import path

IDEA = "An optimizer that normalises its updates does not need the gradient clipped."
SOURCE = "KellerJordan/modded-nanogpt, train_gpt.py, which does without"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where there is no single statement that clips."""
    line = training.only(training.outside_classes(module, training.CLIP), "statement that clips the gradient")
    names = sorted(edit.names_in_use(line))
    statement = training.statement_of(module, line)
    for round_it in path(module, line)[-3:-1]:
        if isinstance(round_it, cst.For) and len(round_it.body.body) == 1:
            statement = round_it
    module = edit.replace_statement(module, statement, [])
    for name in names:
        module = edit.drop_unused(module, name)
    return module
