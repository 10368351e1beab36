"""The built-in transformations: one idea a file, drawn uniformly. Neither order nor weight says what works.

A transformation is a module with

* `IDEA`: one sentence, the hypothesis that is tested by it;
* `SOURCE`: where the idea comes from;
* `apply(module, rng) -> Module`: the changed tree. Raises `Refused` with a reason where its precondition fails.
"""

from __future__ import annotations

import importlib
import pkgutil
import random
from functools import cache
from typing import Protocol, cast

import libcst as cst


class Refused(Exception):
    """The precondition of a transformation does not hold; the message says which and where."""


class Transformation(Protocol):
    """What each module of this folder provides."""

    IDEA: str
    SOURCE: str

    def apply(self, module: cst.Module, rng: random.Random) -> cst.Module: ...


@cache
def transformations() -> dict[str, Transformation]:
    """All transformations by name, in alphabetical order."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    return {name: cast(Transformation, importlib.import_module(f"{__name__}.{name}")) for name in names}
