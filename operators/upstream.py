"""Takes an evolved script back to karpathy/autoresearch, whose `prepare` knows nothing of our additions.

There the script keeps the clock, loaders never end, and `evaluate_bpb` asks the model for per-token losses. So a
prelude before the first import of `prepare` makes `_target`: what is in `prepare`, with `DEVICE`, `EVAL_ROWS`,
`progress()`, a loader that ends when TIME_BUDGET is used, and an evaluation that gets the model in the form that it
expects there.
What the script imports of these, or as a whole `prepare`, comes from `_target`. The rest of it stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst
import libcst.matchers as m

REPLACED = ("DEVICE", "EVAL_ROWS", "progress", "make_dataloader", "evaluate_bpb")

PRELUDE = '''
# What this script expects of `prepare` beyond karpathy/autoresearch's: a device, a clock, loaders that end.
import time as _time
import types as _types

import prepare as _prepare
import torch as _torch

_device = "cuda" if _torch.cuda.is_available() else "cpu"
_start = None


def _progress():
    """Share of the time budget that is used, since the first training batch."""
    return 0.0 if _start is None else min(1.0, (_time.time() - _start) / _prepare.TIME_BUDGET)


def _make_dataloader(tokenizer, B, T, split):
    """The loader of `prepare`; training ends when the time budget is used, warm-up tokens are random."""
    global _start
    if split == "warmup":
        tokens = _torch.randint(tokenizer.get_vocab_size(), (B, T), device=_device)
        while True:
            yield tokens, tokens, 0
    for batch in _prepare.make_dataloader(tokenizer, B, T, split):
        _start = _start or _time.time()
        if split == "train" and _progress() >= 1.0:
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


def _evaluate_bpb(model, tokenizer, batch_size):
    """Bits per byte as `prepare` measures them."""
    with _torch.no_grad():
        return _prepare.evaluate_bpb(_PerToken(model), tokenizer, batch_size)


_target = _types.SimpleNamespace(**vars(_prepare))
_target.DEVICE, _target.EVAL_ROWS, _target.progress = _device, 2**31, _progress  # there a batch is as large as is asked
_target.make_dataloader, _target.evaluate_bpb = _make_dataloader, _evaluate_bpb
'''

_PREPARE = m.Name("prepare")
_IMPORTS = m.ImportFrom(module=_PREPARE) | m.Import(
    names=[m.ZeroOrMore(), m.ImportAlias(name=_PREPARE), m.ZeroOrMore()]
)


def convert(source: str) -> str:
    """`source` with the prelude, and with each import from `prepare` taken from `_target` where it has another."""
    module = cst.parse_module(source)
    first = next((i for i, statement in enumerate(module.body) if m.findall(statement, _IMPORTS)), None)
    if first is None:
        return source
    parsed = cst.parse_module(PRELUDE)
    prelude = [parsed.body[0].with_changes(leading_lines=parsed.header), *parsed.body[1:]]
    body = list(cst.ensure_type(module.visit(_Imports()), cst.Module).body)
    body[first] = body[first].with_changes(leading_lines=[cst.EmptyLine(), *body[first].leading_lines])
    return module.with_changes(body=[*body[:first], *prelude, *body[first:]]).code


class _Imports(cst.CSTTransformer):
    """Imports reduced to what there is upstream, each followed by what `_target` has instead, at any depth."""

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.FlattenSentinel[cst.SimpleStatementLine]:
        if not m.findall(original_node, _IMPORTS):
            return updated_node
        first, *rest = _taken(original_node.body)
        return cst.FlattenSentinel(
            [updated_node.with_changes(body=[first]), *(cst.SimpleStatementLine([small]) for small in rest)]
        )

    def leave_SimpleStatementSuite(
        self, original_node: cst.SimpleStatementSuite, updated_node: cst.SimpleStatementSuite
    ) -> cst.SimpleStatementSuite:
        return updated_node.with_changes(body=_taken(original_node.body))


def _taken(body: Sequence[cst.BaseSmallStatement]) -> list[cst.BaseSmallStatement]:
    """The statements of a line with each import from `prepare` split into that and assignments from `_target`."""
    found: list[cst.BaseSmallStatement] = []
    for small in body:
        if not m.matches(small, _IMPORTS) or not isinstance(small, cst.Import | cst.ImportFrom):
            found.append(small)
            continue
        aliases = [] if isinstance(small.names, cst.ImportStar) else list(small.names)
        whole = isinstance(small, cst.Import)
        ours = [a for a in aliases if a.evaluated_name in (("prepare",) if whole else REPLACED)]
        kept = [alias for alias in aliases if alias not in ours]
        if kept:
            kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        if kept or not ours:
            found.append(small.with_changes(names=kept) if kept else small)
        for alias in ours:
            value = "_target" if whole else f"_target.{alias.evaluated_name}"
            line = cst.parse_statement(f"{alias.evaluated_alias or alias.evaluated_name} = {value}")
            found += cst.ensure_type(line, cst.SimpleStatementLine).body
    return [small.with_changes(semicolon=cst.MaybeSentinel.DEFAULT) for small in found]
