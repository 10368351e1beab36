"""Runs the model in bfloat16 while training, its weights staying as they are; the evaluation is not changed."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

IDEA = "Half the bits in the matrix products cost little accuracy and buy more steps."
SOURCE = "Kalamkar et al. 2019, arXiv:1905.12322; modded-nanogpt record 10"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where autocast is used already, or no statement assigns what the model computes."""
    if "autocast" in edit.names_in_use(module):
        raise Refused("the script uses autocast already")
    forward = m.Assign(value=m.Call(func=m.Name(training.model_name(module))))
    found = training.outside_classes(module, m.SimpleStatementLine(body=[forward]))
    line = training.statement_of(module, training.only(found, "assignment of what the model computes"))
    code = edit.text(line.with_changes(leading_lines=[]))
    block = edit.statement(f"with torch.autocast(device_type=DEVICE, dtype=torch.bfloat16):\n    {code}\n")
    module = edit.replace_statement(module, line, [block])
    return edit.add_from_import(module, "prepare", "DEVICE")
