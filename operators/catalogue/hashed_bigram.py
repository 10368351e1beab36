"""Adds to each token's embedding one of the pair that it forms with the token before it, found by a hash."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue._edit import add_constant
from operators.catalogue._embedding import with_embedding_class
from operators.catalogue._model import after_initialisation, model, refuse_if_used

IDEA = "A table of pairs of neighbouring tokens gives bigram statistics for free, and the layers learn the rest."
SOURCE = "modded-nanogpt record 62 (bigram hash embedding); Huang et al. 2025, arXiv:2501.16975"

CLASS = '''
class BigramEmbedding(Embedding):
    """Token embedding plus an embedding of the hashed pair (previous token, token); indices (B, T)."""

    def __init__(self, vocab_size, dim):
        super().__init__(vocab_size, dim)
        self.pairs = nn.Embedding(BIGRAM_BUCKETS, dim)

    def forward(self, idx):
        previous = F.pad(idx, (1, 0))[:, :-1]
        return super().forward(idx) + self.pairs((36_313 * previous + 27_191 * idx) % BIGRAM_BUCKETS)
'''


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: a token embedding constructed from a size and a width.

    The table is zeroed where the model has its first weights: many scripts give random ones to every embedding in it.
    """
    refuse_if_used(module, "BigramEmbedding")
    module = add_constant(module, "BIGRAM_BUCKETS", 8_192, "knob: 1024..262144 log")
    module = with_embedding_class(module, CLASS)
    return after_initialisation(module, f"nn.init.zeros_(self.{model(module).tokens}.pairs.weight)")
