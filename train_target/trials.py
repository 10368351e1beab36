"""The judge at work: one trial after another, each in a box that is watched until it ends. Runs no candidate code."""

from __future__ import annotations

import json
import math
import os
import platform
import signal
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from select import select

import numpy as np

from audit import AUDITED, UNTRAINED, merged, untrained
from clock import Clock, CpuClock, WallClock
from devices import choose, environment, nodes
from documents import DataError
from drivers import open_source
from guard import Guard, out_of_memory
from ladder import Isolation
from nursery import FOLDER, Box, Infrastructure, Nursery, remove
from reference import NOMINAL_MS, SteadyClock, measure
from selftest import Settled
from session import Session
from terms import Terms, Verdict
from texts import Scale, Texts
from waiting import Waiting
from watchdog import EVERY, Watchdog, disk_trouble, kill_below, lives
from wire import Message, Wire, WireError

RECENT = 20  # trials whose reference timings a trial is compared with
DRIFT = 1.6  # a trial on a core slower or faster than usual by this factor is void: weighting no longer mends it
GRACE = 5.0  # seconds for a script to print its summary after it was scored
HANGUP = 2.0  # seconds for a box to end after it has hung up
MOMENT = 0.1  # seconds between two looks whether a device is free
TOLD_EVERY = 5.0  # seconds of waiting after which the engine is told so again
HUNG_UP = "closed its connection to the judge"
GRANTS = ("namespaces", "landlock")  # parts of the isolation that not every kernel grants


def failure(error: Exception) -> str:
    """What kind of fault the judge's own code has, and where. Its words may quote a text: they go to the log alone."""
    with suppress(OSError):  # of a full disk
        traceback.print_exception(error)
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}, line {last.lineno}"
    return f"the judge failed in {where}: {type(error).__name__} (see judge.log)"


def make_clock(scale: Scale, pid: int, above: int | None = None) -> Clock:
    """The clock of a scale for a process that was started, in some steps, by process `above`."""
    return SteadyClock(CpuClock(pid, above)) if scale.clock == "cpu" else WallClock()


class Engine:
    """The engine's end of the judge's standard input and output. Its closing ends the judge."""

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: list[bytes] = []
        self._told, self._waited_for = -math.inf, ""

    def fileno(self) -> int:
        return 0

    def read(self) -> None:
        """Take what is there. Raises SystemExit at the end of the input."""
        chunk = os.read(self.fileno(), 65536)
        if not chunk:
            raise SystemExit(0)
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        self._lines += lines

    def request(self) -> Message:
        while not self._lines:
            self.read()
        return json.loads(self._lines.pop(0))

    def reply(self, message: Message) -> None:
        print(json.dumps(message), flush=True)

    def wait(self, why: str) -> None:
        """Pass a moment in which the judge can do nothing. The engine is told now and then, so that it does not take
        the judge for dead, nor charge a trial for it. Raises SystemExit when it has gone."""
        if time.monotonic() - self._told >= TOLD_EVERY:
            self._told = time.monotonic()
            self.reply({"waiting": why})
        if why != self._waited_for:
            self._waited_for = why
            print(f"judge: {why}", file=sys.stderr, flush=True)
        if select([self], [], [], MOMENT)[0]:
            self.read()


class Judge:
    """Runs trials one after the other on one core."""

    client = FOLDER  # the folder of the module `prepare` that scripts import

    def __init__(
        self, scale: Scale, texts: Texts, engine: Engine, settled: Settled, patience: float, guard: Guard | None = None
    ) -> None:
        self.scale, self.texts, self.engine, self.settled, self.patience = scale, texts, engine, settled, patience
        self.nursery = settled.nursery
        self.folder = self.nursery.parent if isinstance(self.nursery, Waiting) else self.nursery.folder
        self.guard = guard
        self.broken = False  # whether the nursery has to be made anew
        self.granted = granted(self.nursery)
        self.references: list[float] = []
        self.device = guard.device.name if guard else f"{scale.device} {platform.processor() or platform.machine()}"

    def trial(self, request: Message) -> Message:
        """Run one trial; the reply holds what evolve.model.Outcome does."""
        try:
            source = (Path(request["job"]) / "train.py").read_bytes()
            terms = Terms(
                float(request["budget"]),
                float(request["rung"]),
                int(request["seed"]),
                str(request["purpose"]),
                self.patience,
            )
        except (KeyError, TypeError, ValueError, OSError) as error:
            return self.outcome(Verdict("infrastructure", f"bad request: {type(error).__name__}: {error}"))
        with ExitStack() as alone:
            try:
                if self.guard:
                    alone.enter_context(self.guard.alone(self.engine.wait))
                if self.broken:
                    self.begin()
                return self.audited(source, terms) if terms.purpose in AUDITED else self.run(source, terms)
            except Exception as error:  # whatever it is, the slot goes on
                said = str(error) if isinstance(error, Infrastructure) else failure(error)
                self.abandon()
                return self.outcome(Verdict("infrastructure", disk_trouble(self.folder.parent) or said))

    def audited(self, source: bytes, terms: Terms) -> Message:
        """A trial with, before it, a run without any training step."""
        before = self.run(source, replace(terms, purpose=UNTRAINED))
        if before["status"] == "infrastructure":
            return before
        violation, line = self.untrained(before)
        return merged(self.run(source, terms), violation, line)

    def session(self, clock: Clock, terms: Terms) -> Session:
        """The judge's side of a run. A target whose examples are no text has one of its own."""
        return Session(self.scale, self.texts, clock, terms)

    def untrained(self, before: Message) -> tuple[str, str]:
        """What a run without a training step proves: a violation, or "", and a line."""
        return untrained(before, self.texts, self.scale)

    def abandon(self) -> None:
        """End the nursery and all that is below it, and get a new one: if not now, then for the next trial."""
        self.broken = True
        if self.nursery.process.poll() is None:
            kill_below(self.nursery.process.pid)
        self.nursery.close()
        with suppress(Infrastructure, OSError, MemoryError):
            self.begin()

    def begin(self) -> None:
        remove(self.folder)  # of which something may be left, where it could not be removed before
        compiled = self.nursery.compiled if isinstance(self.nursery, Waiting) else None
        self.nursery = boxes(self.scale, self.folder, self.settled.isolation, self.guard, compiled, self.client)
        self.broken = False

    def run(self, source: bytes, terms: Terms) -> Message:
        if lost := [part for part in self.granted if part not in granted(self.nursery)]:
            raise Infrastructure(f"no {' and no '.join(lost)} now, which the judge was ready with; run the trial again")
        if self.guard:
            self.guard.before()
        box = self.nursery.start(source)
        folder = self.nursery.folder
        above, fresh_mb = self.nursery.process.pid, self.nursery.ready["baseline_mb"]
        watchdog = self.watchdog(box, fresh_mb)
        clock = make_clock(self.scale, box.pid, above)
        session = self.session(clock, terms)
        try:
            killed = self.watch(box, session, watchdog)
        finally:
            box.kill()
            ended = self.end(box, watchdog.halt())
        verdict = session.verdict or killed or explain(session, ended["exit"], watchdog)
        if self.guard and not killed and verdict.status in ("crashed", "oom") and out_of_memory(verdict.reason):
            verdict = Verdict("oom", self.guard.exhausted(verdict.reason))
        if verdict.status == "crashed" and not killed and (trouble := disk_trouble(self.folder)):
            verdict = watchdog.disk() or Verdict("infrastructure", trouble)
        if self.guard and (void := self.guard.after(self.doubtful(verdict), box.pid)):
            verdict = Verdict("infrastructure", void)
        if self.guard and verdict.status == "oom":
            verdict.metrics |= self.guard.memory()
        if verdict.status == "ok":
            if self.guard:
                verdict.metrics |= self.guard.metrics(verdict.metrics, session.charged)
            verdict.metrics["peak_memory_mb"] = max(0.0, ended["peak_mb"] - fresh_mb)
            if isinstance(clock, SteadyClock):
                verdict = self.steady(verdict, statistics.fmean(clock.timings))
        return self.outcome(verdict, session.charged, box.log.text().replace(f"{folder}/", ""))

    def watchdog(self, box: Box, fresh_mb: float) -> Watchdog:
        """What looks at a box that has just begun, and knows which processes are its own."""
        watchdog = Watchdog(box.pid, self.nursery.process.pid, self.nursery.folder, self.scale.memory_mb, fresh_mb)
        if self.guard:
            self.guard.box = watchdog.family.members
        return watchdog

    def end(self, box: Box, left: list[int]) -> Message:
        """End a box, of which processes are `left`. Where one cannot be killed, the device is given up: it may be held
        for ever. Raises Infrastructure."""
        try:
            return self.nursery.end(box)
        except Infrastructure as error:
            stuck = [pid for pid in (box.pid, *left) if lives(pid)]
            if self.guard and stuck:
                pids = ", ".join(map(str, stuck))
                raise Infrastructure(
                    self.guard.lose(f"process {pids} cannot be killed, it hangs in the driver")
                ) from error
            raise

    def doubtful(self, verdict: Verdict) -> str:
        """The reason of an end of which a broken device may be the cause: a crash, or memory that is said to be out
        where half of it was never in use."""
        assert self.guard is not None
        said_out = verdict.status == "oom" and self.guard.peak_mb < self.guard.memory_mb / 2
        return verdict.reason if verdict.status == "crashed" or said_out else ""

    def watch(self, box: Box, session: Session, watchdog: Watchdog) -> Verdict | None:
        """Serve the box until it ends, or return the verdict for which it has to be ended."""
        watched = [box.wire, box.process, self.engine, box.log]
        while True:
            if reason := session.overdue():
                return Verdict("timeout", f"deadline: {reason}")
            if verdict := watchdog.look():
                return verdict
            if self.guard and (reason := self.guard.sample(session.phase == "training")):
                return Verdict("infrastructure" if self.guard.sharing.visit else "oom", reason)
            seconds = max(0.0, min(EVERY, session.deadline - time.monotonic()))
            ready, _, _ = select(watched, [], [], seconds)
            if self.engine in ready:
                self.engine.read()
            if box.log in ready and not box.log.drain():
                watched.remove(box.log)
            if box.wire in ready:
                if not self.serve(box, session):
                    return None if session.verdict or ends(box) else Verdict("crashed", HUNG_UP)
            elif box.process in ready:
                return None

    def serve(self, box: Box, session: Session) -> bool:
        """Answer what the box asks; False when it has hung up or is to be ended."""
        try:
            messages = box.wire.receive()
            if messages is None:
                return False
            if len(messages) > 1:
                raise WireError("a request before the last one was answered")
            for message in messages:
                if message.get("op") == "evaluate":
                    box.log.end()  # what is printed with text of the evaluation in hand is nobody's to read
                answer(box.wire, session, message, self.guard.look if self.guard else lambda: None)
        except (WireError, ConnectionError, TimeoutError) as error:
            session.verdict = session.verdict or Verdict("crashed", f"broke the protocol: {error}")
        if session.verdict and session.verdict.status == "ok":
            session.deadline = min(session.deadline, time.monotonic() + GRACE)
            return True
        return session.verdict is None

    def steady(self, verdict: Verdict, milliseconds: float) -> Verdict:
        """Note the core's speed during a trial; void a trial whose core was far from its usual speed."""
        self.references = [*self.references, milliseconds][-RECENT:]
        usual = statistics.median(self.references)
        if max(milliseconds / usual, usual / milliseconds) > DRIFT:
            return Verdict(
                "infrastructure",
                f"the core was not at its usual speed: the reference work took "
                f"{milliseconds:.2f} ms instead of {usual:.2f} ms; run the trial again",
            )
        verdict.metrics["core_speed"] = NOMINAL_MS / milliseconds
        return verdict

    def outcome(self, verdict: Verdict, seconds: float = 0.0, log: str = "") -> Message:
        return {
            "status": verdict.status,
            "metrics": verdict.metrics,
            "log_tail": log,
            "seconds": seconds,
            "device": self.device,
            "reason": verdict.reason,
            "violation": verdict.violation,
            "checks": verdict.checks,
        }

    def ready(self, about: Message) -> Message:
        torch = self.nursery.ready["torch"]
        versions = {"python": platform.python_version(), "numpy": np.__version__, "torch": torch}
        isolation = {"isolation": self.settled.line, "level": self.settled.isolation.level}
        machine = {**isolation, "device": self.device, "versions": versions}
        if self.guard:
            machine["device_memory_mb"] = self.guard.memory_mb
            machine |= {"beside": self.guard.sharing.beside} if self.guard.sharing.beside else {}
        if self.scale.clock == "cpu":
            machine["core_speed"] = NOMINAL_MS / statistics.median(measure() for _ in range(9))
        return {"ready": True, **about, **machine}


def open_guard(scale: Scale, wanted: str | None) -> Guard | None:
    """What looks after the GPU with this index or UUID, else the first, at a scale that needs one. Raises
    Infrastructure."""
    if scale.device != "cuda":
        return None
    try:
        source = open_source()
        device = choose(source.devices(), wanted)
        return Guard(source, device, environment(device), limit_mb=scale.device_memory_mb)
    except Infrastructure as error:
        raise Infrastructure(
            f"{error}; the scale {scale.name} needs a GPU that nvidia-smi lists: name it with --device, "
            "or use the scale cpu"
        ) from error


def boxes(
    scale: Scale,
    folder: Path,
    isolation: Isolation,
    guard: Guard | None = None,
    compiled: Path | None = None,
    client: Path = FOLDER,
) -> Nursery | Waiting:
    """Where the boxes of a scale come from: forked, or exec'd ahead for a GPU, with a compile cache to begin with.

    `client` is the folder of the module `prepare` that scripts import; on a GPU it is this one.

    At level U a box could not write into what the judge copied. Raises Infrastructure, and DataError where a folder
    that is to be hidden is one that boxes need.
    """
    if needed := {FOLDER, client.resolve()}.intersection(isolation.hidden):
        raise DataError(f"hidden names {needed.pop()}, which boxes need: give a folder that holds nothing but data")
    if guard:
        known = nodes(guard.device, guard.source.minor), environment(guard.device)
        first = compiled if isolation.level != "U" else None
        return Waiting(folder, scale.memory_mb, isolation, scale.device, *known, first)
    return Nursery(folder, scale.memory_mb, isolation, client)


def granted(nursery: Nursery | Waiting) -> list[str]:
    """The parts of the isolation that the kernel grants the boxes of a nursery."""
    return [part for part in GRANTS if nursery.ready[part]]


def ends(box: Box) -> bool:
    """Whether a box that has hung up ends by itself now."""
    return bool(select([box.process], [], [], HANGUP)[0])


def explain(session: Session, code: int, watchdog: Watchdog) -> Verdict:
    """The verdict on a box that ended without one, of itself: its exit code, or a signal below zero."""
    phase = session.phase
    if code == 0:
        return Verdict("crashed", f"the script ended without a call of {session.evaluate}")
    if code == -signal.SIGKILL and (verdict := watchdog.slain()):
        return verdict
    if code < 0:
        name = next((s.name for s in signal.Signals if s == -code), f"signal {-code}")
        return Verdict("crashed", f"killed by {name} during {phase}")
    return Verdict("crashed", f"exit code {code} during {phase}")


def answer(wire: Wire, session: Session, message: Message, at_end: Callable[[], None] = lambda: None) -> None:
    """Answer one message, and pass on the descriptors that belong to the answer; before the last one call `at_end`."""
    reply = session.handle(message)
    if session.verdict:
        at_end()
    try:
        wire.send(reply.message, reply.raw, reply.fds)
    finally:
        for fd in reply.fds:
            os.close(fd)
