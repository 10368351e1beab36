"""Squashes the logits smoothly into a bounded range."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused
from operators.catalogue._edit import add_constant, replace_statement, statements, text
from operators.catalogue._model import callee, calls, model
from operators.catalogue._tree import names

IDEA = "Logits that cannot exceed a cap keep the gradient of the loss tame early in training."
SOURCE = "Gemma Team 2024, Gemma 2, arXiv:2408.00118; modded-nanogpt records 9 and 18"


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Precondition: the forward pass returns what its head computes, and bounds it nowhere."""
    role = model(module)
    if any(callee(call) == "tanh" for call in calls(role.forward)):
        raise Refused(f"`{role.name}.forward` computes a tanh already: its logits are capped")
    if "logits" in names(role.forward):
        raise Refused(f"`{role.name}.forward` uses the name `logits` for something")
    module = add_constant(module, "SOFTCAP", 15.0, "knob: 5..50 log")
    forward = model(module).forward
    last = forward.body.body[-1]
    returned = m.SimpleStatementLine(body=[m.Return(value=m.Call(func=m.Attribute(attr=m.Name(role.head))))])
    if not isinstance(last, cst.SimpleStatementLine) or not m.matches(last, returned):
        raise Refused(f"`{role.name}.forward` does not end in `return self.{role.head}(...)`")
    head = text(cst.ensure_type(last.body[0], cst.Return)).removeprefix("return ")
    code = f"logits = {head}.float()\nreturn SOFTCAP * torch.tanh(logits / SOFTCAP)"
    return replace_statement(module, last, statements(code))
