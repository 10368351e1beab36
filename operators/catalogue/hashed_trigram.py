"""Adds to each token's embedding one of the triple that it forms with the two tokens before it, found by a hash."""

from __future__ import annotations

import random

import libcst as cst

from operators.catalogue._edit import add_constant
from operators.catalogue._embedding import with_embedding_class
from operators.catalogue._model import after_initialisation, model, refuse_if_used

IDEA = "A hashed table of token triples holds local statistics that the first layers would otherwise have to compute."
SOURCE = "Huang et al. 2025, Over-Tokenized Transformer, arXiv:2501.16975"

CLASS = '''
class TrigramEmbedding(Embedding):
    """Token embedding plus an embedding of the hash of (two tokens before, token); indices (B, T)."""

    def __init__(self, vocab_size, dim):
        super().__init__(vocab_size, dim)
        self.triples = nn.Embedding(TRIGRAM_BUCKETS, dim)

    def forward(self, idx):
        second, first = F.pad(idx, (1, 0))[:, :-1], F.pad(idx, (2, 0))[:, :-2]
        bucket = (48_271 * first + 36_313 * second + 27_191 * idx) % TRIGRAM_BUCKETS
        return super().forward(idx) + self.triples(bucket)
'''


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: a token embedding constructed from a size and a width.

    The table is zeroed where the model has its first weights: many scripts give random ones to every embedding in it.
    """
    refuse_if_used(module, "TrigramEmbedding")
    module = add_constant(module, "TRIGRAM_BUCKETS", 16_384, "knob: 1024..262144 log")
    module = with_embedding_class(module, CLASS)
    return after_initialisation(module, f"nn.init.zeros_(self.{model(module).tokens}.triples.weight)")
