"""Lets each token's embedding mix with the one before it, channel by channel, by learned weights."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue._embedding import with_embedding_class
from operators.catalogue._model import refuse_if_used

IDEA = "A look at the previous token before the first layer spares attention the work of copying it."
SOURCE = "Peng et al. 2023, RWKV (token shift), arXiv:2305.13048; karpathy/nanochat, gpt.py (smear gate)"

CLASS = '''
class SmearEmbedding(Embedding):
    """Token embedding plus a learned share of the previous token's, per channel; indices (B, T)."""

    def __init__(self, vocab_size, dim):
        super().__init__(vocab_size, dim)
        self.smear = nn.Parameter(torch.zeros(dim))

    def forward(self, idx):
        x = super().forward(idx)
        return x + self.smear * F.pad(x, (0, 0, 1, 0))[:, :-1]
'''


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: a token embedding constructed from a size and a width."""
    refuse_if_used(module, "SmearEmbedding")
    return with_embedding_class(module, CLASS)
