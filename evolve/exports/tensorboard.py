"""A run as event files for TensorBoard. The only module that imports tensorboardX, which is an extra.

Below the folder given, in a folder with the name of the run directory:

* `search`: `best/LOSS` and `best/hypervolume` against charged seconds, `candidates/OBJECTIVE` of each candidate that
  was measured at the full budget, at the charged seconds at which it was; the front as text.
* `candidates/ID`, for each of these: its knobs and where it stands as hyperparameters, its objectives as their metrics,
  its hypothesis as text, and `curve/LOSS`, whose step is the share of the budget in per cent.

What the columns of all hyperparameters are is left to TensorBoard to find: where it is written down, only the first run
of several is looked at. The bytes follow from the log alone. Written again, the files are replaced, so that nothing is
there twice.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

from evolve.config import ConfigError
from evolve.exports.recorded import Recorded
from evolve.exports.timeline import Moment, identity, measured_timeline
from evolve.history import History
from evolve.journal import cut, plain
from evolve.model import Candidate
from evolve.reports.columns import with_error
from evolve.reports.standing import standing

TEXT = 4000  # characters of a hypothesis
MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~>])")
OPERATOR, PARENTS, STANDING = "by", "of", "standing"  # hyperparameters beside the knobs


def write_tensorboard(recorded: Recorded, folder: Path) -> tuple[Path, int]:
    """Returns where the run is now, and the number of its candidates there.

    Raises `ConfigError` if tensorboardX is missing, if nothing was measured yet, if it cannot be written, and if
    another run lies there.
    """
    _imported()
    measured = [m for m in measured_timeline(recorded) if m.candidate.fitness]
    place = folder / recorded.directory.resolve().name
    name = f"events.out.tfevents.{recorded.events[0].at:.0f}.{identity(recorded)}"
    if any(path.name != name for path in (place / "search").glob("events.*")):
        raise ConfigError(f"{place} holds another run: choose another folder")
    try:
        _write_search(recorded.history, measured, place / "search" / name)
        for moment in measured:
            _write_candidate(recorded.history, moment, place / "candidates" / f"{moment.candidate.index:05}" / name)
    except OSError as error:
        raise ConfigError(f"cannot write to {place}: {error.strerror or error}") from error
    return place, len(measured)


def _imported() -> Any:
    try:
        from tensorboardX import proto, record_writer, summary
    except ImportError as error:
        how = "pip install -c constraints.txt -e '.[tensorboard]'"
        raise ConfigError(f"TensorBoard's files need tensorboardX ({error}): {how}") from error
    return proto, record_writer, summary


class _Events:
    """One event file, opened."""

    def __init__(self, writer: Any, event: Any, summary: Any) -> None:
        self._writer, self._event, self._summary = writer, event, summary

    def scalars(self, at: float, step: float, values: Mapping[str, float | None]) -> None:
        for tag, value in values.items():
            if value is not None:
                self.add(at, step, self._summary.scalar(tag, value))

    def text(self, at: float, tag: str, lines: Iterable[str]) -> None:
        """Lines of text in which nothing is markup."""
        safe = (MARKDOWN.sub(r"\\\1", html.escape(plain(line), quote=False)) for line in lines)
        self.add(at, 0, self._summary.text(tag, "\n\n".join(safe)))

    def add(self, at: float, step: float, summary: Any) -> None:
        event = self._event(wall_time=at, step=round(step), summary=summary)
        self._writer.write(event.SerializeToString())


@contextmanager
def _events(path: Path, began: float) -> Iterator[_Events]:
    _, record_writer, summary = _imported()
    from tensorboardX.proto.event_pb2 import Event

    path.parent.mkdir(parents=True, exist_ok=True)
    writer = record_writer.RecordWriter(str(path))
    try:
        writer.write(Event(wall_time=began, file_version="brain.Event:2").SerializeToString())
        yield _Events(writer, Event, summary)
    finally:
        writer.close()


def _write_search(history: History, measured: list[Moment], path: Path) -> None:
    with _events(path, measured[0].at) as events:
        for moment in measured:
            events.scalars(
                moment.at,
                moment.charged,
                {f"best/{history.loss}": moment.best, "best/hypervolume": moment.volume}
                | {f"candidates/{name}": value for name, value in _objectives(moment.candidate).items()},
            )
        events.text(measured[-1].at, "front", _front(history))


def _write_candidate(history: History, moment: Moment, path: Path) -> None:
    *_, summary = _imported()
    candidate, at = moment.candidate, moment.at
    metrics = {_metric(name): value for name, value in _objectives(candidate).items()}
    with _events(path, at) as events:
        _, start, end = summary.hparams(_hyperparameters(history, candidate), metrics)
        events.add(at, 0, start)
        events.scalars(at, moment.charged, metrics)
        for rung in sorted(candidate.losses, key=float):
            events.scalars(at, 100 * float(rung), {f"curve/{history.loss}": fmean(candidate.losses[rung])})
        events.text(at, "about", _about(history, candidate))
        events.add(at, 0, end)


def _metric(objective: str) -> str:
    return f"objective/{objective}"


def _objectives(candidate: Candidate) -> dict[str, float]:
    return {name: value.mean for name, value in candidate.fitness.values.items()} if candidate.fitness else {}


def _hyperparameters(history: History, candidate: Candidate) -> dict[str, float | str]:
    about: dict[str, float | str] = {
        OPERATOR: plain(candidate.operator),
        PARENTS: " ".join(candidate.parents) or "-",
        STANDING: "seed" if candidate.index == 0 else str(standing(history, candidate)),
    }
    return about | {plain(address): float(value) for address, value in candidate.params.items()}


def _about(history: History, candidate: Candidate) -> Iterator[str]:
    yield f"Candidate {candidate.id} by {candidate.operator} of {' and '.join(candidate.parents) or 'nobody'}"
    if candidate.hypothesis:
        yield cut(candidate.hypothesis, TEXT)
    for name, value in candidate.fitness.values.items() if candidate.fitness else ():
        yield f"{name}: {with_error(value)}"
    for edit in candidate.edits:
        yield f"{edit.op} {edit.target}"
    yield f"charged: {candidate.seconds:.1f} s in {candidate.trials} trials"
    if history.weakness:
        yield history.weakness


def _front(history: History) -> Iterator[str]:
    yield f"{len(history.front)} on the front of {len(history.candidates)} candidates"
    for member in history.front:
        values = member.fitness.values if member.fitness else {}
        yield f"{member.id}: " + ", ".join(f"{name} {with_error(value)}" for name, value in values.items())
    if history.weakness:
        yield history.weakness
