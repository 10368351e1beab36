"""Runs trials on other machines, by way of a folder: writes jobs into a spool and waits for their outcomes.

What is being run there outlives this process: a run that is killed or ended while it waits finds its outcomes when it
is continued. So nothing here is ever running as far as the run is concerned; it waits, and can be taken back.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from evolve.config import ConfigError
from evolve.isolation import is_unisolated, rank
from evolve.journal import QUOTED, cut
from evolve.model import Outcome, Trial
from evolve.spool.attendance import Attendance
from evolve.spool.conditions import Conditions, check
from evolve.spool.folder import Damaged, Spool, encode
from evolve.spool.messages import Introduction, introduction_from, job_record, outcome_from, stem

POLL = 0.2  # seconds between two looks for outcomes
LOOK = 2.0  # seconds between two looks at who is at work
UNATTENDED = 16  # trials at a time in a spool at which nobody works, unless told otherwise

Place = tuple[str, int]  # an owner of trials and the number of the trial


@dataclass
class Open:
    """A trial that was asked for. `job` is what it is called in the spool, "" until it is there."""

    trial: Trial
    stem: str
    future: Future[Outcome]
    job: str = ""


class SpoolExecutor:
    """An `Executor` over a folder. `bind` writes parameters into a program's text.

    `hello` is what the workers' judge said of itself, and under `conditions` like its own alone outcomes count; others,
    and files that are none, are `infrastructure`. `run` and `place` name a trial within its run, so that the same
    trial is the same job in every process; `place` is called in `submit`. Without them nobody finds the jobs again.
    `slots` is how many are kept in the folder; 0: as many as those at work can run at once.
    """

    def __init__(
        self,
        spool: Spool,
        bind: Callable[[Trial], str],
        introduction: Introduction,
        *,
        run: str = "",
        place: Callable[[Trial], Place] | None = None,
        slots: int = 0,
    ) -> None:
        self.spool = spool
        self.hello = dict(introduction.hello)
        self.slots = slots or UNATTENDED
        self._alone: float | None = time.monotonic()  # since when; None while somebody who fits is at work
        self._given_slots = slots
        self._bind = bind
        self._conditions = introduction.conditions
        self._run = run or os.urandom(8).hex()
        counter = itertools.count()
        self._place = place or (lambda trial: ("", next(counter)))
        self._open: dict[str, Open] = {}
        self._asked: set[str] = set()
        self._attendance = Attendance(spool)
        self._closed = threading.Event()
        self._look()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def submit(self, trial: Trial) -> Future[Outcome]:
        one = Open(trial, stem(self._run, *self._place(trial), trial), Future())
        if self._closed.is_set():
            one.future.set_result(Outcome("infrastructure", reason="the executor was closed"))
            return one.future
        self._open[one.stem] = one
        self._asked.add(one.stem)
        self._writer.submit(self._publish, one).add_done_callback(lambda written: _pass_on(written, one.future))
        return one.future

    def cancel(self, future: Future[Outcome]) -> None:
        """Take a trial back. Who runs it already may finish; nobody reads what comes of it."""
        asked = [one for one in list(self._open.values()) if one.future is future]  # a cancelled one is soon forgotten
        if future.cancel():
            for one in asked:
                if one.job:  # one that is being written is taken back by its writer
                    self.spool.withdraw(one.job)

    def close(self) -> None:
        """Wait for nothing any more. Jobs stay where they are, for the next process of the run."""
        self._closed.set()
        self._writer.shutdown(wait=True, cancel_futures=True)
        self._watcher.join()
        for one in list(self._open.values()):
            one.future.cancel()

    def withdraw(self, *, all_of_them: bool) -> None:
        """Nobody asks any more for the jobs of this run, or for those that this process has not asked for."""
        self._writer.submit(self._withdraw, all_of_them).result()

    def _withdraw(self, all_of_them: bool) -> None:
        for name in {*self.spool.names("jobs"), *(claimed for claimed, _ in self.spool.claims())}:
            mine = name.startswith(f"{self._run[:8]}-")
            if mine and (all_of_them or name.rpartition("-")[0] not in self._asked) and not self.spool.closed(name):
                self.spool.withdraw(name)

    @property
    def waiting(self) -> int:
        """Trials that nobody has finished."""
        return sum(not one.future.done() for one in list(self._open.values()))

    @property
    def written(self) -> bool:
        """Whether all that was asked for lies in the folder."""
        return all(one.job or one.future.done() for one in list(self._open.values()))

    @property
    def unattended(self) -> float | None:
        """Seconds for which nobody whose outcomes would count has been at work; None while somebody is."""
        return None if self._alone is None else time.monotonic() - self._alone

    def _publish(self, one: Open) -> None:
        """Write the job of a trial, unless it lies there already, or its outcome does.

        A job that was withdrawn or spoiled has had its turn: the trial is run again under the next number.
        """
        try:
            job = next(job for k in itertools.count() if not self._over(job := f"{one.stem}-{k}", one.trial))
            if not self.spool.closed(job) and not self.spool.pending(job) and not one.future.cancelled():
                source = self._bind(one.trial)
                self.spool.write("jobs", job, encode(job_record(one.trial, source, self._conditions)))
            one.job = job
            if one.future.cancelled() and self.spool.pending(job):
                self.spool.withdraw(job)
        except ValueError as error:
            self._resolve(one, Outcome("rejected", reason=str(error)))
        except OSError as error:
            self._resolve(one, Outcome("infrastructure", reason=f"the spool cannot be written: {error}"))

    def _over(self, job: str, trial: Trial) -> bool:
        """Whether a job has had its turn, and nothing came of it."""
        if self.spool.has("withdrawn", job):
            return True
        outcome = self._outcome(job, trial)
        return outcome is not None and outcome.status == "infrastructure"

    def _watch(self) -> None:
        looked = time.monotonic()
        while not self._closed.wait(POLL):
            for one in list(self._open.values()):
                if one.future.cancelled():
                    self._open.pop(one.stem, None)
                elif one.job and (outcome := self._outcome(one.job, one.trial)):
                    self._resolve(one, outcome)
            if time.monotonic() - looked >= LOOK:
                looked = time.monotonic()
                self._look()

    def _outcome(self, job: str, trial: Trial) -> Outcome | None:
        """What came of a job; None if nothing did so far. What cannot be used, the machine spoiled."""
        try:
            record = self.spool.read("outcomes", job)
            if record is None:
                return None
            outcome, conditions = outcome_from(record, job, trial)
            check(self._conditions, conditions)
        except (Damaged, ValueError, ConfigError) as error:
            return Outcome("infrastructure", reason=cut(f"an outcome in the spool was refused: {error}", QUOTED))
        except OSError:  # of a file system that is away for a moment
            return None
        return outcome

    def _resolve(self, one: Open, outcome: Outcome) -> None:
        self._open.pop(one.stem, None)
        if one.future.set_running_or_notify_cancel():
            one.future.set_result(outcome)

    def _look(self) -> None:
        """Who is at work, and how much they can do at once."""
        try:
            self._attendance.look()
            known = introductions(self.spool)
            fit = {name for name, introduction in known.items() if not misfit(introduction, self._conditions)}
            fitting = [slots for slots, judge in self._attendance.present() if judge in fit]
        except OSError:
            return
        if fitting:
            self._alone = None
            self.slots = self._given_slots or max(1, sum(fitting))
        elif self._alone is None:
            self._alone = time.monotonic()


def _pass_on(written: Future[None], future: Future[Outcome]) -> None:
    """What nobody expected of `bind` is what whoever waits for the trial hears of it."""
    if not written.cancelled() and (error := written.exception()) and not future.done():
        future.set_exception(error)


def introductions(spool: Spool) -> Mapping[str, Introduction]:
    """The judges that ever introduced themselves in a spool; what is none of them is passed over."""
    return dict(_introductions(spool))


def _introductions(spool: Spool) -> Iterator[tuple[str, Introduction]]:
    for name in spool.names("judges"):
        try:
            if (record := spool.read("judges", name)) is not None:
                yield name, introduction_from(record)
        except (Damaged, ValueError):
            continue


def misfit(introduction: Introduction, wanted: Conditions) -> str:
    """Why what a judge measures cannot stand beside what is measured under `wanted`; "" if it can."""
    try:
        check(wanted, introduction.conditions)
    except ConfigError as error:
        return str(error)
    return ""


def meet(
    spool: Spool, fits: Callable[[Introduction], str], wait: float, say: Callable[[str], None], how: str
) -> Introduction:
    """The introduction of the judge that a run is measured with: of those that fit, of one at work if there is any.

    Of these it is the one that isolates least, so that what reports say of it holds for all. `fits` says why one does
    not, "" if it does; `how` is the command that starts a worker. Raises `ConfigError` if there is none after so many
    seconds, with what there is instead.
    """
    attendance, deadline, said = Attendance(spool), time.monotonic() + wait, False
    while True:
        attendance.look()
        present = {judge for _, judge in attendance.present()}
        known = introductions(spool)
        why = {name: fits(introduction) for name, introduction in known.items()}
        if fitting := [name for name in known if not why[name]]:
            return known[min(fitting, key=lambda name: (name not in present, rank(known[name].hello), name))]
        if time.monotonic() >= deadline:
            others = "".join(f" One that was there does not fit: {reason}" for reason in sorted(set(why.values()))[:3])
            raise ConfigError(
                f"the spool {spool.folder} has no worker yet: run `{how}` where the device is. With --once it "
                f"introduces itself, ends, and the folder can be carried back (spool pack, spool merge).{others}"
            )
        if not said:
            say(f"Waiting {wait:.0f} s for a worker: run `{how}` where the device is")
            said = True
        time.sleep(POLL)


def wanted_of(began: Conditions | None, unsafe: bool) -> Callable[[Introduction], str]:
    """Which judges a run may be measured with: any at first, then those like the one that it began with.

    Less isolation than that, or none at all, only if a person said so (`unsafe`).
    """
    wanted = replace(began, level="") if began and unsafe else began

    def fits(introduction: Introduction) -> str:
        if is_unisolated(introduction.hello) and not unsafe:
            return "programs have the rights of the worker's user there: allow it here too, with --unsafe-no-sandbox"
        return misfit(introduction, wanted) if wanted else ""

    return fits


def spool_of(executor: str) -> Path | None:
    """The folder of `spool:DIR`; None for `local`. Raises `ConfigError` for anything else."""
    kind, _, folder = executor.partition(":")
    if executor == "local":
        return None
    if kind != "spool" or not folder:
        raise ConfigError(f"--executor {executor}: write local or spool:DIR")
    return Path(folder)
