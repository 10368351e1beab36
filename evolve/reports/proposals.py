"""What became of the children that were asked for: how far each operator's proposals came, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from evolve.history import History
from evolve.model import Candidate, Cost, Rejected

REFUSED_AT = ("answer", "format", "edits", "rules", "same", "known")
COLUMNS = ("asked", "answered", "well-formed", "applies", "compiles", "structural", "new", "passes smoke", "improved")


@dataclass(frozen=True)
class Fate:
    """How far one proposal came: the number of `COLUMNS` that it fills; its candidate and its cost."""

    reached: int
    candidate: Candidate
    cost: Cost


def fates(history: History, operator: str) -> list[Fate]:
    """Of all proposals of an operator that were told."""
    told = [c for c in history.candidates.values() if c.operator == operator]
    return [Fate(_reached(c, history.proposals.get(c.index)), c, c.cost) for c in told]


def _reached(candidate: Candidate, made: object) -> int:
    if isinstance(made, Rejected):
        return 1 + (REFUSED_AT.index(made.stage) if made.stage in REFUSED_AT else 0)
    if candidate.verdict == "duplicate":
        return 6
    if candidate.verdict == "failed" and candidate.rung == 0:
        return 7
    effect = candidate.effect
    return 9 if effect and effect.clear and effect.delta < 0 else 8


def proposals_table(history: History) -> Table:
    """A row for each operator; every column counts those that came at least so far."""
    table = Table(
        title="Proposals by outcome; improved: better than the parent by two standard errors", title_justify="left"
    )
    table.add_column("operator", no_wrap=True)
    for column in (*COLUMNS, "calls", "input", "cached", "output", "s", "USD", "charged s"):
        table.add_column(column, justify="right", overflow="fold")
    for row in rows(history):
        table.add_row(*row)
    return table


def rows(history: History) -> Iterator[list[str]]:
    """The cells of the table. Calls, tokens and seconds are means over proposals; dollars and charges are sums."""
    for operator in sorted({c.operator for c in history.candidates.values() if c.index}):
        found = fates(history, operator)
        counts = [str(sum(f.reached >= n for f in found)) for n in range(1, len(COLUMNS) + 1)]
        total = sum((f.cost for f in found), Cost())
        n = len(found)
        read = total.input + total.cached
        yield [
            operator,
            *counts,
            f"{total.calls / n:.1f}",
            f"{read / n:,.0f}",
            f"{total.cached / read:.0%}" if read else "-",
            f"{total.output / n:,.0f}",
            f"{total.seconds / n:.1f}",
            f"{total.usd:.2f}" if total.usd else "-",
            f"{sum(f.candidate.seconds for f in found):,.0f}",
        ]


def ideas(history: History) -> list[tuple[str, int, int, float]]:
    """The notes that children were made from: name, children, how many improved, mean effect; best first."""
    by_name: dict[str, list[Candidate]] = {}
    for candidate in history.candidates.values():
        if candidate.idea:
            by_name.setdefault(candidate.idea, []).append(candidate)
    table = []
    for name, children in by_name.items():
        effects = [c.effect for c in children if c.effect]
        better = sum(e.clear and e.delta < 0 for e in effects)
        table.append((name, len(children), better, _mean([e.delta for e in effects])))
    return sorted(table, key=lambda row: row[3])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def print_proposals(console: Console, history: History) -> None:
    """The table, what the models cost in all, which notes paid, and how long slots stood empty for want of a child."""
    if history.seed is None:
        console.print("The seed has not been measured yet: no child was asked for.")
        return
    console.print(proposals_table(history))
    for operator, reason in history.ended.items():
        console.print(f"Asked no longer: {operator}, {reason}.", highlight=False, markup=False)
    tokens, usd = history.calls.spent()
    if tokens:
        dollars = f", {usd:.2f} USD" if usd else ""
        console.print(f"Language models in all: {tokens:,} tokens{dollars}.", highlight=False)
    if found := ideas(history):
        said = "; ".join(f"{name} {mean:+.4f} ({better} of {n} improved)" for name, n, better, mean in found)
        console.print(f"Notes that were used, by mean effect: {said}.", highlight=False, markup=False)
    if history.sessions:
        room = sum(slots * (end - start) for start, end, slots in history.sessions)
        share = history.waited / room if room > 0 else 0.0
        console.print(f"Slots stood empty while a child was being made: {share:.1%} of their time.", highlight=False)
