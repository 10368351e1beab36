"""What a training script may import: data, tokenizer, budget, progress and evaluation. Never evolved.

This is a thin client of the judge (judge.py), a process that owns the texts, the seed, the clock and the arithmetic
of the score. By hand, importing this module starts a judge for the calling process; in a box the judge is there
already. Validation text never comes here: `evaluate_bpb` receives inputs and gives logits back.

Run as a script, it prepares the data: `python train_target/prepare.py`. By hand the environment variables
EVOLVE_BUDGET (seconds), EVOLVE_SCALE (cpu, gpu), EVOLVE_DATA (a folder of text), EVOLVE_SEED and EVOLVE_CACHE are read.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

import seeding
from client import BudgetUsed as BudgetUsed
from client import Judge as _Judge  # noqa: F401  timed where the harness is measured
from client import connect, evaluate

Batch = tuple[torch.Tensor, torch.Tensor, int]
FOLDER = Path(__file__).resolve().parent


def progress() -> float:
    """Share of the training budget used when the last batch was handed out, on the judge's clock: 0 to 1."""
    return _judge.progress


class Tokenizer:
    """Text to tokens and back. At the CPU scale a token is a byte, at the GPU scale merged bytes."""

    def __init__(self, tokens: list[bytes], pattern: str) -> None:
        self._tokens = tokens
        self._numbers = {token: number for number, token in enumerate(tokens)}
        self._pattern = re.compile(pattern)

    @classmethod
    def from_directory(cls) -> Tokenizer:
        """The judge's tokenizer."""
        answer, raw = _judge.ask(op="tokenizer")
        return cls([bytes.fromhex(token) for token in json.loads(raw)], str(answer["pattern"]))

    def get_vocab_size(self) -> int:
        return len(self._tokens)

    def encode(self, text: str) -> list[int]:
        return [number for piece in self._pattern.findall(text) for number in self._merge(piece.encode())]

    def decode(self, tokens: list[int]) -> str:
        return b"".join(self._tokens[token] for token in tokens).decode(errors="replace")

    def _merge(self, piece: bytes) -> list[int]:
        """Merge the pair of neighbours that was merged first in training, until none is in the vocabulary."""
        parts = [bytes([byte]) for byte in piece]
        while len(parts) > 1:
            ranks = [self._numbers.get(a + b, len(self._tokens)) for a, b in itertools.pairwise(parts)]
            first = min(range(len(ranks)), key=ranks.__getitem__)
            if ranks[first] == len(self._tokens):
                break
            parts[first : first + 2] = [parts[first] + parts[first + 1]]
        return [self._numbers[part] for part in parts]


class _Loader:
    """Batches from the judge. Its end is `BudgetUsed`, a StopIteration."""

    def __init__(self, rows: int, length: int, split: str) -> None:
        self._request = {"rows": rows, "length": length, "split": split}

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        raw, epoch = _judge.batch(self._request)
        tokens = _tokens(raw, self._request["rows"])
        return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous(), epoch


def make_dataloader(tokenizer: Tokenizer, B: int, T: int, split: str) -> Iterator[Batch]:
    """Batches `(x, y, epoch)` of int64 tokens (B, T) on DEVICE; `y` is `x` one token later.

    `split` is "train": the clock starts with the first batch, and the iterator ends when the budget is used; or
    "warmup": a few batches of random tokens, free, before that. Raises ValueError for any other split, and for T
    above MAX_SEQ_LEN.
    """
    if split not in ("train", "warmup"):
        raise ValueError(
            f'no split {split!r} here: "train" and "warmup" are; evaluate_bpb scores on validation text, '
            "which stays with the judge"
        )
    if not 1 <= T <= MAX_SEQ_LEN:
        raise ValueError(f"T is {T}, but must be from 1 to MAX_SEQ_LEN, {MAX_SEQ_LEN}")
    if B < 1:
        raise ValueError(f"B is {B}, but must be at least 1")
    return _Loader(B, T, split)


def evaluate_bpb(model: torch.nn.Module, tokenizer: Tokenizer, batch_size: int) -> float:
    """Bits per byte of `model` on validation text. Stops the clock; may be called once.

    `model(x)` must map int64 tokens (R, MAX_SEQ_LEN) to floating-point logits (R, MAX_SEQ_LEN, vocabulary); R is the
    same in all calls: `batch_size`, or EVAL_ROWS if that is less, or less still where few rows are scored. On the CPU
    one part of the calls happens in a fork of this process. Raises ValueError when the model does not, and where the
    judge refuses.
    """
    told = evaluate(_judge, model, batch_size, DEVICE, _tokens, "(rows, MAX_SEQ_LEN, vocabulary)")
    return told["val_bpb"]


def _tokens(raw: bytearray, rows: int) -> torch.Tensor:
    return torch.frombuffer(raw, dtype=TOKEN_DTYPE).view(rows, -1).to(DEVICE, torch.long)


if __name__ == "__main__":
    sys.exit(subprocess.call([sys.executable, str(FOLDER / "judge.py"), "--prepare", *sys.argv[1:]]))

_judge = connect(FOLDER)
_hello, _ = _judge.ask(op="hello")
TIME_BUDGET: float = _hello["budget"]
MAX_SEQ_LEN: int = _hello["max_seq_len"]
VOCAB_SIZE: int = _hello["vocab_size"]
EVAL_ROWS: int = _hello.get("eval_rows", 1)
DEVICE: str = _hello["device"]
TOKEN_DTYPE = torch.uint8 if VOCAB_SIZE <= 256 else torch.uint16
if DEVICE == "cpu":
    torch.set_num_threads(1)  # as in a box: more threads cost more CPU-seconds than they save
seeding.seed_everything(_hello["seed"])
