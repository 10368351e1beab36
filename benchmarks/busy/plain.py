"""What `prepare` is without any judge or box: text, clock and score in the process that trains. Copied beside train.py.

Batches are those that the judge draws from the same seed, gathered from the mapped text and, on a GPU, copied through
pinned memory while the step before the last one runs. All of it is read from the JSON file that PLAIN_SETTINGS names;
what was measured, in seconds of the monotonic clock, is written into the file that it names in turn.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

WARMUP_BATCHES = 16
Batch = tuple[torch.Tensor, torch.Tensor, int]

_settings = json.loads(Path(os.environ["PLAIN_SETTINGS"]).read_text())
_marks = {"started": time.monotonic()}
TIME_BUDGET: float = _settings["budget"]
MAX_SEQ_LEN: int = _settings["max_seq_len"]
VOCAB_SIZE: int = _settings["vocab_size"]
EVAL_ROWS: int = _settings["eval_rows"]
DEVICE: str = _settings["device"]
_rng = np.random.default_rng(_settings["seed"])
_text = np.memmap(_settings["train"], dtype=_settings["dtype"], mode="r")
_counts = {"steps": 0, "tokens": 0}
_progress = 0.0
torch.manual_seed(_settings["seed"])
if DEVICE == "cpu":
    torch.set_num_threads(1)  # as in a box


class BudgetUsed(StopIteration):
    """The budget is used."""


class Tokenizer:
    """The number of tokens, which is all that a model needs."""

    @classmethod
    def from_directory(cls) -> Tokenizer:
        return cls()

    def get_vocab_size(self) -> int:
        return VOCAB_SIZE


def progress() -> float:
    """Share of the budget that was used when the last batch was handed out."""
    return _progress


class _Training:
    """Batches until the budget is used. The host is never more than a step ahead, so that the clock is the device's."""

    def __init__(self, rows: int, length: int) -> None:
        self._rows, self._window = rows, np.arange(length + 1)
        self._last = self._step = 0.0
        self._done: torch.cuda.Event | None = None

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        global _progress
        if self._done:
            self._done.synchronize()
        if DEVICE == "cuda":
            self._done = torch.cuda.Event()
            self._done.record()
        now = time.monotonic()
        used = now - _marks.setdefault("first", now)
        self._step, self._last = used - self._last, used
        _progress = used / TIME_BUDGET
        if used + self._step / 2 >= TIME_BUDGET:
            raise BudgetUsed
        starts = _rng.integers(0, len(_text) - len(self._window) + 1, size=self._rows)
        _counts["steps"] += 1
        _counts["tokens"] += self._rows * (len(self._window) - 1)
        return _split(_text[starts[:, None] + self._window])


class _Warmup:
    """A few batches of random tokens."""

    def __init__(self, rows: int, length: int) -> None:
        self._shape, self._left = (rows, length + 1), WARMUP_BATCHES

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if not self._left:
            raise BudgetUsed
        self._left -= 1
        return _split(_rng.integers(0, VOCAB_SIZE, size=self._shape).astype(_text.dtype))


def _split(tokens: np.ndarray) -> Batch:
    batch = torch.from_numpy(tokens)
    if DEVICE == "cuda":
        batch = batch.pin_memory().to(DEVICE, non_blocking=True)
    batch = batch.to(torch.long)
    return batch[:, :-1].contiguous(), batch[:, 1:].contiguous(), 1


def make_dataloader(tokenizer: Tokenizer, B: int, T: int, split: str) -> Iterator[Batch]:
    """Batches `(x, y, 1)` of int64 tokens (B, T) on DEVICE, for "train" or "warmup"."""
    return _Training(B, T) if split == "train" else _Warmup(B, T)


@torch.no_grad()
def evaluate_bpb(model: torch.nn.Module, tokenizer: Tokenizer, batch_size: int) -> float:
    """Bits per byte on the rows that the judge scores, each of them once, in batches of the judge's size."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    _marks["asked"] = time.monotonic()
    rows, lengths = np.load(_settings["rows"]), np.load(_settings["lengths"])
    model.eval()
    batch, nats = min(batch_size, EVAL_ROWS, len(rows)), 0.0
    for start in range(0, len(rows), batch):
        index = np.arange(start, start + batch) % len(rows)  # the last batch too is of the shape that was compiled
        x, y, _ = _split(rows[index])
        logits = model(x).float()
        losses = F.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1), reduction="none")
        nats += losses.view(batch, -1)[: len(rows) - start].double().sum().item()
    bpb = nats / math.log(2) / float(lengths[rows[:, 1:]].sum())
    _marks["scored"] = time.monotonic()
    Path(_settings["told"]).write_text(json.dumps({"marks": _marks, "val_bpb": bpb, **_counts}))
    return bpb
