"""The ways to run one trial after another: without any judge, and by a judge with boxes of several kinds.

A trial's phases, in seconds of the wall: `start` from the request until the script's process has imported torch and
greets the judge, `startup` until the first batch, which starts the clock, `training`, `evaluation` until the score is
known, and `rest` until there is an outcome and another trial may be asked for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parents[2] / "train_target"
sys.path.insert(0, str(TARGET))

import numpy as np  # noqa: E402

import compiled as seeds  # noqa: E402
import corpus  # noqa: E402
import trials  # noqa: E402
from benchmarks.busy.phases import PHASES, Measurement  # noqa: E402
from benchmarks.trust_cost import Quiet, say  # noqa: E402
from devices import environment, nodes  # noqa: E402
from documents import DataError  # noqa: E402
from guard import Guard  # noqa: E402
from ladder import Isolation  # noqa: E402
from nursery import Box, Infrastructure  # noqa: E402
from scoring import rows_at_once  # noqa: E402
from selftest import NoIsolation, Settled, settle  # noqa: E402
from session import Reply, Session  # noqa: E402
from texts import SEARCHED, Scale, Texts, evaluation_rows  # noqa: E402
from waiting import Waiting  # noqa: E402

SHARED = ("tune", "control")  # purposes whose evaluation scores only the rung's share of the rows
WALL = 300.0  # seconds besides five times the budget, after which a plain script is given up
PATIENCE = 300.0  # seconds that a judged trial may lose in a phase
MARKS = ("started", "first", "asked", "scored")


class CannotOpen(Exception):
    """There is no text, no device or no isolation; the message says why."""


class TrialFailed(Exception):
    """A trial came to no score; the message says why. `void` is whether the machine spoilt it."""

    def __init__(self, reason: str, void: bool = False) -> None:
        super().__init__(reason)
        self.void = void


@dataclass(frozen=True)
class Place:
    """What all ways share: a scale whose clock is the wall's, texts, a folder, the device's guard, what is measured."""

    scale: Scale
    texts: Texts
    folder: Path
    guard: Guard | None
    source: str
    purpose: str
    engine: Quiet = field(default_factory=Quiet)

    @property
    def device(self) -> str:
        return self.guard.device.name if self.guard else self.scale.device

    def alone(self) -> AbstractContextManager[None]:
        """Nobody else has the device in it; a judge's trial sees to that itself."""
        return self.guard.alone(self.engine.wait) if self.guard else nullcontext()

    def share(self, budget: float) -> float:
        """The rung of a budget: its share of the scale's."""
        return min(1.0, budget / self.scale.budget)


class Marked(Session):
    """A session that notes when it enters which phase, on the monotonic clock."""

    latest: Marked

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.marks: dict[str, float] = {}
        Marked.latest = self

    def handle(self, message: dict[str, Any]) -> Reply:
        operation, now = message.get("op"), time.monotonic()
        if operation == "hello":
            self.marks.setdefault("started", now)
        elif operation == "batch" and message.get("split") == "train":
            self.marks.setdefault("first", now)
        elif operation == "evaluate":
            self.marks.setdefault("asked", now)
        reply = super().handle(message)
        if self.verdict:
            self.marks.setdefault("scored", time.monotonic())
        return reply


class OnDemand(Waiting):
    """Boxes that are started when they are asked for: a spare that is begun is ended at once."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._spend()

    def start(self, source: bytes) -> Box:
        box = super().start(source)
        self._spend()
        return box

    def _spend(self) -> None:
        spare, self._spare = self._spare, None
        assert spare is not None, "a spare is begun with each box, and with the first one"
        spare.close()


class Judged:
    """Trials by a judge in this process, whose boxes are of one kind, isolated as `isolation` says."""

    def __init__(
        self, name: str, place: Place, isolation: Isolation, kind: type[Waiting] = Waiting, compiled: Path | None = None
    ) -> None:
        self.name, self.place = name, place
        nursery = open_boxes(place, name, isolation, kind, compiled)
        settled = Settled(isolation, nursery, "")  # type: ignore[arg-type]
        engine: Any = place.engine
        self.judge = trials.Judge(place.scale, place.texts, engine, settled, PATIENCE, place.guard)

    def run(self, budget: float, seed: int) -> Measurement:
        """One trial. Raises TrialFailed."""
        with tempfile.TemporaryDirectory(dir=self.place.folder) as job:
            Path(job, "train.py").write_text(self.place.source)
            request = {"job": job, "budget": budget, "rung": self.place.share(budget)}
            began = time.monotonic()
            outcome = self.judge.trial(request | {"seed": seed, "purpose": self.place.purpose})
            ended = time.monotonic()
        if outcome["status"] != "ok":
            raise TrialFailed(f"{outcome['status']}, {outcome['reason']}", outcome["status"] == "infrastructure")
        metrics = outcome["metrics"]
        return measurement(began, Marked.latest.marks, ended, metrics["tokens"], metrics["steps"], metrics["val_bpb"])

    def close(self) -> None:
        self.judge.nursery.close()


class Plain:
    """`python train.py`, one process after another, with plain.py for `prepare`: compiling is cold each time."""

    name = "plain"

    def __init__(self, place: Place) -> None:
        self.place = place
        np.save(place.folder / "lengths.npy", place.texts.lengths)

    def run(self, budget: float, seed: int) -> Measurement:
        """One trial, while nobody else has the device. Raises TrialFailed."""
        with self.place.alone(), tempfile.TemporaryDirectory(dir=self.place.folder) as folder:
            return self._train(Path(folder), budget, seed)

    def _train(self, folder: Path, budget: float, seed: int) -> Measurement:
        place = self.place
        (folder / "train.py").write_text(place.source)
        (folder / "prepare.py").write_text((Path(__file__).parent / "plain.py").read_text())
        (folder / "settings.json").write_text(json.dumps(self._settings(folder, budget, seed)))
        began = time.monotonic()
        try:
            done = subprocess.run(
                [sys.executable, "train.py"],
                cwd=folder,
                env=self._environment(folder),
                capture_output=True,
                text=True,
                timeout=WALL + 5 * budget,
            )
        except subprocess.TimeoutExpired as error:
            raise TrialFailed(f"train.py had not ended after {error.timeout:.0f} s") from error
        ended = time.monotonic()
        if done.returncode or not (folder / "told.json").is_file():
            raise TrialFailed(f"exit code {done.returncode} of train.py: {(done.stdout + done.stderr)[-800:]}")
        told = json.loads((folder / "told.json").read_text())
        return measurement(began, told["marks"], ended, told["tokens"], told["steps"], told["val_bpb"])

    def _settings(self, folder: Path, budget: float, seed: int) -> dict[str, Any]:
        scale, texts = self.place.scale, self.place.texts
        share = self.place.share(budget) if self.place.purpose in SHARED else 1.0
        np.save(folder / "rows.npy", evaluation_rows(texts, scale, SEARCHED, share)["val"])
        return {
            "budget": budget,
            "seed": seed,
            "device": scale.device,
            "max_seq_len": scale.max_seq_len,
            "vocab_size": texts.vocab_size,
            "eval_rows": rows_at_once(scale.max_seq_len, texts.vocab_size),
            "train": str(texts.train.filename),  # type: ignore[attr-defined]
            "dtype": texts.train.dtype.name,
            "rows": str(folder / "rows.npy"),
            "lengths": str(self.place.folder / "lengths.npy"),
            "told": str(folder / "told.json"),
        }

    def _environment(self, folder: Path) -> dict[str, str]:
        """This process's variables, the device, and compile caches of its own."""
        known = environment(self.place.guard.device) if self.place.guard else {"OMP_NUM_THREADS": "1"}
        caches = {f"{name}_CACHE_DIR": str(folder / name.lower()) for name in ("TORCHINDUCTOR", "TRITON")}
        settings = {"PLAIN_SETTINGS": str(folder / "settings.json"), "PATH": os.environ.get("PATH", os.defpath)}
        return {**os.environ, **known, **caches, **settings}

    def close(self) -> None:
        pass


def measurement(
    began: float, marks: Mapping[str, float], ended: float, tokens: float, steps: float, val_bpb: float
) -> Measurement:
    """What a trial showed that was asked for at `began` and answered at `ended`."""
    if lacking := [mark for mark in MARKS if mark not in marks]:
        raise TrialFailed(f"the script never came to {', '.join(lacking)}: it has to train and to evaluate")
    times = [began, *(marks[mark] for mark in MARKS), ended]
    seconds = (after - before for before, after in pairwise(times))
    return Measurement(dict(zip(PHASES, seconds, strict=True)), int(tokens), int(steps), val_bpb)


def open_boxes(
    place: Place, name: str, isolation: Isolation, kind: type[Waiting] = Waiting, compiled: Path | None = None
) -> Waiting:
    """Boxes that are exec'd as a GPU's are, at any scale. Raises Infrastructure."""
    guard = place.guard
    known = (nodes(guard.device, guard.source.minor), environment(guard.device)) if guard else ((), None)
    folder = place.folder / "boxes" / name
    return kind(folder, place.scale.memory_mb, isolation, place.scale.device, *known, compiled=compiled)


def ready(place: Place, isolation: Isolation) -> Judged:
    return Judged("ready", place, isolation)


def on_demand(place: Place, isolation: Isolation) -> Judged:
    return Judged("on-demand", place, isolation, OnDemand)


def cached(place: Place, isolation: Isolation) -> Judged:
    """As ready, and each box begins with the compile cache of the seed program. Raises TrialFailed without one."""
    cache = place.folder / "compiled"
    filling = Judged("filling", place, isolation, compiled=cache)
    try:
        with place.alone():
            seeds.fill(filling.judge, cache, seeds.seed(place.scale), say)
    finally:
        filling.close()
    if place.guard and not cache.is_dir():
        raise TrialFailed("compiling the seed program left no cache; see above")
    return Judged("cached", place, isolation, compiled=cache)


WAYS: dict[str, Callable[[Place, Isolation], Plain | Judged]] = {
    "plain": lambda place, _: Plain(place),
    "on-demand": on_demand,
    "ready": ready,
    "cached": cached,
}


@contextmanager
def opened(options: Any, source: str) -> Iterator[tuple[Place, Settled]]:
    """A place, and an isolation that holds there, whose nursery is closed again. No `source` is the seed program.

    `options` are `scale`, `purpose`, `gpu` (index or UUID, None for the first) and `isolation` (at most this level).
    Raises CannotOpen.
    """
    try:
        scale = replace(Scale.read(options.scale), clock="wall")
        guard = trials.open_guard(scale, options.gpu)
        texts = Texts(corpus.load(corpus.default_cache(), None, say, scale.corpus), scale, say)
        hidden = [corpus.default_cache()]
        with tempfile.TemporaryDirectory(prefix="busy-", ignore_cleanup_errors=True) as folder:
            program = source or seeds.seed(scale).decode()
            place = Place(scale, texts, Path(folder), guard, program, options.purpose)

            def start(isolation: Isolation) -> Any:
                return open_boxes(place, "test", isolation)

            with place.alone():
                if guard:
                    guard.settle()
                settled = settle(start, options.isolation, False, hidden, say)
                settled.nursery.close()
            trials.Session = Marked  # type: ignore[misc]
            try:
                yield place, settled
            finally:
                trials.Session = Session  # type: ignore[misc]
    except (DataError, Infrastructure, NoIsolation) as error:
        raise CannotOpen(str(error)) from error
