"""What a run cost and what came of it: charged seconds by purpose, and by operator and language model with the gain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from rich.console import Console

from evolve.history import SEED, History
from evolve.journal import cut
from evolve.memory import refused
from evolve.model import Candidate, Cost
from evolve.reports.front import print_weakness
from evolve.reports.grid import Grid, Head

PURPOSES = {  # of trials, and what they are for
    "smoke": "does it run at all",
    "tune": "choosing numbers",
    "rung": "the curve, first training",
    "confirm": "the curve, further seeds",
    "audit": "further seed, most probes",
    "control": "the seed program again",
    "report": "for a report",
}
LOST = "lost"
NO_MODEL = "none"
NAME = 60  # characters of the name of an operator or a model
PER_SECONDS = 1000.0  # charged seconds that a gain is given for


@dataclass(frozen=True)
class Spent:
    """What was spent on children of one kind, in all, and the sum of their confirmed gains in the loss."""

    name: str
    children: int = 0
    charged: float = 0.0
    cost: Cost = field(default_factory=Cost)
    gain: float = 0.0

    def plus(self, other: Spent) -> Spent:
        return replace(
            self,
            children=self.children + other.children,
            charged=self.charged + other.charged,
            cost=self.cost + other.cost,
            gain=self.gain + other.gain,
        )


def confirmed_gain(candidate: Candidate) -> float:
    """By how much the loss of a confirmed child is below that of the best of its nearest measured ancestors.

    0 for what is within two standard errors, for what was not confirmed, and for what was cheated.
    """
    effect = None if candidate.quarantined or not candidate.confirmed else candidate.effect
    return -effect.delta if effect and effect.clear and effect.delta < 0 else 0.0


def by_purpose(history: History) -> dict[str, tuple[int, float]]:
    """Trials and charged seconds by purpose; together they are all that was charged.

    Lost: what a process had under way when it died, and what the machine spoiled, so that it was done again.
    """
    found: defaultdict[str, list[float]] = defaultdict(list)
    for place, outcome in history.outcomes.items():
        found[history.trials[place].purpose].append(outcome.seconds)
    named = [*PURPOSES, *(p for p in found if p not in PURPOSES)]
    shown = {purpose: (len(found[purpose]), sum(found[purpose])) for purpose in named if found[purpose]}
    lost = history.statuses.total() - len(history.outcomes)
    rest = history.charged - sum(seconds for _, seconds in shown.values())
    return shown | ({LOST: (lost, rest)} if lost else {})


def by_operator(history: History) -> list[Spent]:
    """Who asked for children, most charged first, then the seed program, its controls, and audits of ancestors.

    Children under way count with what they were charged so far; together they are all that was charged.
    """
    found: dict[str, Spent] = {}
    others: dict[str, Spent] = {}
    names = {"control": "controls of the seed", "audit": "audits of ancestors"}
    for owner in {**dict.fromkeys(f"ask/{index}" for index in history.matings), **history.seconds}:
        kind, _, number = owner.partition("/")
        seconds = history.seconds.get(owner, 0.0)
        if kind == "ask" and owner != SEED:
            child = history.candidates.get(number)
            name = history.matings[int(number)].operator
            told = (child.cost, confirmed_gain(child)) if child else (Cost(), 0.0)
            found[name] = found.get(name, Spent(name)).plus(Spent(name, 1, seconds, *told))
        else:
            name = "seed program" if owner == SEED else names.get(kind, kind)
            others[name] = others.get(name, Spent(name)).plus(Spent(name, 0, seconds))
    return sorted(found.values(), key=lambda s: (-s.charged, s.name)) + list(others.values())


def by_model(operators: Iterable[Spent]) -> list[Spent]:
    """The same by language model, and all that needs none together; empty for a run without any."""
    found: dict[str, Spent] = {}
    for spent in operators:
        name = spent.name.partition("@")[2] or NO_MODEL
        found[name] = found.get(name, Spent(name)).plus(spent)
    return sorted(found.values(), key=lambda s: (s.name == NO_MODEL, -s.charged)) if found.keys() - {NO_MODEL} else []


def print_cost(console: Console, history: History) -> None:
    """Three tables, and what stands beside them. Says so if nothing was charged yet."""
    print_weakness(console, history)
    if not history.charged:
        console.print("Nothing was charged yet: no trial has ended.")
        return
    console.print(f"{history.charged:,.1f} charged seconds in {history.statuses.total():,} trials, by purpose:")
    console.print("", _purposes(by_purpose(history), history.charged), "", sep="\n", crop=False)
    operators = by_operator(history)
    console.print(f"By operator; gain: confirmed, in {history.loss}, against the best of the nearest ancestors:")
    console.print("", _spent(operators, history.charged, "operator"), "", sep="\n", crop=False)
    if models := by_model(operators):
        console.print("By language model:")
        console.print("", _spent(models, history.charged, "model"), "", sep="\n", crop=False)
    for said in (models_in_all(history), stood_empty(history), not_started(history)):
        if said:
            console.print(said, highlight=False, markup=False)


def models_in_all(history: History) -> str:
    """What language models were paid in all, with questions of no child and open ones; "" without any."""
    tokens, usd = history.calls.spent()
    dollars = f", {usd:.2f} USD" if usd else ""
    return f"Language models in all: {tokens:,} tokens{dollars}." if tokens else ""


def stood_empty(history: History) -> str:
    """For which share of their time slots were not used, since a child was being made; "" before the first process."""
    room = sum(slots * (end - start) for start, end, slots in history.sessions)
    share = history.waited / room if room > 0 else 0.0
    return f"Slots stood empty while a child was being made: {share:.1%} of their time." if history.sessions else ""


def not_started(history: History) -> str:
    """How many trials were spared because they had no chance to fit the device's memory; "" for none."""
    owners = [owner for (owner, _), outcome in history.outcomes.items() if refused(outcome)]
    if not owners:
        return ""
    return (
        f"Not started, estimated above the device's memory: {len(owners):,} trials of {len(set(owners)):,} candidates."
    )


def _purposes(found: Mapping[str, tuple[int, float]], charged: float) -> Grid:
    heads = [Head("purpose", left=True), Head("trials"), Head("charged s"), Head("share", out=1)]
    about = PURPOSES | {LOST: "under way when a process died, or spoiled by the machine"}
    rows = [
        (cut(purpose, NAME), f"{trials:,}", f"{seconds:,.1f}", f"{seconds / charged:.1%}", about.get(purpose, ""))
        for purpose, (trials, seconds) in found.items()
    ]
    return Grid([*heads, Head("what for", left=True, breaks="anywhere", out=2)], rows)


def _spent(rows: Iterable[Spent], charged: float, what: str) -> Grid:
    """Ten columns in a terminal of 80; what nobody paid has no column."""
    rows = list(rows)
    total = Spent("in all")
    for row in rows:
        total = total.plus(row)
    paid = [bool(total.cost.tokens), bool(total.cost.usd)]
    heads = [
        Head(what, left=True, breaks="anywhere"),
        Head("child-\nren", out=1),
        Head("charged\ns"),
        Head("share", out=3),
        Head("waited\ns", out=4),
        *[Head("tokens", out=2)] * paid[0],
        *[Head("USD")] * paid[1],
        Head("gain"),
        Head(f"gain per\n{PER_SECONDS:,.0f} s"),
        *[Head("gain per\nUSD", out=5)] * paid[1],
    ]
    cells = [_cells(row, charged, *paid) for row in (*rows, total)]
    return Grid(heads, cells[:-1], cells[-1:])


def _cells(row: Spent, charged: float, tokens: bool, usd: bool) -> list[str]:
    return [
        cut(row.name, NAME),
        f"{row.children:,}" if row.children else "-",
        f"{row.charged:,.{0 if charged >= 100 else 1}f}",
        f"{row.charged / charged:.1%}",
        f"{row.cost.seconds:,.0f}",
        *[f"{row.cost.tokens:,}" if row.cost.tokens else "-"] * tokens,
        *[f"{row.cost.usd:.2f}" if row.cost.usd else "-"] * usd,
        f"{row.gain:.4f}" if row.gain else "-",
        f"{row.gain / row.charged * PER_SECONDS:.4f}" if row.gain and row.charged else "-",
        *[f"{row.gain / row.cost.usd:.4f}" if row.gain and row.cost.usd else "-"] * usd,
    ]
