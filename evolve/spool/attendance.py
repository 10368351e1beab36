"""Who is at work in a spool. A worker rewrites its file now and then; one that stopped doing so is gone.

When it last did is measured with the clock of who looks, from one look to the next: the clocks of two machines, and
the times that a shared file system notes, need not agree. So a file that was just found may be a dead worker's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from evolve.spool.folder import Damaged, Spool, decode

BEAT = 10.0  # seconds between two signs of life
STALE = 90.0  # seconds without one, after which a worker is gone; what file systems hold back is less


@dataclass
class Sight:
    """What was last seen of a worker, since when, and whether that was another thing than before."""

    data: bytes
    since: float
    moved: bool = False


class Attendance:
    """What one process knows of the workers of a spool. `look` now and then."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._seen: dict[str, Sight] = {}

    def look(self) -> None:
        now = time.monotonic()
        names = self._spool.names("workers")
        self._seen = {name: sight for name, sight in self._seen.items() if name in names}
        for name in names:
            try:
                data = self._spool.bytes_of("workers", name)
            except Damaged:
                data = b""
            before = self._seen.get(name)
            if data is not None and (before is None or data != before.data):
                self._seen[name] = Sight(data, now, before is not None)

    def state(self, worker: str) -> Literal["alive", "unknown", "gone"]:
        """Unknown is one that was found, and neither seen to move nor not to move for long enough."""
        sight = self._seen.get(worker)
        if sight is None or time.monotonic() - sight.since > STALE:
            return "gone"
        return "alive" if sight.moved else "unknown"

    def present(self) -> list[tuple[int, str]]:
        """Slots and the name of the judge's introduction, of each worker that is not known to be gone."""
        found = []
        for worker, sight in self._seen.items():
            if self.state(worker) == "gone":
                continue
            try:
                record = decode(sight.data)
                found.append((max(0, min(4096, int(record["slots"]))), str(record["judge"])))
            except (Damaged, LookupError, TypeError, ValueError, OverflowError):
                continue
        return found

    def give_back(self) -> int:
        """Jobs that workers claimed who are gone wait again; returns how many."""
        lost = [(name, worker) for name, worker in self._spool.claims() if self.state(worker) == "gone"]
        for worker in {w for w in self._seen if self.state(w) == "gone"}:
            self._spool.remove("workers", worker)
        return sum(self._spool.give_back(name, worker) for name, worker in lost)
