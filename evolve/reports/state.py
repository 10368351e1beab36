"""Whether a run is on, was interrupted, has stopped or failed: for everything that shows a run."""

from __future__ import annotations

import fcntl
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evolve.history import History
from evolve.journal import QUOTED, cut, plain

INTERRUPTED = "interrupted"  # the reason that the loop gives when a signal ended it
AWAY = "its trials wait in a spool"  # how a reason begins when the run could only wait
CURE = "python -m evolve resume --run-dir"


@dataclass(frozen=True)
class State:
    """`sentence` says it in full, on one line, without what could steer a terminal."""

    name: Literal["running", "interrupted", "stopped", "failed"]
    sentence: str

    @property
    def on(self) -> bool:
        return self.name == "running"


def state_of(directory: Path, history: History) -> State:
    """The state of the run in `directory`, of which `history` was read.

    Running: a process holds the lock of the directory. Failed: it stopped without a measured seed program.
    Interrupted: a signal ended the last process, or it died without a word.
    """
    return state_with(holder(directory), directory, history)


def state_with(who: str, directory: Path, history: History) -> State:
    """The same, where it is known who works on the run, as of `holder`."""
    if who:
        return State("running", f"Running ({who}): {_so_far(history)}.")
    reason = cut(history.stopped, QUOTED)
    if not reason or reason == INTERRUPTED or reason.startswith(AWAY):
        how = "by a signal" if reason == INTERRUPTED else reason or "its process ended before the run did"
        cure = f"{CURE} {plain(shlex.quote(str(directory)))}"
        return State("interrupted", f"Interrupted ({how}): {_so_far(history)}. To continue: {cure}")
    if not history.measured:
        return State("failed", f"Failed: {reason}.")
    return State("stopped", f"Stopped: {reason}; {_so_far(history)}.")


def holder(directory: Path) -> str:
    """Who works on a run, as "pid 17 since 2030-01-31 12:00:00"; "" if nobody does.

    Asks for a share of the writer's lock and gives it back at once: a file "lock" left behind means nothing.
    """
    try:
        lock = os.open(directory / "lock", os.O_RDONLY)
    except OSError:
        return ""
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return cut(os.read(lock, 100).decode(errors="replace"), 100) or "another process"
    finally:
        os.close(lock)
    return ""


def _so_far(history: History) -> str:
    if history.seed is None:
        return "the seed program has not been measured yet"
    return f"{history.finished} candidates measured, {history.charged:,.0f} charged seconds"
