"""A judge with named defences switched off, which shows what they are for. Never an option of the judge itself.

    python tests/redteam/weakened.py --off=landlock --off=mount --scale=cpu --core=0 --cache=DIR

The judge's modules are changed before its main function runs; its zygote is started by way of this file too, which
then changes the modules of the box. A level of isolation that lacks a part fails the self-test, so its verdict is
switched off with any of them.
"""

from __future__ import annotations

import base64
import contextlib
import os
import pickle
import re
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
TARGET = HERE.parents[2] / "train_target"
sys.path.insert(0, str(TARGET))

PROBES = ("suffix", "commit", "neighbours", "repeat", "random", "zero-step", "first-forward")
JUDGE: dict[str, Callable[[], None]] = {}
BOX: dict[str, Callable[[], None]] = {}


def judge(patch: Callable[[], None]) -> Callable[[], None]:
    """Register what switches a defence off in the judge, by its name."""
    JUDGE[patch.__name__.replace("_", "-")] = patch
    return patch


def box(patch: Callable[[], None]) -> Callable[[], None]:
    """Register what switches a defence off in the zygote, from which boxes are forked."""
    BOX[patch.__name__.replace("_", "-")] = patch
    return patch


# --- isolation, in the box ------------------------------------------------------------------------------------------


@box
def landlock() -> None:
    import sandbox

    sandbox.landlock = lambda *_: None


@box
def namespaces() -> None:
    import sandbox

    def refuse(*_: object, **__: object) -> None:
        raise OSError("switched off")

    sandbox.unshare = refuse


@box
def seccomp() -> None:
    import seccomp

    seccomp.install = lambda: None


@box
def limits() -> None:
    import sandbox

    sandbox.limit = lambda *_: None


@box
def capabilities() -> None:
    import sandbox

    sandbox.drop_capabilities = lambda *_: None


@box
def descriptors() -> None:
    os.closerange = lambda *_: None


@box
def environment() -> None:
    import sandbox

    given, limit = dict(os.environ), sandbox.limit
    sandbox.limit = lambda *values: (os.environ.update(given), limit(*values))


@box
def sweep() -> None:
    import zygote

    zygote.sweep = lambda: 0


@box
def own_clock() -> None:
    """The box tells its own time, as a script does that times itself."""
    import importlib

    plain = importlib.import_module

    def import_module(name: str) -> types.ModuleType:
        module = plain(name)
        if name == "prepare":
            ask, began = module._Judge.ask, [time.perf_counter()]

            def timed(self: Any, **request: Any) -> Any:
                if request.get("op") == "hello":
                    began[0] = time.perf_counter()
                return ask(self, **request, clock=time.perf_counter() - began[0])

            module._Judge.ask = timed
        return module

    importlib.import_module = import_module


# --- isolation and kills, in the judge ------------------------------------------------------------------------------


@judge
def mount() -> None:
    import ladder

    ladder.LEVELS = ("L",)


def watchdog() -> None:
    import watchdog

    watchdog.Watchdog.look = lambda self: None


JUDGE["watchdog"] = watchdog


def unswept() -> None:
    import trials
    import watchdog

    watchdog.Watchdog.halt = lambda self: None
    trials.kill_below = lambda pid: None


JUDGE["sweep"] = unswept


@judge
def deadline() -> None:
    import session

    session.Session.overdue = lambda self: ""


@judge
def sigkill() -> None:
    import nursery

    def ask(self: Any) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.process, signal.SIGTERM)

    nursery.Box.kill = ask
    nursery.END_WALL = 2.0
    unswept()


@judge
def clear() -> None:
    import nursery

    def keep(self: Any) -> None:
        (self.folder / "train.py").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (self.folder / "tmp").rename(self.folder / f"tmp-{time.monotonic_ns()}")

    nursery.Nursery.clear = keep


# --- what is told, in the judge -------------------------------------------------------------------------------------


@judge
def log() -> None:
    import nursery
    import session

    nursery.HEAD = 2**30
    nursery.printable = session.printable = lambda text: text


@judge
def log_end() -> None:
    import nursery

    nursery.Log.end = lambda self: None


@judge
def words() -> None:
    import session

    session._without_words = lambda reason: reason


@judge
def purpose_told() -> None:
    import session

    hello = session.Session._hello

    def told(self: Any, message: Any) -> Any:
        reply = hello(self, message)
        reply.message["purpose"] = self.terms.purpose
        return reply

    session.Session._hello = told


# --- the score, in the judge ----------------------------------------------------------------------------------------


class Claimed:
    """The seconds that the box claims."""

    seconds = 0.0

    def read(self, exact: bool = False) -> float:
        return self.seconds


def claimed_clock() -> None:
    import trials

    clock, answer = Claimed(), trials.answer
    trials.make_clock = lambda *_: clock

    def timed(wire: Any, session: Any, message: Any) -> None:
        clock.seconds = float(message.get("clock", clock.seconds))
        answer(wire, session, message)

    trials.answer = timed


JUDGE["own-clock"] = claimed_clock


@judge
def own_arithmetic() -> None:
    """The score is what the log says, or the box."""
    import trials

    log_end()
    outcome = trials.Judge.outcome

    def printed(self: Any, verdict: Any, seconds: float = 0.0, log: str = "") -> Any:
        if verdict.status == "ok" and (found := re.findall(r"val_bpb\W{1,4}(\d+\.\d+)", log)):
            verdict.metrics["val_bpb"] = float(found[-1])
        return outcome(self, verdict, seconds, log)

    trials.Judge.outcome = printed


@judge
def own_bytes() -> None:
    import session

    tell, finish = session.Session._tell, session.Session._finish

    def told(self: Any, message: Any) -> Any:
        self.claimed = max(getattr(self, "claimed", 1.0), float(message.get("bytes_per_token", 1.0)))
        return tell(self, message)

    def finished(self: Any, *args: Any) -> Any:
        reply = finish(self, *args)
        if self.verdict and "val_bpb" in self.verdict.metrics:
            self.verdict.metrics["val_bpb"] /= getattr(self, "claimed", 1.0)
        return reply

    session.Session._tell, session.Session._finish = told, finished


@judge
def box_status() -> None:
    import session

    crash = session.Session._crash

    def believed(self: Any, message: Any) -> Any:
        reply = crash(self, message)
        self.verdict.status = str(message.get("status"))
        return reply

    session.Session._crash = believed


@judge
def json_only() -> None:
    import wire

    parse = wire._parse

    def unpickled(line: bytes) -> Any:
        with contextlib.suppress(ValueError, pickle.UnpicklingError):
            pickle.loads(base64.b64decode(line, validate=True))
        return parse(line)

    wire._parse = unpickled


@judge
def seals() -> None:
    import session

    session.fcntl = types.SimpleNamespace(
        fcntl=lambda *_: 0, F_ADD_SEALS=0, F_SEAL_SHRINK=0, F_SEAL_GROW=0, F_SEAL_SEAL=0
    )


@judge
def synthetic_warmup() -> None:
    import session

    def real(self: Any, rows: int, length: int) -> Any:
        if self.phase != "startup" or self._warmups >= session.WARMUP_BATCHES:
            return session.Reply({"end": True, "progress": 0.0})
        self._warmups += 1
        starts = self._rng.integers(0, len(self.texts.train) - length, size=rows)
        batch = self.texts.train[starts[:, None] + session.np.arange(length + 1)]
        return session.Reply({"epoch": 0, "progress": 0.0}, batch.tobytes())

    session.Session._warmup = real


# --- starting -------------------------------------------------------------------------------------------------------

PASSED = ("clean-zygote", "zygote-opens")  # the zygote is given the validation text: in memory, or as a descriptor


class Popen(subprocess.Popen):  # type: ignore[type-arg]
    """Starts the zygote by way of this file."""

    off: tuple[str, ...] = ()
    text: Path = Path()

    def __init__(self, command: list[str], **options: Any) -> None:
        script = next(i for i, part in enumerate(command) if part.endswith("zygote.py"))
        command[script : script + 1] = [str(HERE), f"--zygote={','.join(self.off)}"]
        if "--chdir" in command:
            at = command.index("--chdir")
            command[at:at] = ["--ro-bind", str(HERE.parent), str(HERE.parent)]
        if "environment" in self.off:
            options["env"] = os.environ | options["env"]
        if set(PASSED) & set(self.off):
            fd = os.open(self.text, os.O_RDONLY)
            options["pass_fds"] = (*options["pass_fds"], fd)
            options["env"] = options["env"] | {"REDTEAM_TEXT": str(fd)}
        super().__init__(command, **options)


def start_judge(off: tuple[str, ...]) -> None:
    import nursery
    import selftest

    selftest.judged = lambda *_: []
    Popen.off = off
    cache = next(Path(part.partition("=")[2]) for part in sys.argv if part.startswith("--cache="))
    Popen.text = next((path / "val.bin" for path in cache.resolve().glob("sympy-*")), Path())
    nursery.subprocess = types.SimpleNamespace(Popen=Popen, DEVNULL=subprocess.DEVNULL)
    for name in off:
        if name in JUDGE:
            JUDGE[name]()
    import judge

    judge.main()


def start_zygote(off: tuple[str, ...]) -> None:
    import sandbox

    sandbox.prctl(sandbox.PR_SET_PDEATHSIG, signal.SIGKILL)
    before = [name for name in off if name in BOX and name != "sweep"]
    for name in before:
        BOX[name]()
    shared_memory = sandbox.settle_in(sys.argv[4], Path(sys.argv[2]), list(map(Path, sys.argv[5:])))
    import zygote

    zygote.shared_memory = shared_memory
    if "sweep" in off:
        sweep()
    number = os.environ.pop("REDTEAM_TEXT", "")
    if "clean-zygote" in off:
        zygote.text = os.pread(int(number), 2**20, 0)
        os.close(int(number))
    zygote.main()


def main() -> None:
    kind, _, value = sys.argv[1].partition("=")
    if kind == "--zygote":
        del sys.argv[1]
        start_zygote(tuple(value.split(",")))
        return
    off = tuple(part.partition("=")[2] for part in sys.argv if part.startswith("--off="))
    sys.argv[:] = [part for part in sys.argv if not part.startswith("--off=")]
    unknown = set(off) - JUDGE.keys() - BOX.keys() - set(PASSED)
    if unknown:
        raise SystemExit(f"no such defence: {', '.join(sorted(unknown))}")
    start_judge(off)


if __name__ == "__main__":
    main()
