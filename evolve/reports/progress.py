"""Progress of a run: a live panel on a terminal, plain lines elsewhere. Looks at the loop, changes nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from evolve.journal import QUOTED, cut, plain
from evolve.loop import Loop
from evolve.reports.columns import with_error
from evolve.stopping import generation

PLAIN_EVERY = 15.0  # seconds between two plain lines
MANY = 5  # refusals in a row, from which on they are shown


class Progress:
    """Call it with the loop as often as you like; use it as a context."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start = time.monotonic()
        self._finished_before: int | None = None
        self._last = 0.0
        self._ended: set[str] = set()  # operators of which it was said
        self._lost: set[int] = set()  # and slots
        self._live = Live(console=console, auto_refresh=False, transient=True) if rewrites(console) else None

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, loop: Loop) -> None:
        now = time.monotonic()
        if self._finished_before is None:
            self._finished_before = loop.history.finished
        self._say_ended(loop)
        self._say_lost(getattr(loop.executor, "lost", {}))
        if self._live and now - self._last >= 0.5:
            self._last = now
            self._live.update(self._panel(loop), refresh=True)
        elif not self._live and now - self._last >= PLAIN_EVERY:
            self._last = now
            line = ", ".join(f"{k} {v}" for k, v in self.facts(loop).items())
            self._console.print(line, highlight=False, markup=False)

    def _say_ended(self, loop: Loop) -> None:
        """Once for each operator that is asked no longer, and at once: who waits for its children should know."""
        for operator, reason in loop.history.ended.items():
            if operator not in self._ended:
                self._ended.add(operator)
                said = f"Asked no longer: {cut(operator, QUOTED)}, {cut(reason, QUOTED)}."
                self._console.print(said, highlight=False, markup=False)

    def _say_lost(self, lost: Mapping[int, str]) -> None:
        """Once for each slot that was given up."""
        for core, reason in list(lost.items()):
            if core not in self._lost:
                self._lost.add(core)
                said = f"Given up: the slot on core {core} ({plain(reason)}). The others go on."
                self._console.print(said, highlight=False, markup=False)

    def facts(self, loop: Loop) -> dict[str, str]:
        """What is shown, by label."""
        history = loop.history
        elapsed = time.monotonic() - self._start
        statuses = " ".join(f"{n} {status}" for status, n in sorted(history.statuses.items())) or "none yet"
        of = f"/{loop.limits.generations}" if loop.limits.generations else ""
        facts = {"generation": f"{generation(history)}{of}"}
        facts |= {"candidates": str(history.finished), "front": str(len(history.front))}
        for label, candidate in (("best", history.front[0] if history.front else None), ("seed", history.seed)):
            if candidate and candidate.fitness:
                facts[label] = with_error(candidate.fitness.values[history.loss])
        if history.refusals >= MANY:
            facts["refused in a row"] = f"{history.refusals} ({cut(history.last_refusal, 60)})"
        if history.weakness:
            facts["isolation"] = history.weakness
        if out := sum(bool(c.quarantined) for c in history.candidates.values()):
            facts["in quarantine"] = str(out)
        return facts | {
            "trials": f"{statuses}, {loop.open_trials} open",
            "busy": f"{history.busy:.0%}",
            "elapsed": clock(elapsed),
            "remaining": self._remaining(loop, elapsed),
        }

    def _remaining(self, loop: Loop, elapsed: float) -> str:
        """From the pace of this process; unknown until some candidates are finished."""
        history = loop.history
        done = history.finished - (self._finished_before or 0)
        total = loop.limits.generations * int(history.header["settings"]["offspring"])
        if done < 3:
            return "not known yet"
        seconds = max(0, total - history.finished) * elapsed / done if total else math.inf
        if loop.limits.wall:
            seconds = min(seconds, max(0.0, loop.limits.wall - history.wall))
        return f"about {clock(seconds)}" if math.isfinite(seconds) else "until a criterion is met"

    def _panel(self, loop: Loop) -> Table:
        table = Table.grid(padding=(0, 2))
        for label, value in self.facts(loop).items():
            table.add_row(f"[bold]{label}", escape(value))
        return table


def rewrites(console: Console) -> bool:
    """Whether what is written can be written over. A dumb terminal cannot: rich shows nothing live on it."""
    return console.is_terminal and not console.is_dumb_terminal


def clock(seconds: float) -> str:
    """`1:02:03` or `0:02:03`: always with hours, or two minutes could be read as two hours."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
