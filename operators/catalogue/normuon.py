"""Gives every row of a Muon update the same size in the long run; a script without Muon gets it first."""

from __future__ import annotations

import random

import libcst as cst
import libcst.matchers as m

from operators.catalogue import Refused, muon
from operators.catalogue import _edit as edit
from operators.catalogue import _training as training
from operators.catalogue._tree import find, path

IDEA = "Orthogonalised updates still favour some neurons; dividing rows by their running size evens them out."
SOURCE = "Li et al. 2025, arXiv:2510.05491 (NorMuon), algorithm 1; modded-nanogpt record 41"

CODE = '''
def equalize_rows(update, state):
    """Divide the rows of (..., rows, columns) by a running mean of their size; the norm of the whole is kept."""
    square = update.square().mean(dim=-1, keepdim=True)
    running = state.setdefault("row_square", torch.zeros_like(square)).lerp_(square, 1.0 - NORMUON_BETA2)
    scaled = update * (running + 1e-10).rsqrt()  # knob: fixed
    size = update.norm(dim=(-2, -1), keepdim=True)
    return scaled * (size / (scaled.norm(dim=(-2, -1), keepdim=True) + 1e-10))  # knob: fixed
'''


def apply(module: cst.Module, rng: random.Random) -> cst.Module:
    """Refused where rows are equalized already, or a Muon is not of the known form."""
    names = edit.names_in_use(module)
    if "equalize_rows" in names:
        raise Refused("the rows of updates are equalized already")
    if not any("muon" in name.lower() for name in names):
        module = muon.apply(module, rng)
    line = _orthogonalized(module)
    owner = next(node for node in path(module, line) if isinstance(node, cst.ClassDef))
    name = edit.text(line.with_changes(leading_lines=[])).split(" =")[0]
    module = edit.insert_after(module, line, f"{name} = equalize_rows({name}, state)")
    module = edit.insert_definition(module, CODE, before=owner.name.value)
    return edit.add_constant(module, "NORMUON_BETA2", 0.95, "knob: 0.8..0.999")


def _orthogonalized(module: cst.Module) -> edit.Statement:
    """The statement of an optimizer that assigns an orthogonalised matrix, where `state` is known."""
    functions = [node for node in module.body if isinstance(node, cst.FunctionDef)]
    iterative = {f.name.value for f in functions if find(f, m.For()) and find(f, m.MatrixMultiply())}
    assigned = m.Assign(
        targets=[m.AssignTarget(m.Name())],
        value=m.Call(func=m.Name(value=m.MatchIfTrue(lambda name: name in iterative))),
    )
    line = training.only(find(module, m.SimpleStatementLine(body=[assigned])), "orthogonalised update")
    training.require_name(module, line, "state")
    return training.statement_of(module, line)
