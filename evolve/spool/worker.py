"""The other end of a spool: takes jobs, runs them with the judges of this machine, and writes what came of them.

Knows nothing of a run but its jobs: no run directory, no key, no syntax tree. What it claims and does not finish it
gives back; where it is killed, the others give it back when its signs of life have stopped.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass

from evolve.config import ConfigError
from evolve.executors.local import LocalExecutor
from evolve.journal import QUOTED, cut
from evolve.model import Outcome, Trial
from evolve.spool import attendance
from evolve.spool.attendance import Attendance
from evolve.spool.conditions import check
from evolve.spool.folder import Damaged, Spool, encode
from evolve.spool.messages import Introduction, introduction_record, job_from, outcome_record

POLL = 0.2  # seconds between two looks for jobs
SAID = 160  # characters of what a program said, in a line of progress


@dataclass
class Running:
    """A job that is being run."""

    name: str
    trial: Trial
    begun: float


class Worker:
    """Runs the jobs of `spool` with `executor`, whose judges introduced themselves as `introduction` says.

    `once`: until no job is left that it can take, rather than for ever. `limit` bounds it in seconds, 0 does not: a job
    that would not be finished by then is not begun, and one that is not finished is given back. Set `interrupted` to
    end it when what runs is finished. `say` is told, in a line, what happens.
    """

    def __init__(
        self,
        spool: Spool,
        executor: LocalExecutor,
        introduction: Introduction,
        say: Callable[[str], None],
        *,
        once: bool = False,
        limit: float = 0.0,
    ) -> None:
        self.interrupted = False
        self.name = os.urandom(6).hex()
        self.done = 0
        self.unfit: dict[str, str] = {}  # jobs that cannot be run here, and why
        self._spool = spool
        self._executor = executor
        self._introduction = introduction
        self._say = say
        self._once = once
        self._limit = limit
        self._begun = time.monotonic()
        self._overhead = 0.0  # seconds that a job took beyond its budget, at most
        self._running: dict[Future[Outcome], Running] = {}
        self._others = Attendance(spool)
        self._beats = 0
        self._beaten = float("-inf")

    def run(self) -> str:
        """Work until there is a reason to end; returns it. Raises `OSError` if the folder cannot be used any more."""
        introduction = self._introduction
        if not self._spool.has("judges", introduction.name):
            self._spool.write("judges", introduction.name, encode(introduction_record(introduction)))
        try:
            while True:
                self._beat()
                self._collect()
                if (reason := self._reason()) is not None:
                    return reason
                wait(self._running, timeout=POLL, return_when=FIRST_COMPLETED)
                if not self._running:
                    time.sleep(POLL)
        finally:
            for job in self._running.values():
                self._spool.give_back(job.name, self.name)
            self._spool.remove("workers", self.name)

    def _reason(self) -> str | None:
        """Take what there is to take. Why there is nothing more to do, if so."""
        if self._limit and self._left() <= 0:
            return "the time limit is reached"
        if not self._executor.slots:
            return "no slot is left"
        if not self.interrupted:
            self._take_more()
        if self._running:
            return None
        if self.interrupted:
            return "interrupted"
        if self._once and all(self._others.state(who) == "alive" for _, who in self._spool.claims()):
            return "no job is left"
        return None

    def _left(self) -> float:
        return self._begun + self._limit - time.monotonic()

    def _beat(self) -> None:
        """A sign of life, and a look at those of others."""
        if time.monotonic() - self._beaten < attendance.BEAT:
            return
        self._beaten = time.monotonic()
        self._beats += 1
        record = {"beat": self._beats, "slots": self._executor.slots, "judge": self._introduction.name}
        self._spool.write("workers", self.name, encode(record))
        self._others.look()
        if lost := self._others.give_back():
            self._say(f"{lost} jobs wait again: their worker gives no sign of life")

    def _take_more(self) -> None:
        for name in self._spool.names("jobs"):
            if len(self._running) >= self._executor.slots:
                return
            if self._spool.closed(name):
                self._spool.remove("jobs", name)
            elif name not in self.unfit:
                self._take(name)

    def _take(self, name: str) -> None:
        """Begin a job, unless it is no job for this machine or somebody else was faster."""
        conditions = self._introduction.conditions
        try:
            record = self._spool.read("jobs", name)
            if record is None:
                return
            job = job_from(record)
            check(job.conditions, conditions)
        except ConfigError as error:
            self._leave(name, str(error))
            return
        except (Damaged, ValueError) as error:
            if self._spool.claim(name, self.name):
                self._finish(name, Outcome("infrastructure", reason=cut(f"the job cannot be read: {error}", QUOTED)))
            return
        if self._limit and job.trial.budget + self._overhead > self._left():
            self._leave(name, "the time limit leaves no room for it")
            return
        if self._spool.claim(name, self.name):
            self._running[self._executor.submit(job.trial)] = Running(name, job.trial, time.monotonic())

    def _leave(self, name: str, reason: str) -> None:
        if reason not in self.unfit.values():
            self._say(f"{name} is left alone: {reason}")
        self.unfit[name] = reason

    def _collect(self) -> None:
        for future in [f for f in self._running if f.done()]:
            job, outcome = self._running.pop(future), future.result()
            if outcome.status == "infrastructure" and not self._executor.slots:
                self._spool.give_back(job.name, self.name)
                continue
            self._overhead = max(self._overhead, time.monotonic() - job.begun - job.trial.budget)
            self._finish(job.name, outcome)
            self._tell(job, outcome)

    def _finish(self, name: str, outcome: Outcome) -> None:
        """First the outcome, then the claim: a job whose worker dies in between is done, and nobody takes it again."""
        self._spool.keep(name, encode(outcome_record(name, self._introduction.conditions, outcome)))
        self._spool.remove("claims", f"{name}@{self.name}")
        self.done += 1

    def _tell(self, job: Running, outcome: Outcome) -> None:
        why = f" ({cut(outcome.reason, SAID)})" if outcome.reason else ""
        wait = len(self._spool.names("jobs"))
        counts = f"{self.done} done, {len(self._running)} running, {wait} waiting"
        self._say(f"{job.name} {job.trial.purpose}: {outcome.status}{why}, {outcome.seconds:.1f} s; {counts}")
