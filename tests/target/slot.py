"""A judge at the CPU scale as the engine holds it, and the parts of a small script for it. Needs no pytest."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parents[2] / "train_target"
sys.path.insert(0, str(TARGET))

TINY = """
import torch, torch.nn as nn, torch.nn.functional as F
from prepare import DEVICE, MAX_SEQ_LEN, TIME_BUDGET, Tokenizer, evaluate_bpb, make_dataloader, progress
tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
"""
TRAIN = """
for x, y, epoch in make_dataloader(tokenizer, 4, MAX_SEQ_LEN, "train"):
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad(); loss.backward(); optimizer.step()
"""
SCORE = """
print(f"val_bpb {evaluate_bpb(model, tokenizer, 8):.4f}")
"""


class Slot:
    """A judge process as the engine holds it."""

    def __init__(self, cache: Path, folder: Path, *options: str, launcher: Sequence[str] = ()) -> None:
        self.cache, self.folder = cache, folder
        self.process = subprocess.Popen(
            [
                *launcher,
                sys.executable,
                str(TARGET / "judge.py"),
                "--scale=cpu",
                "--core=0",
                f"--cache={cache}",
                *options,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ready = self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline()))

    def send(self, source: str, budget: float = 0.3, purpose: str = "tune", seed: int = 0, rung: float = 0.02) -> None:
        (self.folder / "train.py").write_text(source)
        request = {"job": str(self.folder), "budget": budget, "rung": rung, "seed": seed, "purpose": purpose}
        assert self.process.stdin is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)

    def run(self, source: str, **options: Any) -> dict[str, Any]:
        """The outcome of one trial."""
        self.send(source, **options)
        return self.read()

    def close(self) -> int:
        """Hang up as the engine does; returns the judge's exit code."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(20)
