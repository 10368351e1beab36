"""The judge: owns validation and test text, seeds, clock and arithmetic. Runs no candidate code, never imports torch.

Under the engine (`--scale S --core K --cache DIR [--data DIR]`) it answers requests for trials, JSON lines on standard
input and output, and runs each in a box. By hand (`--attach FD --pid PID`) it serves the process that started it.
`--prepare` only prepares the data; `--counts` only prints, for a final report, what count models lose on all its texts
as one JSON object. Its own words go to standard error.
"""

from __future__ import annotations

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import math
import platform
import signal
import socket
import statistics
import sys
import time
from pathlib import Path
from select import select

import numpy as np

import baselines
import corpus
from clock import Clock, CpuClock, WallClock
from documents import DataError
from nursery import Box, Infrastructure, Nursery, remove
from reference import NOMINAL_MS, SteadyClock, measure
from session import Session, Terms, Verdict
from texts import REPORTED, Scale, Texts
from wire import Message, Wire, WireError

RECENT = 20  # trials whose reference timings a trial is compared with
DRIFT = 1.6  # a trial on a core slower or faster than usual by this factor is void: weighting no longer mends it
GRACE = 5.0  # seconds for a script to print its summary after it was scored
GRANTS = ("namespaces", "landlock")  # parts of the isolation that not every kernel grants
NO_ISOLATION = (
    "no isolation available: this kernel has no Landlock (Linux 5.13 and later have), so scripts could read the "
    "validation text and all your files; use another or a virtual machine, or pass --unsafe-no-sandbox"
)


def say(text: str) -> None:
    print(f"judge: {text}", file=sys.stderr, flush=True)


def make_clock(scale: Scale, pid: int) -> Clock:
    return SteadyClock(CpuClock(pid)) if scale.clock == "cpu" else WallClock()


class Engine:
    """The engine's end of the judge's standard input and output. Its closing ends the judge."""

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: list[bytes] = []

    def fileno(self) -> int:
        return 0

    def read(self) -> None:
        """Take what is there. Raises SystemExit at the end of the input."""
        chunk = os.read(0, 65536)
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


class Judge:
    """Runs trials one after the other on one core."""

    def __init__(self, scale: Scale, texts: Texts, engine: Engine, folder: Path, patience: float) -> None:
        self.scale, self.texts, self.engine, self.folder, self.patience = scale, texts, engine, folder, patience
        self.nursery = Nursery(folder, scale.memory_mb)
        self.granted = granted(self.nursery)
        self.references: list[float] = []
        self.device = f"{scale.device} {platform.processor() or platform.machine()}"

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
        try:
            return self.run(source, terms)
        except Infrastructure as error:
            self.nursery.close()
            self.nursery = Nursery(self.folder, self.scale.memory_mb)
            return self.outcome(Verdict("infrastructure", str(error)))

    def run(self, source: bytes, terms: Terms) -> Message:
        if lost := [part for part in self.granted if part not in granted(self.nursery)]:
            raise Infrastructure(f"no {' and no '.join(lost)} now, which the judge was ready with; run the trial again")
        box = self.nursery.start(source)
        clock = make_clock(self.scale, box.pid)
        session = Session(self.scale, self.texts, clock, terms)
        try:
            killed = self.watch(box, session)
        finally:
            ended = self.nursery.end(box)
        verdict = session.verdict or self.explain(session, ended, killed)
        if verdict.status == "ok":
            verdict.metrics["peak_memory_mb"] = max(0.0, ended["peak_mb"] - self.nursery.ready["baseline_mb"])
            if isinstance(clock, SteadyClock):
                verdict = self.steady(verdict, statistics.fmean(clock.timings))
        return self.outcome(verdict, session.charged, box.log.text().replace(f"{self.folder}/", ""))

    def watch(self, box: Box, session: Session) -> str:
        """Serve the box until it ends or has to be ended; returns why it was killed, or ""."""
        watched = [box.wire, box.process, self.engine, box.log]
        while True:
            if reason := session.overdue():
                return reason
            seconds = max(0.0, min(1.0, session.deadline - time.monotonic()))
            ready, _, _ = select(watched, [], [], seconds)
            if self.engine in ready:
                self.engine.read()
            if box.log in ready and not box.log.drain():
                watched.remove(box.log)
            if box.wire in ready:
                if not self.serve(box, session):
                    return ""
            elif box.process in ready:
                return ""

    def serve(self, box: Box, session: Session) -> bool:
        """Answer what the box asks; False when it has hung up or is to be ended."""
        try:
            messages = box.wire.receive()
            if messages is None:
                return False
            for message in messages:
                if message.get("op") == "evaluate":
                    box.log.end()  # what is printed with text of the evaluation in hand is nobody's to read
                answer(box.wire, session, message)
        except (WireError, OSError) as error:
            session.verdict = session.verdict or Verdict("crashed", f"broke the protocol: {error}")
        if session.verdict and session.verdict.status == "ok":
            session.deadline = min(session.deadline, time.monotonic() + GRACE)
            return True
        return session.verdict is None

    def explain(self, session: Session, ended: Message, killed: str) -> Verdict:
        """The verdict on a box that ended without one."""
        if killed:
            return Verdict("timeout", killed)
        if ended["exit"] == 0:
            return Verdict("crashed", "the script ended without a call of evaluate_bpb")
        if ended["exit"] < 0:
            name = next((s.name for s in signal.Signals if s == -ended["exit"]), f"signal {-ended['exit']}")
            return Verdict("crashed", f"killed by {name} during {session.phase}")
        return Verdict("crashed", f"exit code {ended['exit']} during {session.phase}")

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
        }

    def ready(self, about: Message) -> Message:
        lack = ["seccomp", "memory cgroup"] + [part for part in GRANTS if part not in self.granted]
        isolation = f"{'+'.join([*self.granted, 'rlimits', 'no capabilities'])}; NOT: {', '.join(lack)}"
        torch = self.nursery.ready["torch"]
        versions = {"python": platform.python_version(), "numpy": np.__version__, "torch": torch}
        machine = {"isolation": isolation, "device": self.device, "versions": versions}
        if self.scale.clock == "cpu":
            machine["core_speed"] = NOMINAL_MS / statistics.median(measure() for _ in range(9))
        return {"ready": True, **about, **machine}


def granted(nursery: Nursery) -> list[str]:
    """The parts of the isolation that the kernel grants the boxes of a nursery."""
    return [part for part in GRANTS if nursery.ready[part]]


def answer(wire: Wire, session: Session, message: Message) -> None:
    """Answer one message, and pass on the descriptors that belong to the answer."""
    reply = session.handle(message)
    try:
        wire.send(reply.message, reply.raw, reply.fds)
    finally:
        for fd in reply.fds:
            os.close(fd)


def serve_engine(options: argparse.Namespace) -> None:
    """Be a slot of the engine until its end of the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the engine, which then closes the pipe
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.sched_setaffinity(0, {options.core})
    engine = Engine()
    try:
        scale = Scale.read(options.scale)
        if scale.device != "cpu":
            raise DataError(
                f"boxes are on the CPU only, so the scale {scale.name} runs by hand "
                f"(EVOLVE_SCALE={scale.name} python train.py); search at the scale cpu"
            )
        texts = Texts(corpus.load(options.cache, options.data, say), scale, say)
        about = {"corpus": texts.corpus.describe(), "baselines": baselines.load(texts, scale, say)}
        folder = box_folder(options.cache)
    except DataError as error:
        engine.reply({"ready": False, "error": str(error)})
        return
    judge = Judge(scale, texts, engine, folder, options.patience)
    try:
        if "landlock" not in judge.granted and not options.unsafe_no_sandbox:
            engine.reply({"ready": False, "error": NO_ISOLATION})
            return
        engine.reply(judge.ready(about))
        while True:
            engine.reply(judge.trial(engine.request()))
    finally:
        judge.nursery.close()


def box_folder(cache: Path) -> Path:
    """A folder for this judge's boxes; those of judges that are gone are removed. Raises DataError."""
    boxes = cache.resolve() / "boxes"
    try:
        boxes.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise corpus.unwritable(cache, error) from error
    for entry in boxes.iterdir():
        if entry.name == str(os.getpid()) or not Path(f"/proc/{entry.name}").exists():
            remove(entry)
    return boxes / str(os.getpid())


def serve_process(options: argparse.Namespace) -> None:
    """Serve one process over an inherited socket until it hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the script, whose end closes the socket
    wire = Wire(socket.socket(fileno=options.attach))
    try:
        scale = Scale.read(options.scale)
        texts = Texts(corpus.load(options.cache, options.data, say), scale, say)
    except DataError as error:
        wire.send({"error": str(error)})
        return
    budget = options.budget or scale.budget
    terms = Terms(budget, min(1.0, budget / scale.budget), options.seed, "tune")
    session = Session(scale, texts, make_clock(scale, options.pid), terms)
    try:
        while (messages := wire.receive()) is not None:
            for message in messages:
                answer(wire, session, message)
    except (WireError, BrokenPipeError) as error:
        say(f"the script broke off: {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scale", default="cpu", help="a scale of target.toml")
    parser.add_argument("--core", type=int, default=0, help="the core that boxes and judge run on")
    parser.add_argument("--cache", type=Path, default=corpus.default_cache(), help="where prepared text is kept")
    parser.add_argument("--data", type=Path, help="a folder of .txt, .jsonl or .parquet files")
    parser.add_argument("--patience", type=float, default=10.0, help="wall-clock seconds lost in a phase")
    parser.add_argument("--unsafe-no-sandbox", action="store_true", help="run scripts even where nothing isolates them")
    parser.add_argument("--attach", type=int, metavar="FD", help="serve the process at the other end of this socket")
    parser.add_argument("--pid", type=int, help="the process that is charged, with --attach")
    parser.add_argument("--budget", type=seconds, help="seconds, with --attach; the scale's unless given")
    parser.add_argument("--seed", type=seed, default=0, help="with --attach")
    parser.add_argument("--prepare", action="store_true", help="prepare the data and end")
    parser.add_argument("--counts", action="store_true", help="print the losses of count models on all texts and end")
    options = parser.parse_args()
    if options.attach is not None:
        serve_process(options)
    elif options.prepare:
        prepare_data(options)
    elif options.counts:
        print_counts(options)
    else:
        serve_engine(options)


def seconds(text: str) -> float:
    """A budget as an option."""
    if not 0 < (value := float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds above 0")
    return value


def seed(text: str) -> int:
    """A seed as an option: what torch and numpy take."""
    if not 0 <= (value := int(text)) < 2**63:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 2**63 - 1")
    return value


def prepare_data(options: argparse.Namespace) -> None:
    """Prepare the corpus of a scale and say what was made."""
    try:
        scale = Scale.read(options.scale)
        texts = Texts(corpus.load(options.cache, options.data, say), scale, say)
        say(f"ready: {texts.corpus.describe()}; count models: {baselines.load(texts, scale, say)}")
    except DataError as error:
        sys.exit(str(error))


def print_counts(options: argparse.Namespace) -> None:
    """Print the losses of the count models on the rows of a report: for that alone, since it opens the sealed texts."""
    losses: dict[str, dict[str, float]] = {}
    try:
        scale = Scale.read(options.scale)
        if scale.tokenizer == "bytes":
            texts = Texts(corpus.load(options.cache, options.data, say), scale, say)
            losses = baselines.count(texts, scale, REPORTED)
    except DataError as error:
        sys.exit(str(error))
    print(json.dumps(losses))


if __name__ == "__main__":
    main()
