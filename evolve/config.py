"""What a run is: its target, read from `target.toml`, and its settings, from the command line. Checked when read."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from evolve.model import Objective, Rules, digest

DESCRIPTION = "target.toml"
SMOKE_SECONDS = 0.3  # of training, where a scale says nothing else
PROGRAM = "program.md"
PARTS = ("script", "program", "rungs", "objectives", "stop", "harness", "rules", "hints", "scales")
STOP = ("generations", "total", "wall", "target_loss", "stale_generations", "refusals")


class ConfigError(Exception):
    """Something that the user gave cannot be used; the message names the cause and the cure."""


DEFAULT_TARGET = "train_target"
LONGEST = 1e6  # seconds of a budget


@dataclass(frozen=True)
class Target:
    """A folder with one script that is evolved, one module that it imports and one description."""

    folder: Path
    script: Path
    source: str
    program: Path
    rules: Rules
    objectives: tuple[Objective, ...]
    rungs: tuple[float, ...]
    stop: Mapping[str, float]
    judge: Path
    scales: Mapping[str, Mapping[str, Any]]
    fingerprint: str

    @property
    def name(self) -> str:
        return self.folder.name

    def rules_at(self, scale: str) -> Rules:
        """The rules with what a scale knows of numbers before what all of them know."""
        hints: Mapping[str, str] = self.scales.get(scale, {}).get("hints", {})
        return replace(self.rules, hints={**hints, **self.rules.hints, **hints})


@dataclass(frozen=True)
class Settings:
    """What makes two runs the same run. A run directory is continued only with equal settings."""

    target: str
    fingerprint: str
    scale: str
    budget: float
    seed: int
    population: int
    offspring: int
    tune_trials: int
    operators: Mapping[str, float]
    models: tuple[str, ...] = ()
    corpus: str = ""


@dataclass(frozen=True)
class Limits:
    """When a run ends, whichever comes first; 0 switches a criterion off. Seconds, generations, loss."""

    generations: int
    total: float = 0.0
    wall: float = 0.0
    target_loss: float = 0.0
    stale_generations: int = 0
    refusals: int = 20


def folder_of(given: str | None) -> Path:
    """The folder of a target: as given, or the default one in the working directory, or the one beside the engine."""
    if given is not None:
        return Path(given)
    here = Path(DEFAULT_TARGET)
    return here if (here / DESCRIPTION).is_file() else Path(__file__).parents[1] / DEFAULT_TARGET


def load_target(folder: Path) -> Target:
    """Read a target. Raises `ConfigError` if it is not there, incomplete or of the wrong form."""
    path = folder / DESCRIPTION
    if not path.is_file():
        raise ConfigError(f"no such target: {folder} has no {DESCRIPTION}. Give a folder with --target.")
    text = _read(path)
    try:
        table = tomllib.loads(text)
        if unknown := sorted(table.keys() - PARTS):
            raise ConfigError(f"{path} has {', '.join(unknown)}, which is no part of a target: {', '.join(PARTS)}")
        script, judge = folder / table["script"], folder / table["harness"]["judge"]
        if not script.is_file():
            raise ConfigError(f"{path} names a script that is not there: {script}")
        source = _read(script)
        if not judge.is_file():
            raise ConfigError(f"{path} names a judge that is not there: {judge}")
        return Target(
            folder=folder.resolve(),
            script=folder.resolve() / table["script"],
            source=source,
            program=folder.resolve() / table.get("program", PROGRAM),
            rules=_rules(table),
            objectives=_objectives(table["objectives"]),
            rungs=_rungs(table["rungs"]),
            stop=_stop(table.get("stop", {})),
            judge=judge.resolve(),
            scales={name: _scale(scale) for name, scale in table["scales"].items()},
            fingerprint=digest(text + "".join(_read(part) for part in sorted(folder.glob("*.py")))),
        )
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    except KeyError as error:
        raise ConfigError(f"{path} lacks {error}. See train_target/{DESCRIPTION} for a complete one.") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{path} has a value of the wrong kind: {error}. Compare train_target/{DESCRIPTION}."
        ) from error


def _read(path: Path) -> str:
    """The text of a file, with its line ends as they are."""
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def _objectives(tables: Sequence[Mapping[str, str]]) -> tuple[Objective, ...]:
    """The loss, which is minimised, comes first."""
    found = tuple(map(_objective, tables))
    if not found or len({o.name for o in found}) < len(found):
        raise ConfigError("target.toml needs [[objectives]], with different names")
    if found[0].direction != "minimize":
        raise ConfigError(
            "the first of the objectives is the loss, which is minimized: let the judge report an error, such as "
            f"1 - accuracy, instead of {found[0].name}"
        )
    return found


def _objective(table: Mapping[str, str]) -> Objective:
    name, direction = table["name"], table["direction"]
    if direction not in ("minimize", "maximize"):
        raise ConfigError(f"the direction of objective {name} is minimize or maximize, not {direction!r}")
    return Objective(name, cast(Literal["minimize", "maximize"], direction))


def _stop(table: Mapping[str, float]) -> dict[str, float]:
    """Stopping criteria; one that is misspelt would be one that never stops."""
    if unknown := set(table) - set(STOP):
        raise ConfigError(f"[stop] knows {', '.join(STOP)}, not {', '.join(sorted(unknown))}")
    found = {name: float(value) for name, value in table.items()}
    if wrong := [name for name, value in found.items() if not 0 <= value < math.inf]:
        raise ConfigError(f"[stop] {wrong[0]} must be 0 (off) or above, not {found[wrong[0]]:g}")
    return found


def _rules(table: Mapping[str, Any]) -> Rules:
    rules = table["rules"]
    return Rules(
        protected=tuple(rules["protected"]),
        imports=tuple(rules["imports"]),
        contract=tuple(rules["contract"]),
        hints=_hints(table),
        max_bytes=int(rules["max_bytes"]),
    )


def _scale(table: Mapping[str, Any]) -> dict[str, Any]:
    smoke = float(table.get("smoke_seconds", SMOKE_SECONDS))
    if not 0 <= smoke < math.inf:
        raise ConfigError(f"smoke_seconds must be a number of seconds from 0 on (0: no smoke test), not {smoke}")
    return {**table, "budget": float(table["budget"]), "smoke_seconds": smoke, "hints": _hints(table)}


def _hints(table: Mapping[str, Any]) -> dict[str, str]:
    return {name: _text(directive, f"the hint for {name}") for name, directive in table.get("hints", {}).items()}


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{what} must be text in quotes, not {value!r}")
    return value


def _rungs(values: list[float]) -> tuple[float, ...]:
    rungs = tuple(float(v) for v in values)
    if len(rungs) < 2 or rungs != tuple(sorted(set(rungs))) or rungs[-1] != 1.0 or not rungs[0] > 0:
        raise ConfigError(f"rungs must be ascending shares of the budget that end with 1.0, not {list(values)}")
    return rungs


def budget_of(target: Target, scale: str, budget: float | None) -> float:
    """The budget of a full trial in charged seconds. Raises `ConfigError` for an unknown scale or a budget <= 0."""
    if scale not in target.scales:
        raise ConfigError(f"unknown scale {scale!r}: {target.name} has {', '.join(target.scales)}")
    chosen: float = target.scales[scale]["budget"] if budget is None else budget
    if not 0 < chosen <= LONGEST:
        raise ConfigError(f"--budget must be a number of seconds above 0 and at most {LONGEST:g}, not {chosen:g}")
    return chosen
