"""What switches off a defence of the score, by name: the judge's clock, its arithmetic, its probes."""

from __future__ import annotations

import base64
import contextlib
import pickle
import re
import types
from collections.abc import Callable
from typing import Any

from weak_isolation import JUDGE, judge, log_end

PROBES = {  # and the functions of probes.py that compare
    "suffix": "suffix",
    "commit": "commit",
    "behind": "behind",
    "neighbours": "neighbours",
    "repeat": "repeat",
    "random": "canary",
    "zero-step": "",
    "first-forward": "",
}
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
def lateness() -> None:
    """The clock is not read when the training is said to be over."""
    import session

    session.SLACK_SECONDS = float("inf")


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

    evaluate, finish = session.Session._evaluate, session.Session._finish

    def asked(self: Any, message: Any) -> Any:
        self.claimed = max(1.0, float(message.get("bytes_per_token", 1.0)))
        return evaluate(self, message)

    def finished(self: Any, *args: Any) -> Any:
        reply = finish(self, *args)
        if self.verdict and "val_bpb" in self.verdict.metrics:
            self.verdict.metrics["val_bpb"] /= self.claimed
        return reply

    session.Session._evaluate, session.Session._finish = asked, finished


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


def open_probe(name: str) -> Callable[[], None]:
    def patch() -> None:
        import probes
        import scoring
        import session
        import trials

        if name == "zero-step":
            trials.AUDITED = ()
        elif name == "first-forward":
            session.first_answers = lambda *_: (0.0, probes.Finding(name, "ok: switched off"))
            session.Session._overspent = lambda *_: ""
        else:
            setattr(scoring.probes, PROBES[name], lambda *_: probes.Finding(name, "ok: switched off"))

    return patch


JUDGE.update({name: open_probe(name) for name in PROBES})


@judge
def finite() -> None:
    """Positions without a number are left out of the mean, as a comparison with NaN would."""
    import numpy as np

    import scoring

    losses = scoring.arithmetic.losses

    def lenient(logits: Any, targets: Any, **options: Any) -> Any:
        nats = losses(logits, targets, **options)
        known = nats[np.isfinite(nats)]
        return np.where(np.isfinite(nats), nats, known.mean() if len(known) else 0.0)

    scoring.arithmetic.losses = lenient


@judge
def prefill() -> None:
    """The buffer keeps what is in it, which at the begin is nothing but zeros."""
    import numpy as np

    import scoring
    import session

    losses, make = scoring.arithmetic.losses, session.Session._make_buffer
    scoring.arithmetic.losses = lambda logits, targets, clear=False: losses(logits.copy(), targets, clear=False)

    def zeros(self: Any, shape: Any) -> int:
        fd = make(self, shape)
        self._logits.fill(np.float32(0))
        return fd

    session.Session._make_buffer = zeros


@judge
def normalise() -> None:
    """The numbers are taken for log-probabilities, as they are."""
    import numpy as np

    import scoring

    def taken(logits: Any, targets: Any, **_: Any) -> Any:
        return -np.take_along_axis(logits, targets[..., None].astype(np.int64), -1)[..., 0].astype(np.float64)

    scoring.arithmetic.losses = taken
    for name in PROBES:
        JUDGE[name]()
