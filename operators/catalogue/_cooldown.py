"""What the shapes of a learning-rate cooldown share: one function of the used share of the budget, two constants."""

from __future__ import annotations

import libcst as cst

from operators.catalogue import Refused
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training

_CODE = '''
def lr_cooldown(done):
    """The learning rate's factor: {shape} to FINAL_LR over the last COOLDOWN of the budget."""
    left = max(0.0, min(1.0, (1.0 - done) / COOLDOWN))
    return FINAL_LR + (1.0 - FINAL_LR) * {factor}
'''


def cool_down(module: cst.Module, shape: str, factor: str) -> cst.Module:
    """All learning rates times a factor whose course is the expression `factor` of `left`, from 1 to 0.

    A cooldown of another shape is replaced. Raises Refused if this shape is there already, or if the script calls
    something else `lr_cooldown`, `COOLDOWN` or `FINAL_LR`.
    """
    code = _CODE.format(shape=shape, factor=factor)
    if "lr_cooldown" in edit.names_in_use(module):
        return _reshaped(module, edit.statement(code))
    module = training.define(module, training.optimizer_step(module).once, code)
    module = training.scale_learning_rate(module, "lr_cooldown(progress())")
    module = edit.add_from_import(module, "prepare", "progress")
    module = edit.add_constant(module, "COOLDOWN", 0.5, "knob: 0.1..1.0")
    return edit.add_constant(module, "FINAL_LR", 0.05, "knob: 0.001..0.3 log")


def _reshaped(module: cst.Module, new: edit.Statement) -> cst.Module:
    old = edit.definition(module, "lr_cooldown")
    new = new.with_changes(leading_lines=old.leading_lines)
    if not {"COOLDOWN", "FINAL_LR"} <= edit.names_in_use(module):
        raise Refused("`lr_cooldown` does not use COOLDOWN and FINAL_LR")
    if new.deep_equals(old):
        raise Refused("the learning rate has this cooldown already")
    return edit.replace(module, old, new)
