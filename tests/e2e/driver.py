"""A run on the toy target as a process of its own, to be killed. Usage: driver.py RUN_DIR TRACE GENERATIONS.

Which trials begin and end is appended to TRACE, so that it is known without the store. At its end it prints, as one
line of JSON, the population, the front and whom the next asks would choose.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from evolve.executors.inline import InlineExecutor
from evolve.history import History
from evolve.loop import Loop
from evolve.model import Outcome, Trial
from evolve.records import mating_record
from evolve.store import StoreError
from tests.evolve import toy

SLOTS = 2


class Traced(InlineExecutor):
    """Writes down the beginning and the end of each trial by owner and number, with one system call each."""

    def __init__(self, trace: Path) -> None:
        super().__init__(toy.run_trial, SLOTS)
        self._file = os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def watch(self, history: History) -> None:
        """Before the first trial: `history` tells which trial is being submitted."""
        self.history, self._before = history, history.attempts.copy()

    def submit(self, trial: Trial) -> Future[Outcome]:
        (owner, n), *_ = self.history.attempts - self._before
        self._before = self.history.attempts.copy()

        def traced(trial: Trial) -> Outcome:
            os.write(self._file, f"begin {owner} {n}\n".encode())
            time.sleep(random.Random(trial.seed).uniform(0.01, 0.02))
            os.write(self._file, f"end {owner} {n}\n".encode())
            return toy.run_trial(trial)

        return self._threads.submit(traced, trial)


def state(history: History) -> dict[str, Any]:
    """What a replay has to give back."""
    asks = [mating_record(history.search.ask(index)) for index in range(1000, 1010)]
    members = [c.id for c in history.search.population]
    return {"population": members, "front": [c.id for c in history.front], "charged": history.charged, "asks": asks}


def run(loop: Loop) -> None:
    loop.history.apply(loop.store.append("session", f"session/{os.getpid()}/{time.time_ns()}", {}))
    print("ready", flush=True)
    loop.run(toy.SEED)
    print(json.dumps(state(loop.history)), flush=True)


def main(directory: str, trace: str, generations: str) -> int:
    executor = Traced(Path(trace))
    try:
        loop = toy.make_loop(Path(directory), int(generations), executor, refusals=200)
    except StoreError as error:
        print(error, file=sys.stderr)
        return 2
    executor.watch(loop.history)
    try:
        run(loop)
    finally:
        executor.close()
        loop.store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
