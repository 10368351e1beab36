"""A scale of the target, and the tokens of a corpus at that scale."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

import bpe
from clock import known_clock
from corpus import Corpus
from documents import DataError
from scoring import Tokens, choose_rows
from sources import SOURCES

FOLDER = Path(__file__).resolve().parent
OF_THE_ENGINE = ("hints", "bindings", "smoke_seconds")  # keys of a scale that the judge does not read
SEARCHED = ("val",)  # texts that a search scores on
REPORTED = ("val", "test", "second")  # and those of the final report
SMALLEST_EVALUATION = 16  # rows


@dataclass(frozen=True)
class Scale:
    """What target.toml says of one scale; `budget` in seconds of its `clock`, `eval_tokens` at the full budget.

    `corpus` is a kind of SOURCES, used where no text of the user's own is given. `device_memory_mb` is what a trial
    may have of a GPU's memory, 0 for all of it.
    """

    name: str
    device: str
    clock: str
    budget: float
    tokenizer: str
    max_seq_len: int
    eval_tokens: int
    memory_mb: int
    vocab_size: int = 256
    device_memory_mb: int = 0
    corpus: str = "sympy"

    @classmethod
    def read(cls, name: str) -> Scale:
        """Raises DataError where there is no such scale, a key in it that nothing reads, or an unknown clock."""
        scales = tomllib.loads((FOLDER / "target.toml").read_text()).get("scales", {})
        if name not in scales:
            raise DataError(f"no scale {name!r} in target.toml; there are {', '.join(scales)}")
        known = [field for field in cls.__dataclass_fields__ if field != "name"]
        if unknown := sorted(scales[name].keys() - {*known, *OF_THE_ENGINE}):
            raise DataError(
                f"[scales.{name}] in target.toml knows {', '.join([*known, *OF_THE_ENGINE])}, not {', '.join(unknown)}"
            )
        kind = scales[name].get("corpus", cls.corpus)
        if kind not in SOURCES:
            raise DataError(f"[scales.{name}] in target.toml: the corpus is {' or '.join(SOURCES)}, not {kind!r}")
        known_clock(name, scales[name].get("clock"))
        return cls(name=name, **{key: value for key, value in scales[name].items() if key in known})


class Texts:
    """Tokens of the splits of a corpus: bytes as they are, or merged bytes.

    `tokens[v]` are the bytes of token v, `lengths[v]` their number. Raises DataError where encoding is impossible.
    """

    def __init__(self, corpus: Corpus, scale: Scale, say: Callable[[str], None]) -> None:
        self.corpus = corpus
        self.key = corpus.sha256
        self._encoded = bpe.encode_corpus(corpus, scale.vocab_size, say) if scale.tokenizer == "bpe" else None
        self.tokens = bpe.read_tokens(self._encoded) if self._encoded else [bytes([i]) for i in range(256)]
        self.vocab_size = len(self.tokens)
        self.lengths: npt.NDArray[np.integer] = np.array([len(token) for token in self.tokens])

    @cached_property
    def train(self) -> npt.NDArray[np.integer]:
        return self.split("train")

    def split(self, name: str) -> npt.NDArray[np.integer]:
        return bpe.read_split(self._encoded, name) if self._encoded else self.corpus.text(name)


def evaluation_rows(texts: Texts, scale: Scale, labels: Iterable[str], share: float = 1.0) -> dict[str, Tokens]:
    """The rows (N, max_seq_len + 1) that a share of a full evaluation scores, of each of these texts that exists."""
    length = scale.max_seq_len
    count = max(SMALLEST_EVALUATION, round(scale.eval_tokens * share / length))
    return {
        label: choose_rows(text, length, count, texts.key)
        for label in labels
        if len(text := texts.split(label)) > length
    }
