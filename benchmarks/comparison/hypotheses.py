"""The primary hypotheses of a benchmark: written down before its first run, the only pairs that get a p-value.

[[primary]]
task = "…"
method = "ours"
against = ["tpe", "greedy"]
measures = ["confirmed_hypervolume", "confirmed_test_loss"]
seeds = "11-20"
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.comparison.outcome import MEASURES
from benchmarks.comparison.seeds import seeds_of
from benchmarks.comparison.trace import Trace
from evolve.config import ConfigError

FILE = "hypotheses.toml"
KEYS = {"task": str, "method": str, "against": list, "measures": list, "seeds": str}


@dataclass(frozen=True)
class Hypothesis:
    """That `method` and `against` differ in `measure` on `task`, to be tested on exactly these paired `seeds`."""

    task: str
    method: str
    against: str
    measure: str
    seeds: tuple[int, ...]


def by_plan(runs: Iterable[Trace], hypotheses: Sequence[Hypothesis]) -> tuple[list[Trace], list[Trace]]:
    """The runs with a seed that some hypothesis of their task names, and those without: these are left out.

    So nobody looks at the planned seeds and then adds some, and seeds that had a part in the making of a method do not
    speak for it. A task without a hypothesis keeps all.
    """
    planned: defaultdict[str, set[int]] = defaultdict(set)
    for hypothesis in hypotheses:
        planned[hypothesis.task].update(hypothesis.seeds)
    kept: list[Trace] = []
    left_out: list[Trace] = []
    for run in runs:
        (kept if run.task not in planned or run.seed in planned[run.task] else left_out).append(run)
    return kept, left_out


def read_hypotheses(path: Path) -> list[Hypothesis]:
    """In the file's order. Raises `ConfigError` if it cannot be read or an entry is not as above."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("primary", [])
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{path} holds no hypothesis: it needs tables [[primary]] with {', '.join(KEYS)}")
    return [found for entry in entries for found in _hypotheses(entry, path)]


def _hypotheses(entry: object, path: Path) -> Sequence[Hypothesis]:
    if not isinstance(entry, dict) or entry.keys() != KEYS.keys():
        raise ConfigError(f"{path}: each [[primary]] must have {', '.join(KEYS)}, and nothing else")
    for key, kind in KEYS.items():
        if type(entry[key]) is not kind or (kind is list and not all(isinstance(e, str) for e in entry[key])):
            raise ConfigError(f"{path}: {key} must be {'a list of names' if kind is list else kind.__name__}")
    try:
        seeds = seeds_of(entry["seeds"])
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    unknown = set(entry["measures"]) - set(MEASURES)
    if unknown:
        raise ConfigError(f"{path}: unknown measure {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    return [
        Hypothesis(entry["task"], entry["method"], against, measure, seeds)
        for measure in entry["measures"]
        for against in entry["against"]
    ]
