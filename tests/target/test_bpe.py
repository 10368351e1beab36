"""Merged bytes: trained, cached, counted in bytes, and the same in the judge and in the script's tokenizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import corpus
from texts import Scale, Texts

pytest.importorskip("rustbpe")


def test_tokens_cover_the_text_byte_for_byte(tmp_path: Path) -> None:
    words = ["while", "return", "matrix", "naïve", "x_1", "12345", "+=", "\n\n    "]
    generator = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for i in range(300):
        text = " ".join(words[w] for w in generator.integers(0, len(words), 300))
        (tmp_path / "data" / f"{i}.txt").write_text(text)
    prepared = corpus.load(tmp_path / "cache", tmp_path / "data", print)
    scale = Scale("tiny", "cpu", "cpu", 1.0, "bpe", 64, 1024, 1024, vocab_size=300)
    texts = Texts(prepared, scale, print)
    assert texts.vocab_size == 300
    for split in ("train", "val", "test"):
        tokens = texts.split(split)
        assert b"".join(texts.tokens[t] for t in tokens) == prepared.text(split).tobytes()
        assert texts.lengths[tokens].sum() == prepared.sizes[split]
        assert len(tokens) < prepared.sizes[split] / 2
