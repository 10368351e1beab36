"""A task of the benchmark: what `benchmarks/tasks/<name>.py` declares as `TASK`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmarks.comparison.method import Given
from benchmarks.comparison.place import Place
from evolve.config import ConfigError

TASKS = Path(__file__).parents[1] / "tasks"


@dataclass(frozen=True)
class Axis:
    """An objective. `log`: its natural logarithm is compared, as of seconds."""

    name: str
    direction: str = "minimize"
    log: bool = False


@dataclass(frozen=True)
class Task:
    """What is optimised and for how long. `seed` are the seed program's values, `reference` those of the hypervolume.

    Both are fixed here, by objective, and never taken from what was found. `total` are the charged seconds of a run.
    """

    name: str
    objectives: tuple[Axis, ...]
    seed: Mapping[str, float]
    reference: Mapping[str, float]
    total: float
    given: Callable[[], Given]
    place: Place


def names() -> list[str]:
    """All tasks that can be run."""
    return sorted(path.stem for path in TASKS.glob("[!_]*.py") if "\nTASK = " in path.read_text(encoding="utf-8"))


def load(name: str) -> Task:
    """Raises `ConfigError` for a task that there is not."""
    if name not in names():
        raise ConfigError(f"no task {name!r}; there are {', '.join(names())}")
    found: Task = import_module(f"benchmarks.tasks.{name}").TASK
    return found
