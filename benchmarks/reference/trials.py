"""Trials of a few programs at several budgets and seeds, each done once: what was measured is kept in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from evolve.batch import run_all
from evolve.config import ConfigError
from evolve.lines import Lines
from evolve.model import Genome, Outcome, Trial, digest
from evolve.protocols import Executor

Key = tuple[str, float, int]  # program, budget in seconds, seed
ExecutorOf = Callable[[str], Executor]


@dataclass(frozen=True)
class Programs:
    """Texts by name, at a scale whose full budget is `full` seconds."""

    texts: Mapping[str, str]
    scale: str
    full: float

    def trial(self, key: Key) -> Trial:
        name, budget, seed = key
        rung = min(1.0, budget / self.full)
        return Trial(Genome(self.texts[name]), {}, budget, rung, self.scale, seed, "confirm")

    def row(self, key: Key) -> tuple[str, float, int]:
        """What a trial is known by in the file: a program by its text, so that another version is measured anew."""
        return digest(self.texts[key[0]]), round(key[1], 6), key[2]


class Measured:
    """Metrics of the trials in a file of JSON lines, to which new ones are added as they end.

    `executor_of` gives a program's executor by its name. `until` is a time of the monotonic clock after which no trial
    may end. Raises ConfigError for a trial that fails, StoreError where the file cannot be read or written.
    """

    def __init__(self, path: Path, programs: Programs, executor_of: ExecutorOf, until: float) -> None:
        self.lines, self.programs, self.executor_of, self.until = Lines(path), programs, executor_of, until
        self.metrics: dict[tuple[str, float, int], dict[str, float]] = dict(
            self.lines.read_as(lambda row: ((row["program"], row["budget"], row["seed"]), row["metrics"]))
        )

    def of(self, name: str, budget: float, seeds: Iterable[int]) -> list[dict[str, float]]:
        """Metrics of a program by seed, of those that are measured."""
        rows = (self.programs.row((name, budget, seed)) for seed in seeds)
        return [self.metrics[row] for row in rows if row in self.metrics]

    def measure(self, keys: Iterable[Key]) -> Iterator[Key]:
        """Run what is not measured yet; yields each as it ends. Raises OutOfTime, ConfigError, JudgeError."""
        due = [key for key in keys if self.programs.row(key) not in self.metrics]
        for name, row in groupby(due, key=lambda key: key[0]):
            jobs = [(key, self.programs.trial(key)) for key in row]
            for key, outcome in run_all(self.executor_of(name), jobs, self.until):
                self._keep(key, outcome)
                yield key

    def _keep(self, key: Key, outcome: Outcome) -> None:
        if outcome.status != "ok":
            raise ConfigError(f"{key[0]} at {key[1]:g} s, seed {key[2]}: {outcome.status}, {outcome.reason}")
        program, budget, seed = self.programs.row(key)
        self.metrics[program, budget, seed] = dict(outcome.metrics)
        metrics = dict(outcome.metrics)
        self.lines.add({"program": program, "name": key[0], "budget": budget, "seed": seed, "metrics": metrics})
