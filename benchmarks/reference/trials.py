"""Trials of a few programs at several budgets and seeds, each done once: what was measured is kept in a file."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path

from evolve.config import ConfigError
from evolve.model import Genome, Outcome, Trial, digest
from evolve.protocols import Executor

TRIES = 3  # for what the machine spoilt
START = 60.0  # seconds of a trial besides its budget, until one has shown how many
Key = tuple[str, float, int]  # program, budget in seconds, seed


class OutOfTime(Exception):
    """There is too little time for another trial; the same command goes on from here."""


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

    `until` is a time of the monotonic clock after which no trial may end. Raises ConfigError for a trial that fails.
    """

    def __init__(self, path: Path, programs: Programs, executor: Executor, until: float) -> None:
        self.path, self.programs, self.executor, self.until = path, programs, executor, until
        self.overhead = START
        self.metrics: dict[tuple[str, float, int], dict[str, float]] = {}
        for line in path.read_text().splitlines() if path.is_file() else []:
            row = json.loads(line)
            self.metrics[row["program"], row["budget"], row["seed"]] = row["metrics"]

    def of(self, name: str, budget: float, seeds: Iterable[int]) -> list[dict[str, float]]:
        """Metrics of a program by seed, of those that are measured."""
        rows = (self.programs.row((name, budget, seed)) for seed in seeds)
        return [self.metrics[row] for row in rows if row in self.metrics]

    def measure(self, keys: Iterable[Key]) -> Iterator[Key]:
        """Run what is not measured yet; yields each as it ends. Raises OutOfTime, ConfigError."""
        due = [key for key in keys if self.programs.row(key) not in self.metrics]
        running: dict[Future[Outcome], tuple[Key, float, int]] = {}
        tries = dict.fromkeys(due, 0)
        late = False
        while (due and not late) or running:
            while due and not late and len(running) < self.executor.slots:
                late = time.monotonic() + due[0][1] + self.overhead > self.until
                if not late:
                    key = due.pop(0)
                    tries[key] += 1
                    running[self.executor.submit(self.programs.trial(key))] = (key, time.monotonic(), tries[key])
            for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                key, began, count = running.pop(future)
                outcome = future.result()
                if outcome.status == "infrastructure" and count < TRIES:
                    print(f"{key[0]}: {outcome.reason}; once more", file=sys.stderr)
                    due.append(key)
                    continue
                self._keep(key, outcome)
                self.overhead = max(0.0, time.monotonic() - began - key[1]) * 1.2
                yield key
        if due:
            raise OutOfTime

    def _keep(self, key: Key, outcome: Outcome) -> None:
        if outcome.status != "ok":
            raise ConfigError(f"{key[0]} at {key[1]:g} s, seed {key[2]}: {outcome.status}, {outcome.reason}")
        program, budget, seed = self.programs.row(key)
        self.metrics[program, budget, seed] = dict(outcome.metrics)
        row = {"program": program, "name": key[0], "budget": budget, "seed": seed, "metrics": dict(outcome.metrics)}
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
