"""Weight tying: the statement that makes the head and the token embedding share one matrix."""

from __future__ import annotations

import libcst as cst

from operators.catalogue._edit import Statement, text
from operators.catalogue._model import assigned, body, model


def tying_statement(module: cst.Module) -> Statement | None:
    """The statement of the constructor that assigns one of the two weights to the other, if there is one."""
    role = model(module)
    weights = {f"self.{role.head}.weight", f"self.{role.tokens}.weight"}
    for statement in body(role.init):
        pair = assigned(statement)
        if pair and {pair[0], text(pair[1])} == weights:
            return statement
    return None
