"""A run in another process, looked at while it goes on. Reads each event of its log once; writes and locks nothing."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from evolve.config import ConfigError
from evolve.history import History
from evolve.journal import QUOTED, cut
from evolve.model import Candidate
from evolve.reports.columns import with_error
from evolve.reports.lineage import about, change
from evolve.reports.open import find_run, history_of, open_history
from evolve.reports.progress import PLAIN_EVERY, clock, rewrites
from evolve.reports.state import State, holder, state_with
from evolve.reports.steadiness import unsteady
from evolve.stopping import generation
from evolve.store import FILE, Event, Store, StoreError

LIVE_EVERY = 2.0  # seconds between two looks, where what is shown can be written over
REMEMBERED = 8  # lines of what happened last
ENOUGH = 3  # measured candidates, before a pace says anything
MOST_RUNNING = 6  # trials that are named


@dataclass(frozen=True)
class Look:
    """What was found: the state of the run, its history so far, and a line for each new event worth one."""

    state: State
    history: History
    news: list[str]


class Follower:
    """The history of a run, kept up to date from its log. Use it as long as you like; close it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._store: Store | None = None
        self._history: History | None = None
        self._seen = 0

    def look(self) -> Look | None:
        """What is new; None while the run has not begun. Raises `StoreError`."""
        who = holder(self.directory)  # before the events: if it is nobody, the last one is written
        self._store = self._store or self._open(bool(who))
        if self._store is None:
            return None
        news: list[str] = []
        for event in list(self._store.events(self._seen)):
            if self._history is None:
                self._history = history_of([event])
            else:
                self._history.replay([event])
            self._seen = event.seq
            if said := happened(self._history, event):
                news.append(f"{time.strftime('%H:%M:%S', time.localtime(event.at))} {said}")
        if self._history is None:
            self.close()  # such a store does not know yet of which run it is
            return None
        return Look(state_with(who, self.directory, self._history), self._history, news)

    def _open(self, on: bool) -> Store | None:
        if not (self.directory / FILE).exists():
            return None
        try:
            return Store.read(self.directory)
        except StoreError:
            if on:  # the file is just being made
                return None
            raise

    def close(self) -> None:
        if self._store:
            self._store.close()
        self._store = None


def happened(history: History, event: Event) -> str:
    """An event that was just applied, in a line; "" for the many that say little by themselves."""
    body = event.body
    if event.kind == "tell":
        return _told(history, history.candidates[body["id"]])
    if event.kind == "session":
        return f"a process begins, on {body.get('slots', 1)} slots"
    if event.kind == "stop":
        return f"stopped: {cut(body['reason'], QUOTED)}"
    if event.kind == "quarantine":
        return f"in quarantine for {cut(body['violation'], QUOTED)}: {', '.join(body['ids'])}"
    return ""


def _told(history: History, candidate: Candidate) -> str:
    new = "; on the front" if any(c.id == candidate.id for c in history.front) else ""
    what = f"; {change(candidate)}" if candidate.index else f"; {candidate.verdict} {cut(candidate.reason, QUOTED)}"
    return f"{candidate.id} {about(history, candidate)}{what.rstrip()}{new}"


def facts(look: Look, now: float) -> dict[str, str]:
    """What is shown of a run at the time `now`, by label."""
    history, settings = look.history, look.history.header["settings"]
    limits = history.harness.get("limits", {})
    of = f"/{limits['generations']}" if limits.get("generations") else ""
    told = len(history.candidates) - (history.seed is not None)
    shown = {
        "generation": f"{generation(history)}{of}, of {settings['offspring']} candidates each",
        "candidates": f"{history.finished} measured, {told - history.finished} came to nothing, "
        f"{history.open_asks - (history.seed is None)} {'under way' if look.state.on else 'left unfinished'}",
        "front": ", ".join(c.id for c in history.front) or "nobody yet",
    }
    for label, candidate in (("best", history.front[0] if history.front else None), ("seed", history.seed)):
        if candidate and candidate.fitness:
            shown[label] = f"{with_error(candidate.fitness.values[history.loss])} {history.loss}, {candidate.id}"
    if history.progress:
        shown["hypervolume"] = f"{history.hypervolume():.4f}"
    if history.weakness:
        shown["isolation"] = history.weakness
    if said := unsteady(history):
        shown["machine"] = " ".join(said)
    if out := sum(bool(c.quarantined) for c in history.candidates.values()):
        shown["in quarantine"] = str(out)
    wall = history.wall
    if look.state.on:
        shown["running"] = _running(history)
        wall += max(0.0, now - history.sessions[-1][1]) if history.sessions else 0.0
    shown["trials"] = " ".join(f"{n} {status}" for status, n in sorted(history.statuses.items())) or "none yet"
    shown["charged"] = f"{history.charged:,.0f} s"
    shown["elapsed"] = clock(wall)
    if look.state.on:
        shown["remaining"] = _remaining(history, wall)
    return shown


def _running(history: History) -> str:
    """The trials under way: of whom, for what, at which rung, how many."""
    trials = [(owner.removeprefix("ask/"), history.trials[owner, n]) for owner, n in sorted(history.running)]
    alike = Counter(f"{name} {t.purpose} at {t.rung:g}" for name, t in trials)
    named = [said + (f" ({n})" if n > 1 else "") for said, n in alike.items()]
    more = len(named) - MOST_RUNNING
    return ", ".join(named[:MOST_RUNNING]) + (f" and {more} more" if more > 0 else "") or "no trial"


def _remaining(history: History, wall: float) -> str:
    """From the pace of the whole run; unknown until some candidates are finished. `wall` are seconds so far."""
    if history.finished < ENOUGH:
        return "not known yet"
    limits = history.harness.get("limits", {})
    left = [math.inf]
    if generations := limits.get("generations"):
        total = int(generations) * int(history.header["settings"]["offspring"])
        left.append((total - history.finished) * wall / history.finished)
    if (charge := limits.get("total")) and history.charged:
        left.append((charge - history.charged) * wall / history.charged)
    if limit := limits.get("wall"):
        left.append(limit - wall)
    seconds = max(0.0, min(left))
    return f"at most about {clock(seconds)}" if math.isfinite(seconds) else "until a criterion is met"


def panel(look: Look, last: deque[str], now: float) -> Group:
    """All facts and the last events."""
    table = Table.grid(padding=(0, 2))
    for label, value in facts(look, now).items():
        table.add_row(f"[bold]{label}", escape(value))
    news = [Text(line, no_wrap=True, overflow="ellipsis") for line in last]
    return Group(Text(look.state.sentence), table, *([Text("last events", style="bold"), *news] if news else []))


def look_once(console: Console, run_dir: str | None) -> None:
    """The state of a run as it is now. Raises `StoreError` or `ConfigError` if there is none that has begun."""
    directory = find_run(run_dir)
    follower = Follower(directory)
    try:
        look = follower.look()
        if look is None:
            open_history(directory)  # says why
            return
        console.print(panel(look, deque(look.news, REMEMBERED), time.time()))
    finally:
        follower.close()


def watch(console: Console, run_dir: str | None, every: float | None) -> None:
    """Show a run until it ends, looking `every` so many seconds; wait for it if it has not begun.

    Ctrl-C is left to the caller. Raises `StoreError` for a log that cannot be read, `ConfigError` for a bad `every`.
    """
    if every is not None and not 0 < every < math.inf:
        raise ConfigError(f"--every must be a number of seconds above 0, not {every:g}")
    live = Live(console=console, auto_refresh=False) if rewrites(console) else None
    pause = every or (LIVE_EVERY if live else PLAIN_EVERY)
    follower = Follower(_wait_for_run(console, run_dir, pause))
    try:
        first = _wait_for_beginning(console, follower, pause)
        if live:
            with live:
                _show_live(live, follower, first, pause)
        else:
            _print_lines(console, follower, first, pause)
    finally:
        follower.close()


def _wait_for_run(console: Console, run_dir: str | None, pause: float) -> Path:
    said = False
    while True:
        try:
            return find_run(run_dir)
        except ConfigError:
            if not said:
                console.print("Waiting for a run under runs/. Ctrl-C leaves.")
            said = True
            time.sleep(pause)


def _wait_for_beginning(console: Console, follower: Follower, pause: float) -> Look:
    said = ""
    while (look := follower.look()) is None:
        if not said:
            where = cut(str(follower.directory), QUOTED)
            nowhere = (
                "" if follower.directory.is_dir() else ": there is no such folder yet, so see that it is spelt right"
            )
            said = f"Waiting for the run in {where} to begin{nowhere}. Ctrl-C leaves."
            console.print(said, markup=False, highlight=False, soft_wrap=True)
        time.sleep(pause)
    return look


def _show_live(live: Live, follower: Follower, look: Look, pause: float) -> None:
    last = deque(look.news, REMEMBERED)
    live.update(panel(look, last, time.time()), refresh=True)
    while look.state.on:
        time.sleep(pause)
        look = follower.look() or look
        last.extend(look.news)
        live.update(panel(look, last, time.time()), refresh=True)


def _print_lines(console: Console, follower: Follower, look: Look, pause: float) -> None:
    """A line for each event worth one, and after them where the run is; of what was before, only the last events."""
    _print(console, look, look.news[-REMEMBERED:])
    while look.state.on:
        time.sleep(pause)
        look = follower.look() or look
        if look.news or not look.state.on:
            _print(console, look, look.news)


def _print(console: Console, look: Look, news: list[str]) -> None:
    where = "; ".join(f"{label} {value}" for label, value in facts(look, time.time()).items())
    for line in [*news, where, *([] if look.state.on else [look.state.sentence])]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
