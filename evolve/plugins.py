"""Introduces parts to each other by name, so that the engine need not import them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evolve.arms import Arm
from evolve.config import DESCRIPTION, ConfigError, load_target

OPERATORS = {
    "catalogue": "operators.mutate:Catalogue",
    "merge": "operators.crossover:Merge",
    "tune": "operators.retune:Retune",
}
READER = "operators.genome:Reader"
UPSTREAM = "operators.upstream:convert"
RESCALE = "operators.rescale:rescale"
CONSTANTS = "operators.rescale:constants"
PERSON = "operators.person:Person"
PERSONS_CHILD = "operators.person:child_of"
CARRIES = "operators.carried:carries"
LANGUAGE = "llm"  # stands for one operator for each way of asking each language model
LANGUAGE_ARITY = "operators.llm.arms:ARITY"
LANGUAGE_OPERATORS = "operators.llm.arms:open_arms"
LANGUAGE_SERVER = "operators.llm.messages:served_by"
LANGUAGE_PROBE = "operators.llm.arms:probe"


def load(name: str) -> Any:
    """The object called `package.module:name`. Raises `ConfigError` if there is none."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError, SyntaxError) as error:
        cause = f"{type(error).__name__}: {error}"
        raise ConfigError(f"cannot load {name!r} ({cause}). Write it as package.module:name.") from error


def load_operators(weights: Mapping[str, float], reader: Any) -> dict[str, Any]:
    """Operators by their name; a key is a built-in name or `package.module:Class`. Each is built with the reader.

    Language models are not among them: they need a run to be written to. Raises `ConfigError`.
    """
    operators = {}
    for key in weights:
        if key == LANGUAGE:
            continue
        if key not in OPERATORS and ":" not in key:
            known = ", ".join([*OPERATORS, LANGUAGE])
            raise ConfigError(f"unknown operator {key!r}: choose from {known}, or package.module:Class")
        operators[key] = _operator(key, reader)
    if LANGUAGE not in weights and all(operator.arity != 1 for operator in operators.values()):
        raise ConfigError(f"{', '.join(operators)} need two parents, and at first there is one: add catalogue or tune")
    return operators


def arms_of(weights: Mapping[str, float], operators: Mapping[str, Any], models: Sequence[str]) -> dict[str, Arm]:
    """What the search draws from: each operator by itself, those of language models as one group."""
    arms = {
        name: Arm(operator.arity, weights[name], structural=getattr(operator, "structural", True))
        for name, operator in operators.items()
    }
    if LANGUAGE in weights:
        ways: Mapping[str, int] = load(LANGUAGE_ARITY)
        for model in models:
            arms |= {f"{way}@{model}": Arm(n, weights[LANGUAGE], LANGUAGE) for way, n in ways.items()}
    return arms


def _operator(key: str, reader: Any) -> Any:
    """One operator, found to be one. Raises `ConfigError`."""
    made = load(OPERATORS.get(key, key))
    try:
        operator = made(reader)
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"operator {key!r} cannot be made: {type(error).__name__}: {error}") from error
    if getattr(operator, "arity", None) not in (1, 2) or not callable(getattr(operator, "propose", None)):
        raise ConfigError(f"{key!r} is no operator: it needs an arity of 1 or 2 and a method propose(mating, briefing)")
    if not isinstance(getattr(operator, "mended_by", None), str):
        raise ConfigError(f"operator {key!r} lacks mended_by: who mends its children that crash at once, '' for nobody")
    return operator


def reader_for(header: dict[str, Any], moved_to: str | None = None) -> Any:
    """The reader of a recorded run. Raises `ConfigError` if its target is no longer where it was."""
    return load(READER)(load_target(target_of(header, moved_to)).rules_at(header["settings"]["scale"]))


def target_of(header: dict[str, Any], moved_to: str | None = None) -> Path:
    """The folder of a recorded run's target. Raises `ConfigError` if it is gone."""
    if moved_to is None and not Path(header["target"], DESCRIPTION).is_file():
        raise ConfigError(f"the target of this run is no longer in {header['target']}: say where it is with --target")
    return Path(moved_to or header["target"])
