"""What switches off a defence that keeps a program in its box, ends it, or keeps its words short, by name.

Each function changes modules of the judge, or of the zygote from which boxes are forked, before their main functions
run; weakened.py starts them.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import time
import types
from collections.abc import Callable
from typing import Any

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
    plain = importlib.import_module

    def import_module(name: str, package: str | None = None) -> types.ModuleType:
        module = plain(name, package)
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

    watchdog.Watchdog.halt = lambda self: []
    trials.kill_below = lambda pid: None


JUDGE["sweep"] = unswept


@judge
def deadline() -> None:
    import session

    session.Session.overdue = lambda self: ""


@judge
def sigkill() -> None:
    """From the first trial on; the self-test before it ends its box as ever."""
    import nursery
    import trials

    run = trials.Judge.run

    def ask(self: Any) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.process, signal.SIGTERM)

    def asking(self: Any, *args: Any) -> Any:
        nursery.Box.kill, nursery.END_WALL = ask, 2.0
        return run(self, *args)

    trials.Judge.run = asking
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
