"""Byte-pair encoding of a corpus (Sennrich, Haddow and Birch 2016, on bytes), trained and applied once and cached.

Needs `rustbpe` of the extra `gpu`, imported when it is used. The vocabulary is trained on the first part of the text.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from corpus import SEPARATOR, SPLITS, Corpus
from documents import DataError

PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d{1,3}| ?[^\s\w]+|_+|\s+(?!\S)|\s+"  # pieces that merges stay within
TRAINING_BYTES = 50_000_000
BLOCK = 4096  # documents encoded at once


def encode_corpus(corpus: Corpus, vocab_size: int, say: Callable[[str], None]) -> Path:
    """The folder with `<split>.bin` (uint16) and `tokens.json`, made now if it is not there."""
    folder = corpus.folder / f"bpe-{vocab_size}"
    if (folder / "tokens.json").exists():
        return folder
    try:
        import rustbpe
    except ImportError as error:
        raise DataError("a vocabulary of merged bytes needs rustbpe: pip install rustbpe (extra gpu)") from error
    say(f"training a vocabulary of {vocab_size} tokens, then encoding {sum(corpus.sizes.values()) / 1e6:.0f} MB")
    tokenizer = rustbpe.Tokenizer()
    tokenizer.train_from_iterator(_documents(corpus, "train", TRAINING_BYTES), vocab_size, pattern=PATTERN)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=corpus.folder))
    try:
        for split in SPLITS:
            with (draft / f"{split}.bin").open("wb") as file:
                for block in _blocks(_documents(corpus, split)):
                    for tokens in tokenizer.batch_encode(block):
                        file.write(np.asarray(tokens, dtype=np.uint16).tobytes())
            say(f"encoded {split}")
        (draft / "tokens.json").write_text(json.dumps([bytes(token).hex() for token, _ in _ranked(tokenizer)]))
        draft.rename(folder)
    except OSError:
        if not (folder / "tokens.json").exists():  # else another process was faster
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def read_tokens(folder: Path) -> list[bytes]:
    """The bytes of each token, in the order of their numbers, which is the order of merging."""
    return [bytes.fromhex(token) for token in json.loads((folder / "tokens.json").read_text())]


def read_split(folder: Path, split: str) -> npt.NDArray[np.integer]:
    path = folder / f"{split}.bin"
    return np.memmap(path, dtype=np.uint16, mode="r") if os.path.getsize(path) else np.zeros(0, dtype=np.uint16)


def _ranked(tokenizer: object) -> list[tuple[bytes, int]]:
    return sorted(tokenizer.get_mergeable_ranks(), key=lambda pair: pair[1])  # type: ignore[attr-defined]


def _documents(corpus: Corpus, split: str, most: int | None = None) -> Iterator[str]:
    """Documents with their separator; bytes that are no UTF-8 become U+FFFD."""
    text, start = corpus.text(split), 0
    ends = np.flatnonzero(text == SEPARATOR[0]) + 1
    for end in ends:
        if most is not None and start > most:
            return
        yield text[start:end].tobytes().decode(errors="replace")
        start = int(end)


def _blocks(documents: Iterator[str]) -> Iterator[list[str]]:
    block: list[str] = []
    for document in documents:
        block.append(document)
        if len(block) == BLOCK:
            yield block
            block = []
    yield block
