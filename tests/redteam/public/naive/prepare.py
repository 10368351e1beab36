"""A harness in the manner of karpathy/autoresearch, holes included: what a cheat would get there.

Everything is in the process of the script: validation tokens as a tensor, the loss as the model computes it from
inputs and targets, TIME_BUDGET as a number to be compared with `time.time()`. The score is the line `val_bpb:` of the
log. Interface, text, rows and length are those of train_target/prepare.py, so that the same script runs in both, and
honest scores compare.
"""

from __future__ import annotations

import math
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

TARGET = Path(__file__).resolve().parents[4] / "train_target"
sys.path.append(str(TARGET))

import corpus  # noqa: E402
from texts import Scale, Texts, evaluation_rows  # noqa: E402


def _say(text: str) -> None:
    print(text, file=sys.stderr)


SCALE = Scale.read("cpu")
TIME_BUDGET = float(os.environ.get("EVOLVE_BUDGET", SCALE.budget))
SEED = int(os.environ.get("EVOLVE_SEED", "0"))
MAX_SEQ_LEN = SCALE.max_seq_len
DEVICE = SCALE.device
TEXTS = Texts(corpus.load(Path(os.environ.get("EVOLVE_CACHE", corpus.default_cache())), None, _say), SCALE, _say)
TRAIN = torch.from_numpy(np.array(TEXTS.train, dtype=np.uint8))
VAL = torch.from_numpy(evaluation_rows(TEXTS, SCALE, ("val",))["val"].astype(np.int64))  # (rows, MAX_SEQ_LEN + 1)

torch.set_num_threads(1)
torch.manual_seed(SEED)
random.seed(SEED)


class Tokenizer:
    """A token is a byte."""

    @classmethod
    def from_directory(cls) -> Tokenizer:
        return cls()

    def get_vocab_size(self) -> int:
        return TEXTS.vocab_size


def make_dataloader(
    tokenizer: Tokenizer, B: int, T: int, split: str
) -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
    """Batches `(x, y, epoch)` without end, of "train" or "val": whoever trains looks at the clock himself."""
    rng = np.random.default_rng(SEED)
    epoch = 0
    while True:
        if split == "val":
            for rows in VAL.split(B):
                yield rows[:, :T], rows[:, 1 : T + 1], epoch
            epoch += 1
        else:
            starts = rng.integers(0, len(TRAIN) - T - 1, size=B)
            rows = torch.stack([TRAIN[start : start + T + 1] for start in starts]).long()
            yield rows[:, :-1], rows[:, 1:], epoch


@torch.no_grad()
def evaluate_bpb(model: torch.nn.Module, tokenizer: Tokenizer, batch_size: int) -> float:
    """Bits per byte by the losses `model(x, y, reduction="none")` of the model itself."""
    model.eval()
    nats = sum(float(model(rows[:, :-1], rows[:, 1:], reduction="none").sum()) for rows in VAL.split(batch_size))
    return nats / math.log(2) / VAL[:, 1:].numel()
