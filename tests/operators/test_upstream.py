"""An exported script runs against a `prepare` that has karpathy/autoresearch's interface and nothing more."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
import torch

from operators.upstream import convert

ROOT = Path(__file__).parents[2]
SCRIPTS = [ROOT / "train_target/train.py", *sorted((ROOT / "tests/scripts").glob("*.py"))]


def upstream_prepare(scored: list[float]) -> types.ModuleType:
    """`prepare` as it is upstream: endless loaders, and an evaluation that asks the model for losses."""
    module = types.ModuleType("prepare")

    class Tokenizer:
        @classmethod
        def from_directory(cls) -> Tokenizer:
            return cls()

        def get_vocab_size(self) -> int:
            return 40

    def make_dataloader(tokenizer: Tokenizer, B: int, T: int, split: str):
        while True:
            rows = torch.randint(0, 40, (B, T + 1))
            yield rows[:, :-1].contiguous(), rows[:, 1:].contiguous(), 1

    def evaluate_bpb(model: torch.nn.Module, tokenizer: Tokenizer, batch_size: int) -> float:
        rows = torch.randint(0, 40, (2, 33))
        losses = model(rows[:, :-1], rows[:, 1:].reshape(2, 32), reduction="none").view(-1)
        assert losses.shape == (64,)
        scored.append(losses.mean().item())
        return scored[-1]

    for name, value in dict(locals()).items():
        if name not in ("module", "scored"):
            setattr(module, name, value)
    module.MAX_SEQ_LEN, module.TIME_BUDGET = 32, 0.2  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_a_script_trains_until_the_budget_is_used_and_is_scored(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[float] = []
    monkeypatch.setitem(sys.modules, "prepare", upstream_prepare(scored))
    script = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", script)
    exec(compile(convert(path.read_text()), str(path), "exec"), script.__dict__)
    assert len(scored) == 1 and 0 < scored[0] < 20


def test_the_rest_of_the_script_stays_as_it_is() -> None:
    source = SCRIPTS[0].read_text()
    body = source[source.index("# Hyperparameters") :]
    assert convert(source).endswith(body)
