"""Compiles the model where it is made."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "Fused kernels make each step shorter, which pays for the time that compiling takes."
SOURCE = "Ansel et al. 2024, PyTorch 2, doi:10.1145/3620665.3640366"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where something is compiled already, or the model is not made by one assignment."""
    if "compile" in edit.names_in_use(module):
        raise Refused("the script compiles already")
    model = training.model_name(module)
    made = m.Assign(targets=[m.AssignTarget(m.Name(model))], value=m.Call())
    found = training.outside_classes(module, m.SimpleStatementLine(body=[made]))
    line = training.statement_of(module, training.only(found, f"assignment of `{model}`"))
    return edit.insert_after(module, line, f"{model} = torch.compile({model})")
