"""When each candidate of a run was told, and how far the run had come by then: for trackers."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from evolve.config import ConfigError
from evolve.exports.recorded import Recorded
from evolve.model import Candidate, digest
from evolve.reports.open import history_of


@dataclass(frozen=True)
class Moment:
    """`at` is in seconds since 1970, `charged` in charged seconds since the run began.

    `best` is the lowest confirmed loss by then and `volume` the hypervolume; None before the seed was confirmed.
    """

    candidate: Candidate
    at: float
    charged: float
    best: float | None
    volume: float | None


def timeline(recorded: Recorded) -> Iterator[Moment]:
    """A moment for each candidate that was told, as all is known of it now: gains that were cheated are none."""
    known = recorded.history
    steps = [charged for charged, *_ in known.progress]
    past = history_of(recorded.events[:1])
    for event in recorded.events[1:]:
        past.apply(event)
        if event.kind == "tell":
            *_, name = past.candidates
            done = bisect_right(steps, past.charged)
            best, volume = known.progress[done - 1][1:] if done else (None, None)
            yield Moment(known.candidates[name], event.at, past.charged, best, volume)


def measured_timeline(recorded: Recorded) -> list[Moment]:
    """The same, of a run in which there is something to track. Raises `ConfigError` of another one."""
    moments = list(timeline(recorded))
    if not any(moment.candidate.fitness for moment in moments):
        raise ConfigError("nothing to track: no program was measured at the full budget yet")
    return moments


def identity(recorded: Recorded) -> str:
    """The name of a run that it keeps wherever its directory is moved to."""
    first = recorded.events[0]
    return digest(f"{first.at!r} {json.dumps(first.body, sort_keys=True)}")
