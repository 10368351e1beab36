"""Takes an evolved script back to karpathy/autoresearch, whose `prepare` knows nothing of our additions.

There the script keeps the clock, loaders never end, and `evaluate_bpb` asks the model for per-token losses. So a
prelude after the imports gives the script `DEVICE`, `progress()` and a loader that ends when TIME_BUDGET is used, and
hands the model over in the form that the evaluation there expects. The rest of the script stays as it is.
"""

from __future__ import annotations

import libcst as cst

ADDITIONS = ("DEVICE", "progress")
WRAPPED = ("evaluate_bpb", "make_dataloader")

PRELUDE = '''
# What this script expects of `prepare` beyond karpathy/autoresearch's: a device, a clock, loaders that end.
import time as _time

import prepare as _prepare
import torch as _torch

DEVICE = "cuda" if _torch.cuda.is_available() else "cpu"
_start = None


def progress():
    """Share of the time budget that is used, since the first training batch."""
    return 0.0 if _start is None else min(1.0, (_time.time() - _start) / _prepare.TIME_BUDGET)


def make_dataloader(tokenizer, B, T, split):
    """The loader of `prepare`; training ends when the time budget is used, warm-up tokens are random."""
    global _start
    if split == "warmup":
        tokens = _torch.randint(tokenizer.get_vocab_size(), (B, T), device=DEVICE)
        while True:
            yield tokens, tokens, 0
    for batch in _prepare.make_dataloader(tokenizer, B, T, split):
        _start = _start or _time.time()
        if split == "train" and progress() >= 1.0:
            return
        yield batch


class _PerToken(_torch.nn.Module):
    """A model that returns logits, asked for losses."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, y=None, reduction="mean"):
        logits = self.model(x).float()
        if y is None:
            return logits
        return _torch.nn.functional.cross_entropy(logits.flatten(0, -2), y.flatten(), reduction=reduction)


def evaluate_bpb(model, tokenizer, batch_size):
    """Bits per byte as `prepare` measures them."""
    with _torch.no_grad():
        return _prepare.evaluate_bpb(_PerToken(model), tokenizer, batch_size)

'''


def convert(source: str) -> str:
    """`source` with the prelude, and without the names that it replaces in the import from `prepare`."""
    module = cst.parse_module(source)
    body = [_without_additions(statement) for statement in module.body]
    last = max((i for i, statement in enumerate(body) if _is_import(statement)), default=-1)
    parsed = cst.parse_module(PRELUDE)
    prelude = [parsed.body[0].with_changes(leading_lines=parsed.header), *parsed.body[1:]]
    return module.with_changes(body=[*body[: last + 1], *prelude, *body[last + 1 :]]).code


def _is_import(statement: cst.BaseStatement | cst.SimpleStatementLine) -> bool:
    return isinstance(statement, cst.SimpleStatementLine) and isinstance(
        statement.body[0], (cst.Import, cst.ImportFrom)
    )


def _without_additions(statement: cst.BaseStatement) -> cst.BaseStatement:
    """An import from `prepare` reduced to what there is upstream; anything else as it is."""
    if not isinstance(statement, cst.SimpleStatementLine) or not isinstance(statement.body[0], cst.ImportFrom):
        return statement
    line = statement.body[0]
    if (
        line.module is None
        or cst.Module([]).code_for_node(line.module) != "prepare"
        or isinstance(line.names, cst.ImportStar)
    ):
        return statement
    kept = [alias for alias in line.names if alias.evaluated_name not in ADDITIONS + WRAPPED]
    if not kept:
        return statement.with_changes(body=[cst.Pass()])
    kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return statement.with_changes(body=[line.with_changes(names=kept)])
