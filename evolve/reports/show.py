"""One candidate in full: numbers, knobs against its parent's, hypothesis, lineage, rungs."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from evolve.history import History
from evolve.journal import plain
from evolve.model import Candidate
from evolve.reports.columns import with_error
from evolve.reports.front import print_weakness

LOG = 4000  # characters of a log that are shown, at most


def print_candidate(console: Console, history: History, candidate: Candidate) -> None:
    parents = " and ".join(candidate.parents) or "nobody"
    console.print(f"[bold]Candidate {candidate.id}[/bold]: {candidate.verdict}, by {candidate.operator} from {parents}")
    print_weakness(console, history)
    for label, text in (("why", candidate.reason), ("hypothesis", candidate.hypothesis)):
        if text:
            console.print(f"{label}: {escape(plain(text))}")
    _print_trust(console, candidate)
    if candidate.fitness:
        for name, value in candidate.fitness.values.items():
            console.print(f"{name}: {with_error(value)}")
        if not candidate.fitness.feasible:
            console.print(f"infeasible: {candidate.fitness.violation:.4f} above the seed's loss")
    for rung, losses in candidate.losses.items():
        console.print(f"loss at {rung} of the budget: {' '.join(f'{v:.4f}' for v in losses)}")
    for name, number in candidate.metrics.items():
        console.print(f"{name}: {number:,.4g}", highlight=False)
    console.print(f"charged: {candidate.seconds:.1f} s in {candidate.trials} trials")
    if candidate.params:
        console.print(_knobs(history, candidate))
    console.print(_lineage(history, candidate))
    if tail := _log_tail(history, candidate):
        console.print("last log:", tail, sep="\n", markup=False)


def _print_trust(console: Console, candidate: Candidate) -> None:
    """Whether it is out of the search, and what the probes of the trial that decided found."""
    if candidate.quarantined:
        console.print(f"in quarantine: {escape(candidate.quarantined)}; neither a parent nor on the front")
    for name, found in candidate.checks.items():
        console.print(f"check {name}: {plain(found)}", markup=False, highlight=False)


def _knobs(history: History, candidate: Candidate) -> Table:
    """Tuned numbers beside the first parent's; only those that are not the default, or differ from the parent."""
    parent = history.candidates.get(candidate.parents[0]) if candidate.parents else None
    table = Table("knob", "value", "parent", "default", title="Numbers that differ", title_justify="left")
    for knob in candidate.genome.knobs:
        value = candidate.params.get(knob.address, knob.default)
        theirs = parent.params.get(knob.address) if parent else None
        if value != knob.default or theirs not in (None, value):
            table.add_row(
                escape(knob.address), f"{value:g}", "-" if theirs is None else f"{theirs:g}", f"{knob.default:g}"
            )
    return table


def _lineage(history: History, candidate: Candidate) -> Tree:
    tree = Tree(_line(history, candidate))
    seen = {candidate.id}

    def grow(branch: Tree, child: Candidate) -> None:
        for name in child.parents:
            parent = history.candidates[name]
            twig = branch.add(_line(history, parent) + (" (see above)" if name in seen else ""))
            if name not in seen:
                seen.add(name)
                grow(twig, parent)

    grow(tree, candidate)
    return tree


def _line(history: History, candidate: Candidate) -> str:
    loss = candidate.fitness.values.get(history.loss) if candidate.fitness else None
    what = candidate.hypothesis.split(":")[0] if candidate.edits else ""
    return escape(f"{candidate.id} {candidate.operator} {what} {with_error(loss) if loss else candidate.verdict}")


def _log_tail(history: History, candidate: Candidate) -> str:
    owner = f"ask/{candidate.index}"
    tails = [o.log_tail for (name, _), o in history.outcomes.items() if name == owner and o.log_tail]
    return plain("\n".join(tails[-1][-LOG:].splitlines()[-8:])) if tails else ""
