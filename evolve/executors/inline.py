"""Runs trials as function calls in this process, a thread a slot: for tests, benchmarks and recorded tables.

Isolates nothing. A program whose text came from anybody else belongs into `local`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from evolve.model import Outcome, Trial


class InlineExecutor:
    """An `Executor` over `function`, which must not raise."""

    def __init__(self, function: Callable[[Trial], Outcome], slots: int = 1) -> None:
        self.slots = slots
        self._function = function
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="trial")

    def submit(self, trial: Trial) -> Future[Outcome]:
        return self._threads.submit(self._function, trial)

    def cancel(self, future: Future[Outcome]) -> None:
        future.cancel()

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
