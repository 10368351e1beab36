"""Runs trials on this machine: one judge process a slot, which owns clock, seed, text and score.

A judge is started once and asked for one trial after another, by JSON lines on its standard input and output; the
program travels as a file in a folder of its own. What a judge does below itself (boxes) is its target's business.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any

from evolve.model import Outcome, Trial

GRACE = 10.0  # seconds that a judge gets to end by itself
PATIENCE = 600.0  # seconds that a trial may take besides `SLOWEST` times its budget: judges have stricter limits
SLOWEST = 20.0
CONFIDENTIAL = re.compile(r"^ANTHROPIC_|(KEY|TOKEN|SECRET|PASSWORD)$", re.I)  # variables that no judge needs


class JudgeError(Exception):
    """A judge could not be started; the message is the judge's own."""


Job = tuple[Trial, "Future[Outcome]"]


class LocalExecutor:
    """An `Executor` with one judge for each of `cores`. `bind` writes parameters into a program's text.

    `hello` is what the first judge said of itself when it was ready: corpus, isolation, device, versions, baselines.
    `waiting` is called now and then until it is. Raises `JudgeError` if a judge does not start.
    """

    def __init__(
        self,
        command: Sequence[str],
        cores: Sequence[int],
        bind: Callable[[Trial], str],
        log: IO[str] | None = None,
        waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self.slots = len(cores)
        self._bind = bind
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._running: dict[Future[Outcome], Judge] = {}
        self._judges: list[Judge] = []
        self._threads: list[threading.Thread] = []
        with contextlib.ExitStack() as unless_ready:  # after an interrupt too: a judge that loads does not look up
            unless_ready.callback(self.close)
            for group in (cores[:1], cores[1:]):  # the first one prepares the data for all
                begun = len(self._judges)
                for core in group:
                    self._judges.append(Judge([*command, "--core", str(core)], log))
                for judge in self._judges[begun:]:
                    judge.ready(waiting)
            unless_ready.pop_all()
        self.hello: dict[str, Any] = self._judges[0].hello
        self._threads = [threading.Thread(target=self._serve, args=(j,), daemon=True) for j in self._judges]
        for thread in self._threads:
            thread.start()

    def submit(self, trial: Trial) -> Future[Outcome]:
        future: Future[Outcome] = Future()
        self._jobs.put((trial, future))
        return future

    def cancel(self, future: Future[Outcome]) -> None:
        """Take a trial back; one that runs is killed with its judge, which is started anew."""
        if not future.cancel() and (judge := self._running.get(future)):
            judge.kill()

    def close(self) -> None:
        """End all judges; what they were at, and what still waits, becomes `infrastructure`."""
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

    def _serve(self, judge: Judge) -> None:
        while (job := self._jobs.get()) is not None:
            trial, future = job
            if not future.set_running_or_notify_cancel():
                continue
            self._running[future] = judge
            try:
                future.set_result(judge.run(trial, self._bind))
            except Exception as error:  # the boundary of a thread: whoever waits must hear of it
                future.set_exception(error)
            finally:
                del self._running[future]


class Judge:
    """One judge process and the conversation with it."""

    def __init__(self, command: Sequence[str], log: IO[str] | None) -> None:
        self._command = list(command)
        self._log = log
        self._closed = False
        self.hello: dict[str, Any] = {}
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *self._command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if not CONFIDENTIAL.search(name)},
        )

    def ready(self, waiting: Callable[[], None] = lambda: None) -> None:
        """Wait until it says that it is ready. Raises `JudgeError` with its own words if it does not."""
        assert self._process.stdout
        while not select.select([self._process.stdout], [], [], 0.3)[0]:
            waiting()
        answer = self._read()
        if answer is None or not answer.get("ready"):
            raise JudgeError(
                (answer or {}).get("error", "the judge ended before it was ready; see judge.log in the run directory")
            )
        self.hello = answer

    def run(self, trial: Trial, bind: Callable[[Trial], str]) -> Outcome:
        """One trial; `rejected` if its numbers do not fit its text, `infrastructure` if there is no proper answer.

        A judge that died or does not keep to the protocol is started again: its next line could be an answer to an
        earlier question. What such a trial is charged is how long it took, at most its budget.
        """
        try:
            source = bind(trial)
        except ValueError as error:
            return Outcome("rejected", reason=str(error))
        begun = time.monotonic()
        try:
            with tempfile.TemporaryDirectory(prefix="trial-", ignore_cleanup_errors=True) as folder:
                (Path(folder) / "train.py").write_text(source, encoding="utf-8")
                self._revive()
                return _outcome(self._ask(_request(trial, folder), PATIENCE + SLOWEST * trial.budget))
        except (JudgeError, OSError) as error:
            self.kill()
            seconds = min(trial.budget, time.monotonic() - begun)
            return Outcome("infrastructure", seconds=seconds, reason=str(error))

    def _revive(self) -> None:
        if self._process.poll() is not None and not self._closed:
            self.release()
            self._start()
            self.ready()

    def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The answer to a request. Raises `JudgeError` if there is none after so many seconds, or no proper one."""
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except ValueError as error:  # closed on this side
            raise JudgeError("the executor was closed") from error
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            raise JudgeError(f"the judge did not answer within {seconds:.0f} s")
        if (answer := self._read()) is None:
            raise JudgeError("the judge process died, or what it wrote is no JSON object; see judge.log")
        return answer

    def _read(self) -> dict[str, Any] | None:
        assert self._process.stdout
        line = self._process.stdout.readline()
        try:
            answer = json.loads(line)
        except ValueError:
            return None
        return answer if isinstance(answer, dict) else None

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
        seconds = float(answer.get("seconds", 0.0))
        return Outcome(**{**answer, "metrics": metrics, "seconds": seconds})
    except (TypeError, ValueError, AttributeError) as error:
        raise JudgeError(f"the judge's answer is no outcome: {error}") from error
