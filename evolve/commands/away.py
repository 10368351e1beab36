"""A run whose trials are in a spool: when it can only wait, whether it does, and what there is to carry."""

from __future__ import annotations

import contextlib
import shlex

from rich.console import Console

from evolve.executors.spool import SpoolExecutor
from evolve.loop import Loop
from evolve.reports.state import AWAY


def leave(console: Console, executor: SpoolExecutor, loop: Loop, scale: str) -> None:
    """When a run ends: its jobs stay for the next process of it, or nobody asks for them any more."""
    if loop.ending:
        print_way(console, executor, scale)
    elif not (loop.interrupted or loop.trouble or loop.history.halted):
        with contextlib.suppress(OSError):  # they stay, and are done for nothing
            executor.withdraw(all_of_them=True)


class Patience:
    """Call it with the loop as often as you like: ends a run that has to wait for a spool at which nobody works.

    It does so after `wait` seconds; with 0 as soon as there is nothing to do but to wait, whoever is at work.
    """

    def __init__(self, executor: SpoolExecutor, wait: float, console: Console) -> None:
        self._executor = executor
        self._wait = wait
        self._console = console
        self._last = 0.0
        self._said = False

    def __call__(self, loop: Loop) -> None:
        if not self._quiet(loop):
            return
        with contextlib.suppress(OSError):
            self._executor.withdraw(all_of_them=False)
        alone = self._executor.unattended
        if alone is None and self._wait:
            self._said = False
        elif alone is None or alone >= self._wait:
            loop.ending = f"{AWAY}: {self._executor.waiting} in {self._executor.spool.folder}"
        elif not self._said:
            self._said = True
            said = f"Nobody works at {self._executor.spool.folder}: the run ends in {self._wait - alone:.0f} s unless "
            self._console.print(f"{said}somebody does.", markup=False, highlight=False)

    def _quiet(self, loop: Loop) -> bool:
        """Whether nothing happened since the last call, nobody makes a child, and every trial lies in the folder."""
        last, self._last = self._last, loop.history.sessions[-1][1]
        making = len(loop.history.matings) - len(loop.history.proposals)
        return last == self._last and not making and loop.open_trials > 0 and self._executor.written


def print_way(console: Console, executor: SpoolExecutor, scale: str) -> None:
    """What to do by hand now, as commands."""
    folder = shlex.quote(str(executor.spool.folder))
    console.print(
        f"\nStart a worker on {folder}; if none can reach it, carry it:\n"
        f"  here:  python -m evolve spool pack {folder} -o there.tgz\n"
        "  there: python -m evolve spool merge there.tgz spool\n"
        f"         python -m evolve worker --spool spool --scale {scale} --once\n"
        "         python -m evolve spool pack spool -o back.tgz\n"
        f"  here:  python -m evolve spool merge back.tgz {folder}\n"
        "and run the same command again.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
