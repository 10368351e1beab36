"""Runs side by side, each in a process of its own and at a seat of its own.

Over its line a process tells how many seconds are charged, and how it ended. It is also how it notices that whoever
started it is gone: then it ends, with its judges. SIGTERM ends it at once; Ctrl-C is left to whoever started it.
"""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

from benchmarks.comparison import runner, task
from evolve.config import ConfigError
from evolve.executors.local import GRACE, JudgeError
from evolve.judges import Slot
from evolve.language import Language
from evolve.store import StoreError

EVERY = 1.0  # seconds between two words of a run


@dataclass(frozen=True)
class Job:
    """A run: of a method on a task with a seed, for `total` charged seconds. It may ask the models of `language`."""

    method: str
    task: str
    seed: int
    total: float
    language: Language | None = None

    def __str__(self) -> str:
        return f"{self.task} {self.method} seed {self.seed}"


@dataclass
class Member:
    """A run under way. `begun` and `charged` are its charged seconds when it went on and now, None until it says so.

    `ended` says that it used its total; `failure` is why it could not go on, "" otherwise.
    """

    job: Job
    seat: Slot | None
    process: BaseProcess
    line: Connection
    begun: float | None = None
    charged: float | None = None
    ended: bool = False
    failure: str = ""

    def listen(self) -> bool:
        """Take in what it says; False once it has said all and is gone."""
        try:
            while self.line.poll():
                said = self.line.recv()
                if isinstance(said, float):
                    self.begun, self.charged = said if self.begun is None else self.begun, said
                elif isinstance(said, bool):
                    self.ended = said
                else:
                    self.failure = str(said)
        except (EOFError, OSError):
            return False
        return True


class Crew:
    """The runs under way in `directory`; each stops by itself at the time `until` of the monotonic clock."""

    def __init__(self, directory: Path, until: float) -> None:
        self.members: list[Member] = []
        self._directory = directory
        self._until = until
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload([runner.__name__])

    def start(self, job: Job, seat: Slot | None) -> None:
        ours, theirs = self._context.Pipe(duplex=False)
        arguments = (theirs, job, seat, self._directory, self._until)
        process = self._context.Process(target=work, args=arguments, name=str(job))
        process.start()
        theirs.close()
        self.members.append(Member(job, seat, process, ours))

    def listen(self, seconds: float) -> list[Member]:
        """Those that have ended, after at most so many seconds."""
        wait([member.line for member in self.members], seconds)
        gone = [member for member in self.members if not member.listen()]
        for member in gone:
            self.members.remove(member)
            member.process.join()
            member.line.close()
            if not member.ended and not member.failure and member.process.exitcode:
                member.failure = f"its process ended with exit code {member.process.exitcode}"
        return gone

    def stop(self) -> None:
        """End all, with their judges."""
        for member in self.members:
            member.process.terminate()
        end = time.monotonic() + 2 * GRACE
        for member in self.members:
            member.process.join(max(0.0, end - time.monotonic()))
            member.process.kill()
            member.process.join()
        self.members.clear()


def work(line: Connection, job: Job, seat: Slot | None, directory: Path, until: float) -> None:
    """In a process of its own: one run, on the cores of its seat."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_once)
    if seat:
        os.sched_setaffinity(0, seat.cores)
    try:
        line.send(runner.run(*_what(job), directory, seat, until, _telling(line), job.language))
    except (KeyboardInterrupt, BrokenPipeError):
        return
    except (ConfigError, StoreError, JudgeError) as error:
        line.send(str(error))
    except Exception:  # the boundary of a process: the others go on, and whoever started it has to hear of it
        line.send(traceback.format_exc())


def _what(job: Job) -> tuple[str, task.Task, int, float]:
    return job.method, task.load(job.task), job.seed, job.total


def _telling(line: Connection) -> Callable[[float], None]:
    """Says the charged seconds now and then."""
    last = 0.0

    def tell(charged: float) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY:
            line.send(float(charged))
            last = time.monotonic()

    return tell


def _end_once(number: int, frame: FrameType | None) -> None:
    """A second signal must not disturb what the first one ends."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt
