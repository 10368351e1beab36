"""Runs trials on this machine: one judge process a slot, which owns clock, seed, text and score.

A judge is started once and asked for one trial after another, by JSON lines on its standard input and output; the
program travels as a file in a folder of its own. What a judge does below itself (boxes) is its target's business.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any

from evolve.isolation import isolates_less
from evolve.judges import Slot, judge_environment
from evolve.model import Outcome, Trial

GRACE = 10.0  # seconds that a judge gets to end by itself
SEE_LOG = "; see judge.log in the run directory"
PATIENCE = 600.0  # seconds that a trial may take besides `SLOWEST` times its budget: judges have stricter limits
SLOWEST = 20.0
HOPELESS = 12  # trials spoiled in a row on one slot, after which the slot is given up
PAUSE = 0.25  # seconds that a slot rests after one, and twice as long after each further one, so that others take over
LONGEST_PAUSE = 8.0
WAITS: dict[str, Any] = {}  # stands for a line in which a judge says that it waits


class JudgeError(Exception):
    """A judge could not be started; the message is the judge's own."""


Job = tuple[Trial, "Future[Outcome]"]


class LocalExecutor:
    """An `Executor` with one judge for each slot of `where`. `bind` writes parameters into a program's text.

    `hello` is what the first judge said of itself when it was ready: corpus, isolation, device, versions, baselines.
    `waiting` is called now and then until it is. Raises `JudgeError` if a judge does not start.

    A slot that spoils one trial after another (its device is lost, its judge does not start again) is given up: `slots`
    becomes less, and `lost` says why. Without any left every trial is `infrastructure` at once.
    """

    def __init__(
        self,
        command: Sequence[str],
        where: Sequence[Slot],
        bind: Callable[[Trial], str],
        log: IO[str] | None = None,
        waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self.slots = len(where)
        self.lost: dict[Slot, str] = {}
        self._closed = threading.Event()
        self._giving_up = threading.Lock()
        self._bind = bind
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._running: dict[Future[Outcome], Judge] = {}
        self._judges: list[Judge] = []
        self._threads: list[threading.Thread] = []
        with contextlib.ExitStack() as unless_ready:  # after an interrupt too: a judge that loads does not look up
            unless_ready.callback(self.close)
            for group in (where[:1], where[1:]):  # the first one prepares the data for all
                begun = len(self._judges)
                for slot in group:
                    self._judges.append(Judge([*command, *slot.options], log))
                for judge in self._judges[begun:]:
                    judge.ready(waiting, self._judges[0].hello)
            unless_ready.pop_all()
        self.hello: dict[str, Any] = self._judges[0].hello
        pairs = zip(self._judges, where, strict=True)
        self._threads = [threading.Thread(target=self._serve, args=pair, daemon=True) for pair in pairs]
        for thread in self._threads:
            thread.start()

    def submit(self, trial: Trial) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        with self._giving_up:
            if self.slots:
                self._jobs.put((trial, future))
            else:
                future.set_result(self._no_slot())
        return future

    def cancel(self, future: Future[Outcome]) -> None:
        """Take a trial back; one that runs is killed with its judge, which is started anew."""
        if not future.cancel() and (judge := self._running.get(future)):
            judge.kill()

    def close(self) -> None:
        """End all judges; what they were at, and what still waits, becomes `infrastructure`."""
        self._closed.set()
        for judge in self._judges:
            judge.stop()
        for judge in self._judges:
            judge.wait()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        for judge in self._judges:
            judge.release()

    def _serve(self, judge: Judge, slot: Slot) -> None:
        spoiled = 0
        while (job := self._jobs.get()) is not None:
            trial, future = job
            if not future.set_running_or_notify_cancel():
                continue
            self._running[future] = judge
            try:
                outcome = judge.run(trial, self._bind)
                spoiled = spoiled + 1 if outcome.status == "infrastructure" else 0
                if spoiled >= HOPELESS and not self._closed.is_set():
                    self._give_up(judge, slot, outcome.reason)
                    future.set_result(outcome)
                    return
                future.set_result(outcome)
            except Exception as error:  # the boundary of a thread: whoever waits must hear of it
                future.set_exception(error)
            finally:
                del self._running[future]
            if spoiled:
                self._closed.wait(min(LONGEST_PAUSE, PAUSE * 2 ** (spoiled - 1)))

    def _give_up(self, judge: Judge, slot: Slot, reason: str) -> None:
        """Do without a slot from now on. With the last one goes whatever waits."""
        judge.stop()
        judge.wait()
        with self._giving_up:
            self.lost[slot] = reason
            self.slots -= 1
            while self.slots == 0 and not self._jobs.empty():
                job = self._jobs.get()
                if job and job[1].set_running_or_notify_cancel():
                    job[1].set_result(self._no_slot())

    def _no_slot(self) -> Outcome:
        return Outcome("infrastructure", reason=f"no slot is left: {'; '.join(self.lost.values())}")


class Judge:
    """One judge process and the conversation with it."""

    def __init__(self, command: Sequence[str], log: IO[str] | None) -> None:
        self._command = list(command)
        self._log = log
        self._closed = False
        self._begun = 0.0  # when the clock of a spoiled trial began
        self.hello: dict[str, Any] = {}
        self._start()

    def _start(self) -> None:
        self._said = b""  # what it wrote after its last answer
        self._log_began = os.fstat(self._log.fileno()).st_size if self._log else 0
        self._process = subprocess.Popen(
            [sys.executable, *self._command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
            env=judge_environment(),
        )

    def _last_words(self) -> str:
        """The last line that was written since it began where it writes to a file, and which one."""
        if self._log is None or not Path(str(self._log.name)).is_file():
            return SEE_LOG
        path = Path(self._log.name)
        lines = path.read_bytes()[self._log_began :].decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return f": {said[-1]} ({path})" if said else f"; {path} says nothing of it"

    def ready(self, waiting: Callable[[], None] = lambda: None, first: Mapping[str, Any] | None = None) -> None:
        """Wait until it says that it is ready. Raises `JudgeError` with its own words if it does not.

        So it does if it isolates less than `first` says: that is what was announced and recorded.
        """
        answer: dict[str, Any] | None = WAITS
        while answer is WAITS:
            while not self._speaks(0.3):
                waiting()
            answer = self._read()
        if answer is None or not answer.get("ready"):
            words = SEE_LOG if first else self._last_words()  # of one that began in mid-run, models hear the reason
            raise JudgeError((answer or {}).get("error") or f"the judge ended before it was ready{words}")
        if first and isolates_less(answer, first):
            raise JudgeError(
                f"a judge came up at isolation level {answer['level']} ({answer.get('isolation')}), where one began at "
                f"{first['level']}: try again, or ask for less from the beginning with --isolation"
            )
        self.hello = self.hello or answer

    def run(self, trial: Trial, bind: Callable[[Trial], str]) -> Outcome:
        """One trial; `rejected` if its numbers do not fit its text, `infrastructure` if there is no proper answer.

        A judge that died or does not keep to the protocol is started again: its next line could be an answer to an
        earlier question. What such a trial is charged is how long it took, at most its budget.
        """
        try:
            source = bind(trial)
        except ValueError as error:
            return Outcome("rejected", reason=str(error))
        self._begun = time.monotonic()
        try:
            with tempfile.TemporaryDirectory(prefix="trial-", ignore_cleanup_errors=True) as folder:
                (Path(folder) / "train.py").write_text(source, encoding="utf-8")
                self._revive()
                return _outcome(self._ask(_request(trial, folder), PATIENCE + SLOWEST * trial.budget))
        except (JudgeError, OSError) as error:
            self.kill()
            seconds = min(trial.budget, time.monotonic() - self._begun)
            return Outcome("infrastructure", seconds=seconds, reason=str(error))

    def _revive(self) -> None:
        """Start it again if it has ended, or speaks unasked: that could be taken for the next answer."""
        if self._closed:
            return
        if self._process.poll() is not None or self._speaks(0.0):
            self.kill()
            self.release()
            self._start()
            self.ready(first=self.hello)

    def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The answer to a request. Raises `JudgeError` if there is none after so many seconds, or no proper one.

        A judge that says that it waits, for a device that another run is training on, is alive and is given them anew.
        """
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except ValueError as error:  # closed on this side
            raise JudgeError("the executor was closed") from error
        answer: dict[str, Any] | None = WAITS
        while answer is WAITS:
            self._begun = time.monotonic()  # nobody pays for what it waited for
            if not self._speaks(seconds):
                raise JudgeError(f"the judge did not answer within {seconds:.0f} s")
            answer = self._read()
        if answer is None:
            raise JudgeError("the judge process died, or what it wrote is no JSON object; see judge.log")
        return answer

    def _read(self) -> dict[str, Any] | None:
        """The next line as an object, `WAITS` for one that says so; None if it is none, or has no end."""
        assert self._process.stdout
        while b"\n" not in self._said:
            if not (chunk := os.read(self._process.stdout.fileno(), 1 << 20)):
                return None
            self._said += chunk
        line, _, self._said = self._said.partition(b"\n")
        try:
            answer = json.loads(line)
        except ValueError:
            return None
        if not isinstance(answer, dict):
            return None
        return WAITS if "waiting" in answer else answer

    def _speaks(self, seconds: float) -> bool:
        """Whether there is something to read, within so many seconds."""
        assert self._process.stdout
        return bool(self._said or select.select([self._process.stdout], [], [], seconds)[0])

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def release(self) -> None:
        """Close this side's ends of the pipes of a process that has ended."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()

    def stop(self) -> None:
        """Ask it to end, for good. What runs below a judge dies with it."""
        self._closed = True
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        self._process.terminate()

    def wait(self) -> None:
        """Until it has ended; one that takes longer than `GRACE` seconds is killed."""
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.kill()


def _request(trial: Trial, folder: str) -> dict[str, Any]:
    """What a judge is asked: the program is `train.py` in the folder `job`."""
    told = {"budget": trial.budget, "rung": trial.rung, "seed": trial.seed, "purpose": trial.purpose}
    return {"job": folder} | told


def _outcome(answer: dict[str, Any]) -> Outcome:
    """What a judge answers has the fields of an `Outcome`. Raises `JudgeError` if it has not."""
    try:
        metrics = {str(name): float(value) for name, value in answer.get("metrics", {}).items()}
        checks = {str(name): str(found) for name, found in answer.get("checks", {}).items()}
        seconds, violation = float(answer.get("seconds", 0.0)), str(answer.get("violation", ""))
        told = {"metrics": metrics, "seconds": seconds, "violation": violation, "checks": checks}
        return Outcome(**{**answer, **told})
    except (TypeError, ValueError, AttributeError) as error:
        raise JudgeError(f"the judge's answer is no outcome: {error}") from error
