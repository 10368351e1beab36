"""Spares a device the trials that cannot fit its memory: they are answered at once, and never begin.

What is refused follows from the log alone, as it is when a trial is written down, so a replay has nothing to restore.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import Future
from functools import cache, partial
from itertools import islice

from evolve.audits import OWNER as AUDITED
from evolve.history import History
from evolve.lineage import with_ancestors
from evolve.memory import REFUSED, SURE, Law, Program, Range, hopeless, told
from evolve.model import Outcome, Trial
from evolve.protocols import Executor

REMEMBERED = 400  # programs that an estimate is made from, the latest
GIB = math.log(1024)
DIFFERENCES = 2  # that are named between a program and the nearest one that was measured


class SparingExecutor:
    """An `Executor` before another one. A trial is submitted when it was the last one to be written to `history`."""

    def __init__(self, executor: Executor, history: History) -> None:
        self._executor = executor
        self._estimates = Estimates(history)

    @property
    def slots(self) -> int:
        return self._executor.slots

    @property
    def lost(self) -> Mapping[int, str]:
        """Slots that were given up, and why."""
        return getattr(self._executor, "lost", {})

    def submit(self, trial: Trial) -> Future[Outcome]:
        if not (reason := self._estimates.refusal(trial)):
            return self._executor.submit(trial)
        future: Future[Outcome] = Future()
        future.set_result(Outcome("oom", reason=reason))
        return future

    def cancel(self, future: Future[Outcome]) -> None:
        self._executor.cancel(future)

    def close(self) -> None:
        self._executor.close()


class Estimates:
    """What a history says of device memory. It, and the law through it, are kept until an outcome says more."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._ancestors = cache(partial(_ancestors, history))
        self._limit, self._read = math.nan, 0  # MiB, and how many outcomes were read
        self._peaks: dict[Program, Range] = {}
        self._law: Law | None = None

    def refusal(self, trial: Trial) -> str:
        """Why the trial that was written last has no chance to fit the device's memory; "" if it may, or nothing is
        known.

        One that was submitted before is not refused: its outcome may lie in a spool. Nor is one that once fitted.
        """
        history, limit = self._history, device_memory(self._history)
        if limit is None or history.attempts[history.submitted] > 1:
            return ""
        found = self._found(limit)
        program = _program(trial, self._ancestors(history.submitted[0]))
        fitted = {one: peak for one, peak in found.items() if peak.high < math.inf}
        if program in fitted and fitted[program].low <= math.log(limit):
            return ""
        if not any(peak.low == peak.high for peak in fitted.values()):
            return ""
        law = self._law = self._law or Law(found)
        mean, deviation = law.predict(program)
        if not hopeless(mean, deviation, limit) or not _by_its_own(found, program, limit):
            return ""
        nearest = min(fitted, key=lambda one: law.distance(one, program))
        most, low, high = _gib(math.log(limit)), *(_gib(mean + side * deviation) for side in (-SURE, SURE))
        return (
            f"{REFUSED}{_gib(mean)} GiB (95 %: {low} to {high}) of device memory, the limit is {most} GiB: "
            f"not started; nearest measured: {_gib(fitted[nearest].low)} GiB{_differences(nearest, program)}"
        )

    def _found(self, limit: float) -> dict[Program, Range]:
        """What is known of the latest programs. A peak counts for more than a bound, and the highest one most."""
        if limit != self._limit:
            self._limit, self._read, self._peaks, self._law = limit, 0, {}, None
        for place, outcome in islice(self._history.outcomes.items(), self._read, None):
            self._read += 1
            trial = self._history.trials[place]
            if said := told(outcome, trial.purpose, limit):
                program = _program(trial, self._ancestors(place[0]))
                known = self._peaks.pop(program, said)
                self._peaks[program] = max(known, said, key=lambda r: (r.high < math.inf, r.low == r.high, r.low))
                self._law = None
        return dict(list(self._peaks.items())[-REMEMBERED:])


def _by_its_own(found: Mapping[Program, Range], program: Program, limit: float) -> bool:
    """Whether its own line alone says so: what strangers did with their memory, no program answers for."""
    line = set(program.lineage)
    own = {one: peak for one, peak in found.items() if line.issuperset(one.lineage)}
    if not any(peak.low == peak.high for peak in own.values()):
        return False
    return hopeless(*Law(own).predict(program), limit)


def device_memory(history: History) -> float | None:
    """MiB of the device that the present process measures with; None where its judge does not say."""
    said = history.harness.get("device_memory_mb")
    return float(said) if isinstance(said, int | float) and 0 < said < math.inf else None


def _program(trial: Trial, ancestors: list[str]) -> Program:
    return Program.of([trial.genome.key, *ancestors], trial.genome, trial.params)


def _ancestors(history: History, owner: str) -> list[str]:
    """The structures that the program of an evaluation descends from."""
    kind, _, number = owner.partition("/")
    mating = history.matings.get(int(number)) if kind in ("ask", AUDITED) else None
    return [c.genome.key for c in with_ancestors(history.candidates, mating.parents).values()] if mating else []


def _gib(log_mib: float) -> str:
    return f"{math.exp(log_mib - GIB):,.1f}"


def _differences(nearest: Program, program: Program) -> str:
    """` with BATCH_SIZE 64 instead of 512`: the sizes that differ most."""
    there, here = dict(nearest.sizes), dict(program.sizes)
    differ = [a for a in sorted(there.keys() & here.keys()) if there[a] != here[a]]
    most = sorted(differ, key=lambda a: -abs(here[a] - there[a]))[:DIFFERENCES]
    said = [f"{a} {math.exp(there[a]):.6g} instead of {math.exp(here[a]):.6g}" for a in most]
    return f" with {' and '.join(said)}" if said else ""
