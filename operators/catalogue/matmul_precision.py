"""Lets float32 matrix products use faster formats with fewer bits, where the device has them."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue import _edit as edit

IDEA = "The low bits of a matrix product are noise beside the gradient's own, and cost time."
SOURCE = "PyTorch documentation, torch.set_float32_matmul_precision; karpathy/nanoGPT, train.py"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where the precision is set already, or `torch` is not imported under its name."""
    if edit.names_in_use(module) & {"set_float32_matmul_precision", "allow_tf32"}:
        raise Refused("the precision of matrix products is set already")
    imported = m.SimpleStatementLine(body=[m.Import() | m.ImportFrom()])
    lines = [node for node in module.body if m.matches(node, imported)]
    if not any(edit.text(line.with_changes(leading_lines=[])) == "import torch" for line in lines):
        raise Refused("`torch` is not imported")
    line = edit.statement('torch.set_float32_matmul_precision("high")').with_changes(leading_lines=[edit.BLANK])
    return edit.replace_statement(module, lines[-1], [lines[-1].with_changes(leading_lines=[]), line])
