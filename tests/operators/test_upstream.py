"""An exported script runs against a `prepare` that has karpathy/autoresearch's interface and nothing more."""

from __future__ import annotations

import builtins
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


def run(source: str, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The scores of a script that was converted."""
    scored: list[float] = []
    monkeypatch.setitem(sys.modules, "prepare", upstream_prepare(scored))
    script = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", script)
    exec(compile(convert(source), "train.py", "exec"), script.__dict__)
    return scored


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_a_script_trains_until_the_budget_is_used_and_is_scored(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (score,) = run(path.read_text(), monkeypatch)
    assert 0 < score < 20


MODULE = """
{top}
def main():
    {inner}
    progress = {p}progress()
    DEVICE = {p}DEVICE
    tokenizer = {p}Tokenizer.from_directory()
    head = torch.nn.Embedding(40, 40).to(DEVICE)
    for x, y, epoch in {p}make_dataloader(tokenizer, 2, {p}MAX_SEQ_LEN, "train"):
        assert progress == 0.0 <= {p}progress()
    assert {p}progress() == 1.0
    {p}evaluate_bpb(head, tokenizer, 2)

main()
"""


@pytest.mark.parametrize(
    ("top", "inner", "prefix"),
    [
        ("import torch, prepare", "pass", "prepare."),
        ("import torch; import prepare as fixed", "pass", "fixed."),
        ("import torch\nDEVICE = progress = None", "import prepare  # here only", "prepare."),
        ("import torch\nif True: import prepare", "pass", "prepare."),
    ],
)
def test_a_script_may_import_the_whole_of_prepare_anywhere(
    top: str, inner: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(run(MODULE.format(top=top, inner=inner, p=prefix), monkeypatch)) == 1


def test_names_imported_under_another_name_or_in_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    names = "MAX_SEQ_LEN, Tokenizer, make_dataloader, evaluate_bpb, progress as used, DEVICE as place"
    source = MODULE.format(top="import torch", inner=f"from prepare import {names}", p="")
    source = source.replace("progress = progress()", "progress = used").replace("DEVICE = DEVICE", "DEVICE = place")
    source = source.replace("progress == 0.0 <= progress()", "0.0 <= progress()")
    assert len(run(source, monkeypatch)) == 1


def test_a_script_without_prepare_stays_as_it_is() -> None:
    assert convert("import torch\n") == "import torch\n"


def test_the_rest_of_the_script_stays_as_it_is() -> None:
    source = SCRIPTS[0].read_text()
    body = source[source.index("# Hyperparameters") :]
    assert convert(source).endswith(body)


def test_the_seed_warms_up_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.compile", lambda model: model)
    asked: list[int] = []
    source = SCRIPTS[0].read_text().replace("COMPILE = False", "COMPILE = True")
    source = source.replace("    train_step(x, y)\n", "    train_step(x, y)\n    asked.append(len(x[:EVAL_ROWS]))\n")
    monkeypatch.setitem(builtins.__dict__, "asked", asked)
    assert len(run(source, monkeypatch)) == 1 and asked == [16]
