"""What the slots of a recorded run did with their time, from its log."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from evolve.history import History
from evolve.store import Event

Place = tuple[str, int]


def occupied(events: Sequence[Event]) -> dict[Place, float]:
    """Seconds that each trial had a slot, by owner and number: from when it was next and one was free to its outcome.

    Trials start in the order in which they are submitted. One that a process left behind has none.
    """
    slots = 1
    waiting: deque[Place] = deque()
    running: dict[Place, float] = {}
    found: dict[Place, float] = {}
    for event in events:
        place = (event.body.get("owner", ""), event.body.get("n", 0))
        if event.kind == "session":
            slots = int(event.body.get("slots", 1))
            waiting.clear()
            running.clear()
        elif event.kind == "trial":
            waiting.append(place)
        elif event.kind in ("outcome", "withdrawn"):
            if place in running:
                found[place] = found.get(place, 0.0) + event.at - running.pop(place)
            elif place in waiting:
                waiting.remove(place)
        while waiting and len(running) < slots:
            running[waiting.popleft()] = event.at
    return found


def split(events: Sequence[Event], history: History) -> dict[str, float]:
    """Seconds of slots by what they were used for: those of a history that has seen all these events.

    `training` is that of all trials, start-up and evaluation of those that told them.
    """
    room = sum(slots * (end - start) for start, end, slots in history.sessions)
    held = sum(occupied(events).values())
    told = [outcome.metrics for outcome in history.outcomes.values()]
    startup, evaluation = (sum(m.get(name, 0.0) for m in told) for name in ("startup_seconds", "eval_seconds"))
    return {
        "training": history.worked,
        "startup": startup,
        "evaluation": evaluation,
        "other": held - history.worked - startup - evaluation,
        "no trial": room - held,
        "all": room,
    }


MEANINGS = {
    "training": "training",
    "startup": "build and compile, of trials that came to a score",
    "evaluation": "evaluation, of those",
    "other": "start of boxes, clean-up, what failed before it trained",
    "no trial": "no trial in the slot",
    "all": "in all",
}


def report(found: dict[str, float], history: History) -> list[str]:
    """The same as lines of Markdown."""
    about: dict[str, Any] = history.harness
    lines = [f"{len(history.outcomes):,} trials in {len(history.sessions)} sessions, {about.get('slots', 1)} slots,"]
    lines += [f"on {about.get('device', 'an unnamed device')}.", "", "| time of slots | s | share |", "|---|--:|--:|"]
    lines += [
        f"| {MEANINGS[name]} | {seconds:,.1f} | {seconds / found['all'] if found['all'] else 0.0:.1%} |"
        for name, seconds in found.items()
    ]
    return lines
