"""Where the trials of a task run: in virtual time, or in real boxes at seats of this machine.

A seat is what one run may use, and nobody else meanwhile: a core for each trial at a time, or a GPU with its share of
the cores. It belongs to the place, so every method gets the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.comparison.virtual import VirtualExecutor, at_once
from evolve import proposals
from evolve.isolation import Session
from evolve.judges import Slot
from evolve.loop import Loop
from evolve.model import Briefing, Mating
from evolve.protocols import Executor, Operator

Making = Callable[[Operator, Mating, Briefing], Future[proposals.Made]]


@dataclass(frozen=True)
class Opened:
    """An executor that is ready. `watch` is called after each step of a loop, `step` by whoever waits otherwise: they
    let virtual time pass. `clock` dates events, and `making` begins a child: virtual time has no threads.

    `hello` is what its judge said of itself, nothing of a function that is none. `header` and `settings` are what the
    log of a run has to say so that it can be read and repeated: the target and the text.
    """

    executor: Executor
    watch: Callable[[Loop], None] = lambda loop: None
    step: Callable[[], object] = lambda: None
    clock: Callable[[], float] = time.time
    making: Making = proposals.start
    hello: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=lambda: {"corpus": ""})


class Place(Protocol):
    """Where trials run."""

    def seats(self) -> Sequence[Slot] | None:
        """Those of this machine, at least one; None where none is needed. Raises `ConfigError`."""
        ...

    def open(self, seat: Slot | None, directory: Path, began: Session) -> AbstractContextManager[Opened]:
        """An executor with a slot for each core of a seat (the first one if none is given), or one for its GPU, closed
        at the end.

        It may write into the run's `directory`. `began` is the first session of the run, empty if this is it. Raises
        `ConfigError` if it differs too much, `JudgeError` if a judge does not start.
        """
        ...


@dataclass(frozen=True)
class Virtual:
    """Trials in virtual time: `make` makes the executor. It occupies no core, and has as many slots as it likes."""

    make: Callable[[], VirtualExecutor]

    def seats(self) -> None:
        return None

    @contextmanager
    def open(self, seat: Slot | None, directory: Path, began: Session) -> Iterator[Opened]:
        with closing(self.make()) as executor:
            yield Opened(executor, executor.watch, executor.step, executor.clock, at_once)
