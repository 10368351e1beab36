"""Runs a transformed training script for a few steps on a stub of `prepare`, and looks at what came out.

Not the judge: there is no clock, no isolation and no text; the tokens are random and the budget is a few batches.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import libcst as cst
import torch

from operators.catalogue import Refused, Transformation

ROOT = Path(__file__).parents[3]
PATHS = {
    "plain": ROOT / "train_target/train.py",
    "dataclass": ROOT / "tests/scripts/dataclass_style.py",
    "autoresearch": ROOT / "tests/scripts/autoresearch_style.py",
}
ARGUMENTS = "model.parameters(), lr=LEARNING_RATE, betas=(BETA1, BETA2), weight_decay=WEIGHT_DECAY"
OPTIMIZER = f"optimizer = torch.optim.AdamW({ARGUMENTS})"  # a line of the plain script
SCRIPTS = {name: path.read_text() for name, path in PATHS.items()}
IMPORTS = next(line for line in SCRIPTS["plain"].splitlines() if line.startswith("from prepare "))
VOCABULARY, LENGTH, ROWS, BATCHES = 61, 32, 2, 8


@dataclass
class Report:
    """What a run left behind: the model, its logits for one batch, and the ids of the optimised parameters."""

    model: torch.nn.Module | None = None
    logits: torch.Tensor | None = None
    causal: bool = False
    optimised: set[int] = field(default_factory=set)

    @property
    def frozen(self) -> list[str]:
        """Names of the model's parameters that no optimizer holds."""
        assert self.model is not None
        return [name for name, p in self.model.named_parameters() if id(p) not in self.optimised]


@cache
def transformed(transformation: Transformation, source: str, seed: int = 0) -> str:
    """The source after one application of a transformation."""
    return transformation.apply(cst.parse_module(source), random.Random(seed)).code


def refusal(transformation: Transformation, source: str) -> str:
    """The reason why a transformation refuses `source`, or "" if it applies."""
    try:
        transformed(transformation, source)
    except Refused as refused:
        return str(refused)
    return ""


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """Lines of `before` that are gone, and lines of `after` that are new, in order."""
    old, new = before.splitlines(), after.splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


def run(source: str) -> Report:
    """Execute a script to its end on the stub; it has to call `evaluate_bpb`."""
    report = Report()
    real = torch.optim.Optimizer.add_param_group

    def recorded(optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> None:
        real(optimizer, group)
        report.optimised.update(id(p) for p in group["params"])

    torch.manual_seed(0)
    spy = mock.patch.object(torch.optim.Optimizer, "add_param_group", recorded)
    sys.modules["prepare"] = _prepare(report)
    try:
        with spy, mock.patch("builtins.print"):
            exec(compile(source, "train.py", "exec"), {"__name__": "__main__"})
    finally:
        del sys.modules["prepare"]
    assert report.logits is not None, "the script did not call evaluate_bpb"
    return report


def assert_trains(source: str) -> Report:
    """The script runs, its logits are finite, no position sees a later one, and every parameter is optimised."""
    report = run(source)
    assert report.logits is not None
    assert report.logits.shape == (ROWS, LENGTH, VOCABULARY)
    assert torch.isfinite(report.logits).all()
    assert report.causal
    assert report.frozen == []
    return report


class _Tokenizer:
    @classmethod
    def from_directory(cls) -> _Tokenizer:
        return cls()

    def get_vocab_size(self) -> int:
        return VOCABULARY


def _prepare(report: Report) -> ModuleType:
    """A stand-in for `prepare` that fills `report` when the model is evaluated."""
    served = 0

    def make_dataloader(tokenizer: _Tokenizer, B: int, T: int, split: str) -> Iterator[tuple[Any, Any, int]]:
        nonlocal served
        warm_up = torch.Generator().manual_seed(1) if split == "warmup" else None
        for _ in range(2 if warm_up else BATCHES):
            served += not warm_up
            tokens = torch.randint(VOCABULARY, (min(B, ROWS), T + 1), generator=warm_up)
            yield tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous(), 0

    @torch.no_grad()
    def evaluate_bpb(model: Any, tokenizer: _Tokenizer, batch_size: int) -> float:
        tokens = torch.randint(VOCABULARY, (ROWS, LENGTH))
        future = torch.cat([tokens[:, : LENGTH // 2], (tokens[:, LENGTH // 2 :] + 1) % VOCABULARY], dim=1)
        logits, other = model(tokens).float(), model(future).float()
        report.model, report.logits = model, logits
        report.causal = torch.allclose(logits[:, : LENGTH // 2], other[:, : LENGTH // 2], atol=1e-5)
        return 8.0

    stub = ModuleType("prepare")
    stub.__dict__.update(
        DEVICE="cpu",
        MAX_SEQ_LEN=LENGTH,
        EVAL_ROWS=ROWS,
        TIME_BUDGET=1.0,
        Tokenizer=_Tokenizer,
        make_dataloader=make_dataloader,
        evaluate_bpb=evaluate_bpb,
        progress=lambda: min(1.0, served / BATCHES),
    )
    return stub
