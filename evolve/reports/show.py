"""One candidate in full: numbers beside its parent's, whether its hypothesis held, knobs, rungs, lineage, log."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape

from evolve.history import SEED, History
from evolve.incoming import PERSON
from evolve.journal import loss_curve, plain, verdict
from evolve.model import Candidate, Number
from evolve.reports.columns import decimals, estimate, with_error
from evolve.reports.front import beats_seed, gain, print_weakness
from evolve.reports.grid import Grid, Head
from evolve.reports.lineage import print_ancestors
from evolve.reports.standing import standing
from evolve.reports.steadiness import print_unsteady
from evolve.reports.tried import anchor, tried

LOG = 4000  # characters of a log that are shown, at most
LOG_LINES = 8
STANDS = {
    "front": "on the front",
    "dominated": "dominated: another is at least as good in everything",
    "unconfirmed": "not dominated, but trained too seldom to be on the front",
    "infeasible": "infeasible: it does not reach the seed's loss",
    "quarantined": "in quarantine: neither a parent nor on the front",
}


def print_candidate(
    console: Console, history: History, candidate: Candidate, further: Iterable[tuple[str, str]] = ()
) -> None:
    """`further` are lines beside those that come from the history, each with its label."""
    parents = " and ".join(candidate.parents) or "nobody"
    operator = escape(plain(candidate.operator))
    console.print(f"[bold]Candidate {candidate.id}[/bold]: {candidate.verdict}, by {operator} from {parents}")
    print_weakness(console, history)
    print_unsteady(console, history)
    for label, text in (
        ("stands", _stands(history, candidate)),
        ("why", candidate.reason),
        ("hypothesis", candidate.hypothesis),
        ("idea", candidate.idea),
        ("verdict", judged(candidate)),
        ("numbers", tried(history, candidate)),
        ("edits", ", ".join(f"{e.op} {e.target}" for e in candidate.edits)),
        *further,
    ):
        if text:
            console.print(f"{label}: {plain(text)}", markup=False, highlight=False)
    tables = [
        _numbers(history, candidate) if candidate.fitness or candidate.metrics else None,
        _knobs(history, candidate) if candidate.params else None,
        _rungs(history, candidate),
    ]
    for table in filter(None, tables):
        console.print("", table, sep="\n", crop=False)
    console.print()
    for name, found in candidate.checks.items():
        console.print(f"check {plain(name)}: {plain(found)}", markup=False, highlight=False)
    _print_cost(console, candidate)
    console.print("\nlineage, from the candidate to the seed:")
    print_ancestors(console, history, candidate, full=False)
    log = _last_log(history, candidate)
    if curve := loss_curve(log):
        console.print(
            "\ntraining loss as it printed it, from start to end:", *(f"{v:.3f}" for v in curve), highlight=False
        )
    if log:
        tail = plain("\n".join(log[-LOG:].splitlines()[-LOG_LINES:]))
        console.print("\nlast log:", tail, sep="\n", markup=False, highlight=False)


def judged(candidate: Candidate) -> str:
    """What was measured, and whether that is what the hypothesis predicted; "" for the seed."""
    if candidate.index == 0:
        return ""
    effect, expected = candidate.effect, candidate.expected
    if expected is None:
        return verdict(candidate)
    predicted = f"predicted {expected:+.3f}, {verdict(candidate)}"
    if candidate.quarantined or effect is None:
        return f"{predicted}; the prediction was not tested"
    if effect.error is None:
        return f"{predicted}; its error is not known, so neither is whether the prediction came true"
    if abs(effect.delta - expected) <= 2 * effect.error:
        return f"{predicted}; as predicted, within two standard errors"
    if not effect.clear:
        return f"{predicted}; the predicted effect did not come"
    if effect.delta * expected < 0:
        return f"{predicted}; the opposite came"
    return f"{predicted}; it came, {'stronger' if abs(effect.delta) > abs(expected) else 'weaker'} than predicted"


def _stands(history: History, candidate: Candidate) -> str:
    """Where, how sure that is, and by how much it beats the seed."""
    found = standing(history, candidate)
    if found is None:
        return ""
    said = [STANDS[found] + (f" ({candidate.quarantined})" if candidate.quarantined else "")]
    if found == "infeasible" and candidate.fitness:
        said.append(f"{candidate.fitness.violation:.4f} above the seed's loss")
    if candidate.index:
        said.append("confirmed with three seeds" if candidate.confirmed else "not confirmed")
    if beats_seed(history, candidate):
        said.append("beats the seed by {:.4f}±{:.4f}".format(*gain(history, candidate)))
    return "; ".join(said)


def _numbers(history: History, candidate: Candidate) -> Grid:
    """Objectives and metrics, beside those of the nearest measured ancestor and of the seed."""
    ancestor, seed = history.measured_ancestor(candidate), history.seed
    others = [c for c in (ancestor, seed) if c and c is not candidate]
    others = others[:1] if ancestor is seed else others
    shown = [candidate, *others]
    heads = [Head("number", left=True, breaks="anywhere")]
    heads += [Head(f"{c.id} seed" if c.index == 0 else c.id, breaks="words", out=i) for i, c in enumerate(shown)]
    names = list(candidate.fitness.values) if candidate.fitness else []
    rows = []
    for name in names:
        found = [estimate(c, name) for c in shown]
        digits = decimals(filter(None, found))
        rows.append([plain(name), *(with_error(e, digits) for e in found)])
    further = sorted(set(candidate.metrics) - set(names))
    rows += [[plain(name), *(_metric(c.metrics.get(name)) for c in shown)] for name in further]
    return Grid(heads, rows)


def _knobs(history: History, candidate: Candidate) -> Grid | str:
    """Tuned numbers beside the first parent's and those that a person brought; only those that differ somewhere."""
    parent = history.candidates.get(candidate.parents[0]) if candidate.parents else None
    came = anchor(history, candidate) if candidate.operator == PERSON else None
    rows = []
    for knob in candidate.genome.knobs:
        value = candidate.params.get(knob.address, knob.default)
        theirs = parent.params.get(knob.address) if parent else None
        brought = came.get(knob.address) if came else None
        if value != knob.default or theirs not in (None, value) or brought not in (None, value):
            scale = "|".join(map(_short, knob.values)) or f"{_short(knob.low)}..{_short(knob.high)}"
            known = [_short(brought)] * bool(came) + [_short(theirs)] * bool(parent)
            rows.append([plain(knob.address), _short(value), *known, _short(knob.default), scale])
    if not rows:
        same = "the parent's and the program's own" if parent else "the program's own"
        return f"its {len(candidate.genome.knobs)} knobs have {same} values"
    heads = [Head("knob", left=True, breaks="anywhere"), Head(candidate.id), *[Head("brought")] * bool(came)]
    heads += [Head(f"parent {parent.id}", out=1)] if parent else []
    return Grid([*heads, Head("default", out=2), Head("range", out=3)], rows)


def _metric(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _short(value: Number | None) -> str:
    return "-" if value is None else f"{value:g}"


def _rungs(history: History, candidate: Candidate) -> Grid | None:
    """What it was trained at on the way up: the trials with their losses, and whether it went on from there."""
    owner = f"ask/{candidate.index}"
    trials = {n: trial for (name, n), trial in history.trials.items() if name == owner}
    rows = []
    for rung, purpose in dict.fromkeys(sorted((t.rung, t.purpose) for t in trials.values() if t.purpose != "smoke")):
        numbers = [n for n, t in trials.items() if (t.rung, t.purpose) == (rung, purpose)]
        outcomes = [history.outcomes[owner, n] for n in numbers if (owner, n) in history.outcomes]
        losses = [o.metrics[history.loss] for o in outcomes if o.status == "ok" and history.loss in o.metrics]
        answer = history.answers.get((owner, f"{rung:g}")) if purpose == "tune" and owner != SEED else None
        row = (
            f"{rung:g}",
            purpose,
            str(len(numbers)),
            str(sum(o.status != "ok" for o in outcomes) or "-"),
            " ".join(f"{loss:.4f}" for loss in losses) or "-",
            "-" if answer is None else "yes" if answer else "no",
        )
        rows.append(row)
    heads = [Head("budget", left=True), Head("for"), Head("trainings", out=2), Head("failed", out=1)]
    heads += [Head(history.loss, breaks="words"), Head("went on", out=3)]
    return Grid(heads, rows) if rows else None


def _print_cost(console: Console, candidate: Candidate) -> None:
    cost = candidate.cost
    asked = f"; asked for {cost.seconds:.1f} s" if cost.seconds >= 0.05 else ""
    asked += f", {cost.tokens:,} tokens in {cost.calls} calls" if cost.calls else ""
    asked += f", {cost.usd:.4f} USD" if cost.usd else ""
    console.print(f"charged: {candidate.seconds:,.1f} s in {candidate.trials} trials{asked}", highlight=False)


def _last_log(history: History, candidate: Candidate) -> str:
    """The log of the last trial that printed anything."""
    owner = f"ask/{candidate.index}"
    return next((o.log_tail for (name, _), o in reversed(history.outcomes.items()) if name == owner and o.log_tail), "")
