"""Gives the head a matrix of its own instead of the token embedding's."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue._edit import replace_statement
from operators.catalogue._tying import tying_statement

IDEA = "Reading a token and predicting it are different jobs, so embedding and head should be different matrices."
SOURCE = "modded-nanogpt record 8 (untied embedding and head)"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: the model's constructor assigns one of the two weights to the other."""
    statement = tying_statement(module)
    if statement is None:
        raise Refused("embedding and head are not tied")
    return replace_statement(module, statement, [])
