"""Transformations applied to the result of others keep their meaning; so do numbers at the ends of their ranges."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F

from operators.catalogue import (
    Transformation,
    embeddings_every_second_step,
    hashed_bigram,
)
from tests.operators.catalogue.harness import SCRIPTS, transformed


def defined(code: str, **constants: float) -> dict[str, Any]:
    """What `code` defines, given these constants."""
    scope: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, **constants}
    exec(code, scope)
    return scope


def both(first: Transformation, second: Transformation, script: str = "plain") -> str:
    """A script after two transformations."""
    return transformed(second, transformed(first, SCRIPTS[script]))


def test_a_table_within_a_table_is_held_once() -> None:
    scope = defined(hashed_bigram.CLASS.replace("(Embedding)", "(nn.Embedding)"), BIGRAM_BUCKETS=5)
    hold = defined(embeddings_every_second_step.CODE)["hold_every_second"]
    table = scope["BigramEmbedding"](3, 2)
    seen = []
    for _ in range(4):
        table.pairs.weight.grad = torch.ones(5, 2)
        hold(nn.ModuleList([table]))
        seen.append(None if table.pairs.weight.grad is None else table.pairs.weight.grad.max().item())
    assert seen == [None, 2.0, None, 2.0]
