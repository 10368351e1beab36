"""Views of the log that no other test looks at."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from evolve import records
from evolve.model import Outcome
from evolve.store import Event
from tests.evolve import toy


def test_the_busy_share_counts_seconds_of_the_core_and_the_slots_of_each_process() -> None:
    """4 s on a core twice as fast as nominal, 2 slots for 2 s; then 3 s at nominal speed, 1 slot for 4 s."""
    history = toy.new_history()
    trial = records.trial_record(toy.plan().trial(toy.SEED, {}, 0.25, 0, "tune"))
    header = {"settings": {"budget": 1.0}, "rungs": [0.25, 1.0]}
    events = [("run", 0.0, header), ("genome", 0.0, records.genome_record(toy.SEED))]
    for n, start, slots, seconds, speed in ((0, 10.0, 2, 4.0, 2.0), (1, 90.0, 1, 3.0, 1.0)):
        place = {"owner": "ask/0", "n": n}
        outcome = asdict(Outcome("ok", {"loss": 2.0, "core_speed": speed}, seconds=seconds))
        events.append(("session", start, {"slots": slots}))
        events.append(("trial", start, place | {"trial": trial}))
        events.append(("outcome", start + 2.0 * (n + 1), place | {"final": True, "outcome": outcome}))
    history.replay(Event(i, str(i), kind, at, body) for i, (kind, at, body) in enumerate(events))
    assert history.wall == 6.0 and history.charged == 7.0
    assert history.busy == pytest.approx((4 / 2 + 3) / (2 * 2 + 1 * 4))
