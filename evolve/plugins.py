"""Introduces parts to each other by name, so that the engine need not import them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from evolve.config import ConfigError, load_target

OPERATORS = {
    "catalogue": "operators.mutate:Catalogue",
    "merge": "operators.crossover:Merge",
    "tune": "operators.retune:Retune",
}
READER = "operators.genome:Reader"


def load(name: str) -> Any:
    """The object called `package.module:name`. Raises `ConfigError` if there is none."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"cannot load {name!r}: {error}. Write it as package.module:name.") from error


def load_operators(weights: dict[str, float], reader: Any) -> dict[str, Any]:
    """Operators by their name; a key is a built-in name or `package.module:Class`. Each is built with the reader."""
    operators = {}
    for key in weights:
        if key not in OPERATORS and ":" not in key:
            raise ConfigError(f"unknown operator {key!r}: choose from {', '.join(OPERATORS)}, or package.module:Class")
        operators[key] = load(OPERATORS.get(key, key))(reader)
    if all(operator.arity != 1 for operator in operators.values()):
        raise ConfigError(f"{', '.join(operators)} need two parents, and at first there is one: add catalogue or tune")
    return operators


def reader_for(header: dict[str, Any]) -> Any:
    """The reader of a recorded run."""
    return load(READER)(load_target(Path(header["target"])).rules)
