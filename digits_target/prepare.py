"""What a training script may import: batches, budget, progress and evaluation. Never evolved.

A thin client of the judge (judge.py), which owns the images, the seed, the clock and the arithmetic of the score.
Labels of validation images never come here: `evaluate_nll` receives images and gives logits back. By hand the
environment variables EVOLVE_BUDGET (seconds) and EVOLVE_SEED are read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch

FOLDER = Path(__file__).resolve().parent
sys.path.append(str(FOLDER.parent / "train_target"))
if find_spec("seeding") is None:
    sys.exit(f"train_target/ (or a link to it) must lie beside {FOLDER}")

import seeding  # noqa: E402
from client import BudgetUsed as BudgetUsed  # noqa: E402
from client import connect, evaluate  # noqa: E402

Batch = tuple[torch.Tensor, torch.Tensor, int]


def progress() -> float:
    """Share of the training budget used when the last batch was handed out, on the judge's clock: 0 to 1."""
    return _judge.progress


class _Loader:
    """Batches from the judge. Its end is `BudgetUsed`, a StopIteration."""

    def __init__(self, rows: int, split: str) -> None:
        self._request = {"rows": rows, "split": split}

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        raw, epoch = _judge.batch(self._request)
        rows = self._request["rows"]
        pixels = len(raw) - rows
        return _images(raw[:pixels], rows), torch.frombuffer(raw[pixels:], dtype=torch.uint8).long(), epoch


def make_dataloader(B: int, split: str) -> Iterator[Batch]:
    """Batches `(x, y, epoch)`: images (B, 1, IMAGE_SIZE, IMAGE_SIZE) from 0 to 1, and their classes (B), int64.

    `split` is "train": the clock starts with the first batch, every epoch is shuffled anew, and the iterator ends when
    the budget is used; or "warmup": a few batches of noise, free, before that. Raises ValueError for any other.
    """
    if split not in ("train", "warmup"):
        raise ValueError(f'no split {split!r} here: "train" and "warmup" are; evaluate_nll scores on validation images')
    return _Loader(B, split)


def evaluate_nll(model: torch.nn.Module, batch_size: int) -> float:
    """Mean cross-entropy of `model` on validation images, in nats. Stops the clock; may be called once.

    `model(x)` must map images (R, 1, IMAGE_SIZE, IMAGE_SIZE) to floating-point logits (R, CLASSES); R is the same in
    all calls: `batch_size`, or EVAL_ROWS if that is less. Raises ValueError when the model does not, and where the
    judge refuses.
    """
    return evaluate(_judge, model, batch_size, DEVICE, _images, "(rows, CLASSES)")["val_nll"]


def _images(raw: bytearray, rows: int) -> torch.Tensor:
    pixels = torch.frombuffer(raw, dtype=torch.uint8).view(rows, 1, IMAGE_SIZE, IMAGE_SIZE)
    return pixels.to(DEVICE, torch.float32) / BRIGHTEST


_judge = connect(FOLDER)
_hello, _ = _judge.ask(op="hello")
TIME_BUDGET: float = _hello["budget"]
DEVICE: str = _hello["device"]
EVAL_ROWS: int = _hello.get("eval_rows", 1)
IMAGE_SIZE, CLASSES, BRIGHTEST = 8, 10, 16.0
torch.set_num_threads(1)  # as in a box: more threads cost more CPU-seconds than they save
seeding.seed_everything(_hello["seed"])
