"""Many runs, several at once: who is next, at which seat, and how far all are."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import product

from benchmarks.comparison import runner, task
from benchmarks.comparison.crew import Crew, Job, Member
from benchmarks.comparison.models import by_default, check
from benchmarks.comparison.seeds import seeds_of, seeds_text
from evolve.commands.signals import INTERRUPTED, ended_like_by_ctrl_c
from evolve.config import ConfigError
from evolve.judges import Slot
from evolve.language import language_of

TICK = 0.5  # seconds between two looks
EVERY = 10.0  # seconds between two lines about all runs
Seats = Mapping[str, Sequence[Slot] | None]  # by task


def run(options: argparse.Namespace) -> int:
    """Every method on every task with every seed; those that ended are left as they are. Raises `ConfigError`.

    Returns the exit code: 1 if a run failed, whatever became of the others.
    """
    if any(x is not None and not x > 0 for x in (options.jobs, options.slots, options.budget, options.time_limit)):
        raise ConfigError("--jobs and --slots from 1 on, --budget and --time-limit above 0")
    seeds = seeds_of(options.seeds)
    tasks = {name: task.load(name) for name in options.tasks}
    language = language_of(options)
    methods = options.methods or by_default(language)
    check(methods, language)
    every = [  # a seed of all methods after another, so that what is there at any time can be compared
        Job(name, of, seed, options.budget or tasks[of].total, language)
        for of, seed, name in product(tasks, seeds, methods)
    ]
    left = [j for j in every if not runner.has_ended(j.method, tasks[j.task], j.seed, j.total, options.output)]
    print(f"{len(every)} runs, seeds {seeds_text(seeds)}; {len(every) - len(left)} of them have ended", flush=True)
    if not left:
        return 0
    seats = {of: joined(of, tasks[of].place.seats(), options.slots) for of in dict.fromkeys(job.task for job in left)}
    jobs = jobs_of(options.jobs, seats)
    until = time.monotonic() + (options.time_limit or math.inf)
    crew = Crew(options.output, until)
    board = Board(every, left)
    with ended_like_by_ctrl_c():
        try:
            _drive(crew, list(left), seats, jobs, until, board)
        except KeyboardInterrupt:
            crew.stop()
            print(f"Interrupted: {board.rest()}", flush=True)
            return INTERRUPTED
        finally:
            crew.stop()
    return board.close()


def joined(name: str, seats: Sequence[Slot] | None, slots: int) -> Sequence[Slot] | None:
    """The seats of a task whose runs have so many slots, each a core. Raises `ConfigError` where they cannot."""
    if slots == 1:
        return seats
    if not seats or seats[0].device:
        raise ConfigError(f"--slots {slots}: a run of {name} has {'one GPU' if seats else 'no core'}; leave it out")
    if slots > len(seats):
        raise ConfigError(f"--slots {slots}, and there are {len(seats)} cores for runs of {name}")
    cores = [core for seat in seats for core in seat.cores]
    return [Slot(tuple(cores[i : i + slots])) for i in range(0, len(cores) - slots + 1, slots)]


def jobs_of(wanted: int | None, seats: Seats) -> int:
    """How many runs at once: as many as there are seats, unless less is wanted. Raises `ConfigError` for more."""
    for name, found in seats.items():
        if found is not None and wanted is not None and wanted > len(found):
            each = len(found[0].cores)
            kind = "GPUs" if found[0].device else "cores" if each == 1 else f"sets of {each} cores"
            raise ConfigError(
                f"--jobs {wanted}, and there are {len(found)} {kind} for runs of {name}: each run has one of its own"
            )
    cores = len(os.sched_getaffinity(0))
    return wanted or min(cores if found is None else len(found) for found in seats.values())


def free_seat(job: Job, seats: Seats, members: Sequence[Member]) -> tuple[bool, Slot | None]:
    """Whether a run can begin beside those under way, and where: on no core and no GPU that one of them has.

    One in virtual time has no seat, and would disturb those that have: it does not run beside them.
    """
    there, taken = seats[job.task], [member.seat for member in members]
    if there is None:
        return not any(taken), None
    if None in taken:
        return False, None
    used = {part for seat in taken if seat for part in (*seat.cores, seat.device or None)} - {None}
    free = [seat for seat in there if not used & {*seat.cores, seat.device or None}]
    return bool(free), free[0] if free else None


def _drive(crew: Crew, left: list[Job], seats: Seats, jobs: int, until: float, board: Board) -> None:
    """Until all have ended, or the time is over."""
    while crew.members or (left and time.monotonic() < until):
        while left and len(crew.members) < jobs and time.monotonic() < until:
            fits, seat = free_seat(left[0], seats, crew.members)
            if not fits:
                break
            crew.start(left.pop(0), seat)
        for member in crew.listen(TICK):
            board.gone(member, crew.members)
        board.show(crew.members)


class Board:
    """How far all runs are, and how they ended. Seconds that were charged before say nothing of the time left."""

    def __init__(self, every: Sequence[Job], left: Sequence[Job]) -> None:
        self._every = every
        self._left = len(left)
        self._total = sum(job.total for job in every)
        self._before = self._total - sum(job.total for job in left)  # of those that have ended
        self._charged = 0.0  # of those that are no longer under way, since this command began
        self._ended = 0
        self._failures: list[Member] = []
        self._began = self._shown = time.monotonic()
        self._last = ""

    def gone(self, member: Member, members: Sequence[Member]) -> None:
        """A run is no longer under way, `members` are those that are."""
        done, now = _seconds(member)
        self._before += done - now
        self._charged += now
        if member.failure:
            self._failures.append(member)
            print(f"failed  {member.job}: {member.failure.splitlines()[-1]}", flush=True)
        if member.ended:
            self._ended += 1
            print(f"{self._ended}/{self._left}  {member.job}  {self._clock(members)}", flush=True)

    def show(self, members: Sequence[Member]) -> None:
        """A line every `EVERY` seconds, if anything has changed."""
        if time.monotonic() - self._shown < EVERY:
            return
        self._shown = time.monotonic()
        again = sum((member.charged or 0.0) >= member.job.total for member in members)
        front = f" ({again} of them train their front again)" if again else ""
        share = f"{len(members)} under way{front}, {self._share(members):.1%} of {self._total:g} charged seconds"
        if share != self._last:
            print(f"{share}, {self._clock(members)}", flush=True)
        self._last = share

    def rest(self) -> str:
        return f"{self._left - self._ended} of {len(self._every)} runs are left; the same command goes on with them"

    def close(self) -> int:
        """Say what failed and what is left; the exit code."""
        if self._failures:
            print(f"{len(self._failures)} runs failed; the same command tries again:", file=sys.stderr)
            for member in self._failures:
                print(f"* {member.job}: {member.failure}", file=sys.stderr)
            return 1
        if self._ended < self._left:
            print(f"The time is over: {self.rest()}", flush=True)
        return 0

    def _share(self, members: Sequence[Member]) -> float:
        return (self._before + self._charged + sum(_seconds(m)[0] for m in members)) / self._total

    def _clock(self, members: Sequence[Member]) -> str:
        """Time since the beginning, and until the end at the same charged seconds a second."""
        elapsed = time.monotonic() - self._began
        now = self._charged + sum(_seconds(m)[1] for m in members)
        left = self._total * (1 - self._share(members))
        rest = f"{elapsed / now * left:.0f} s left" if now > 0 else "the rest is not known yet"
        return f"{elapsed:.0f} s, {rest}"


def _seconds(member: Member) -> tuple[float, float]:
    """Charged seconds of a run in all, at most its total, and those of this command."""
    done = member.job.total if member.ended else min(member.charged or 0.0, member.job.total)
    return done, max(0.0, done - min(member.begun or 0.0, done))
