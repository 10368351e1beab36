"""Signals while a run is on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from rich.console import Console

INTERRUPTED = 130  # exit code
AGAIN = "The same command continues."


class Interruptible(Protocol):
    """A loop or a worker: looks now and then whether it should end."""

    interrupted: bool


def _ends() -> list[signal.Signals]:
    """The signals that end a run; under nohup the closing of a terminal does not."""
    hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGINT, signal.SIGTERM, *hang_up]


@contextmanager
def ended_like_by_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt, so that what was started is closed, also before the first trial."""
    before = {s: signal.signal(s, signal.default_int_handler) for s in _ends() if s != signal.SIGINT}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interruptible(loop: Interruptible, console: Console, then: str = AGAIN) -> Iterator[None]:
    """Ctrl-C once (or SIGTERM, SIGHUP) finishes the running trials; twice stops now."""

    def stop(number: int, frame: FrameType | None) -> None:
        if loop.interrupted:
            raise KeyboardInterrupt
        loop.interrupted = True
        console.print(f"Finishing the running trials; once more to stop now. {then}", markup=False)

    before = {s: signal.signal(s, stop) for s in _ends()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
