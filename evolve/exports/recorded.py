"""A recorded run for exports: what the log says in all, and when each thing was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from evolve.history import SEED, History
from evolve.model import Candidate
from evolve.reports.open import history_of, read_events
from evolve.store import Event


@dataclass(frozen=True)
class Recorded:
    """The events of the run in `directory` and the history that they make."""

    directory: Path
    events: Sequence[Event]
    history: History

    @cached_property
    def _written(self) -> dict[str, float]:
        return {event.key: event.at for event in self.events}

    def at(self, key: str) -> float | None:
        """When the event with this key was written, in seconds since 1970; None if it was not."""
        return self._written.get(key)

    def asked(self, candidate: Candidate) -> float | None:
        """When a candidate was asked for; the seed when its first trial began."""
        return self.at(f"ask/{candidate.index}" if candidate.index else f"{SEED}/trial/0/0")

    def told(self, candidate: Candidate) -> float | None:
        """When all was known of a candidate."""
        return self.at(f"ask/{candidate.index}/tell")


def open_recorded(directory: Path) -> Recorded:
    """Read a run, also while it is on. Raises `StoreError` or `ConfigError`."""
    events = read_events(directory)
    return Recorded(directory, events, history_of(events))


def moment(at: float | None) -> str:
    """A time as ISO 8601 in UTC, "" for none."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
