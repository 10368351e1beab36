"""What became of the children that were asked for: how far each operator's proposals came, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from evolve.history import History
from evolve.journal import QUOTED, cut
from evolve.model import Candidate, Cost, Rejected
from evolve.reports.cost import NAME, models_in_all, stood_empty
from evolve.reports.front import print_weakness
from evolve.reports.grid import Grid, Head

REFUSED_AT = ("answer", "format", "edits", "rules", "same", "known")
COLUMNS = ("asked", "answered", "well-formed", "applies", "compiles", "structural", "new", "passes smoke", "improved")
OPERATOR = Head("operator", left=True, breaks="anywhere")
HEADS = (  # of `COLUMNS`, and which are left out first where there is no room
    ("asked", 0),
    ("an-\nswered", 4),
    ("well-\nformed", 5),
    ("applies", 6),
    ("com-\npiles", 7),
    ("struc-\ntural", 3),
    ("new", 2),
    ("passes\nsmoke", 1),
    ("im-\nproved", 0),
)
COSTS = (
    OPERATOR,
    Head("calls", out=4),
    Head("prompt\ntokens", out=2),
    Head("from\ncache", out=3),
    Head("answer\ntokens", out=1),
    Head("seconds"),
    Head("USD\nin all"),
    Head("charged s\nin all"),
)
WITHOUT = ", no call"  # a merge that left nothing to ask


@dataclass(frozen=True)
class Fate:
    """How far one proposal came: the number of `COLUMNS` that it fills; and its candidate."""

    reached: int
    candidate: Candidate


def fates(history: History) -> dict[str, list[Fate]]:
    """All proposals that were told, by operator; a language model's without a call are apart."""
    found: dict[str, list[Fate]] = {}
    for candidate in history.candidates.values():
        if candidate.index:
            reached = _reached(candidate, history.proposals.get(candidate.index))
            quiet = "@" in candidate.operator and not candidate.cost.calls and reached > 1
            name = candidate.operator + (WITHOUT if quiet else "")
            found.setdefault(name, []).append(Fate(reached, candidate))
    return dict(sorted(found.items()))


def _reached(candidate: Candidate, made: object) -> int:
    if isinstance(made, Rejected):
        return 1 + (REFUSED_AT.index(made.stage) if made.stage in REFUSED_AT else 0)
    if candidate.verdict == "duplicate":
        return 6
    if candidate.verdict == "failed" and candidate.rung == 0:
        return 7
    effect = None if candidate.quarantined else candidate.effect
    return 9 if effect and effect.clear and effect.delta < 0 else 8


def outcomes(history: History) -> Grid:
    """A row for each operator; every column counts those that came at least so far."""
    rows = []
    for operator, found in fates(history).items():
        counts = (str(sum(f.reached >= n for f in found)) for n in range(1, len(COLUMNS) + 1))
        rows.append((cut(operator, NAME), *counts))
    return Grid(
        [OPERATOR, *(Head(text, out=out, name=name) for name, (text, out) in zip(COLUMNS, HEADS, strict=True))], rows
    )


def costs(history: History) -> Grid:
    """What proposals cost: calls, tokens and seconds are means over proposals; dollars and charges are sums.

    A live run also says how often each operator would be drawn now; a run opened for reading does not know.
    """
    shares = history.search.arms.shares()
    rows = []
    for operator, found in fates(history).items():
        total, n = sum((f.candidate.cost for f in found), Cost()), len(found)
        read = total.input + total.cached
        row = (
            cut(operator, NAME),
            f"{total.calls / n:.1f}",
            f"{read / n:,.0f}" if read else "-",
            f"{total.cached / read:.0%}" if read else "-",
            f"{total.output / n:,.0f}" if read else "-",
            f"{total.seconds / n:.1f}",
            f"{total.usd:.2f}" if total.usd else "-",
            f"{sum(f.candidate.seconds for f in found):,.0f}",
            *([f"{shares[operator]:.0%}" if operator in shares else "-"] if shares else []),
        )
        rows.append(row)
    return Grid([*COSTS, *[Head("share\nnow")] * bool(shares)], rows)


def ideas(history: History) -> list[tuple[str, int, int, float]]:
    """The notes that children were made from: name, children, how many improved, mean effect; best first."""
    by_name: dict[str, list[Candidate]] = {}
    for candidate in history.candidates.values():
        if candidate.idea and not candidate.quarantined:
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
    console.print("Proposals by outcome; improved: better than each parent by two standard errors:")
    console.print("", outcomes(history), "", "What a proposal costs:", "", costs(history), "", sep="\n", crop=False)
    print_weakness(console, history)
    for operator, reason in history.ended.items():
        said = f"Asked no longer: {cut(operator, NAME)}, {cut(reason, QUOTED)}."
        console.print(said, highlight=False, markup=False)
    if said := models_in_all(history):
        console.print(said, highlight=False)
    if found := ideas(history):
        said = "; ".join(f"{cut(name, NAME)} {mean:+.4f} ({better} of {n} improved)" for name, n, better, mean in found)
        console.print(f"Notes that were used, by mean effect: {said}.", highlight=False, markup=False)
    if said := stood_empty(history):
        console.print(said, highlight=False)
