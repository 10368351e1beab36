"""A spool with what works at it: the engine's end, and workers with the contract's judge in threads or as processes.

Run as `python -m tests.evolve.spooled FOLDER TRACE SLOTS` it is a worker, to be killed; each
trial that it begins is appended to TRACE by the name of its job.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evolve.executors import spool as engine
from evolve.executors.local import LocalExecutor
from evolve.executors.spool import Place, SpoolExecutor
from evolve.judges import Slot
from evolve.model import Genome, Outcome, Trial
from evolve.spool import attendance, worker
from evolve.spool.conditions import Conditions
from evolve.spool.folder import Spool, encode
from evolve.spool.messages import Introduction, outcome_record
from evolve.spool.worker import Worker
from tests.contracts import fake_judge

JUDGE = str(Path(fake_judge.__file__))
CONDITIONS = Conditions("f" * 16, "toy", "c" * 64, "", "N", {"torch": "2.13", "python": "3.12.1"})
HELLO = {"isolation": "N: made up", "level": "N", "device": "fake", "corpus": {"name": "toy", "sha256": "c" * 64}}
INTRODUCTION = Introduction(HELLO, CONDITIONS)
FAST = {"BEAT": 0.1, "STALE": 2.0, "POLL": 0.02, "LOOK": 0.05}


def trial(lr: float = 1.0, sleep: float = 0.0, seed: int = 0, budget: float = 2.0) -> Trial:
    return Trial(Genome("program", "s"), {"lr": lr, "sleep": sleep}, budget, 0.25, "toy", seed, "tune")


def bind(trial: Trial) -> str:
    return f"{trial.params['lr']} {trial.params['sleep']}\n{trial.genome.source}"


def judges(slots: int) -> LocalExecutor:
    return LocalExecutor([JUDGE], [Slot((core,)) for core in range(slots)], lambda trial: trial.genome.source)


class Bench:
    """Everything that a test of a spool needs, closed at the end. All waiting in it is short."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.spool = Spool(folder)
        self.said: list[str] = []
        self._end = contextlib.ExitStack()
        for name, value in FAST.items():
            for module in (m for m in (engine, worker, attendance) if hasattr(m, name)):
                monkeypatch.setattr(module, name, value)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()

    def executor(
        self, bind: Callable[[Trial], str] = bind, slots: int = 0, place: Callable[[Trial], Place] | None = None
    ) -> SpoolExecutor:
        """The engine's end, always of the same run."""
        made = SpoolExecutor(self.spool, bind, INTRODUCTION, run="abcdef0123456789", place=place, slots=slots)
        self._end.callback(made.close)
        return made

    def worker(self, slots: int = 1, introduction: Introduction = INTRODUCTION, **how: float) -> Worker:
        """One that has not begun."""
        made = judges(slots)
        self._end.callback(made.close)
        return Worker(self.spool, made, introduction, self.said.append, **how)  # type: ignore[arg-type]

    def work(self, slots: int = 1) -> Worker:
        """One that works in a thread until the end."""
        made = self.worker(slots)
        thread = threading.Thread(target=made.run)
        thread.start()

        def stop() -> None:
            made.interrupted = True
            thread.join()

        self._end.callback(stop)
        return made

    def answer(self, job: str, outcome: Outcome, conditions: Conditions = CONDITIONS) -> None:
        """As a worker would."""
        self.spool.keep(job, encode(outcome_record(job, conditions, outcome)))


class Traced(Spool):
    """Writes down which job a worker begins."""

    def __init__(self, folder: Path, trace: Path) -> None:
        super().__init__(folder)
        self._trace = os.open(trace, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def claim(self, name: str, worker: str) -> bool:
        taken = super().claim(name, worker)
        if taken:
            os.write(self._trace, f"{name}\n".encode())
        return taken


def numbered() -> Callable[[Trial], Place]:
    """Places in the order in which trials are submitted: as another process of the same run would have it."""
    numbers: Iterator[int] = iter(range(10**6))
    return lambda trial: ("ask/1", next(numbers))


def main(folder: str, trace: str, slots: str) -> None:
    for name, value in FAST.items():
        for module in (m for m in (worker, attendance) if hasattr(m, name)):
            setattr(module, name, value)
    executor = judges(int(slots))
    try:
        print("ready", flush=True)
        Worker(Traced(Path(folder), Path(trace)), executor, INTRODUCTION, lambda line: None).run()
    finally:
        executor.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
