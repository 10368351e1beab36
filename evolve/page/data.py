"""What the page says of a run as a whole, as plain values. No HTML, and nothing of single individuals."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.history import History
from evolve.journal import cut, plain
from evolve.model import Candidate, Estimate
from evolve.objectives import SECONDS_TO_TARGET
from evolve.reports.columns import columns
from evolve.reports.cost import PER_SECONDS, Spent, by_model, by_operator, by_purpose
from evolve.reports.failures import alike, groups
from evolve.reports.front import beats_seed, controls, correlations, counts, gain, verdict
from evolve.reports.proposals import COLUMNS, Fate, fates, ideas
from evolve.reports.state import CURE, State, state_of
from evolve.reports.steadiness import unsteady
from evolve.tuner import importance

NOTHING = ("failed", "rejected", "duplicate")  # what came to nothing
REASON = 100  # characters of a reason that failures are counted by
EXAMPLES = 5  # individuals named for each reason
MOST_REASONS = 20
MOST_KNOBS = 20
MOST_ROWS = 100  # of the table of the front, and of that of the notes


@dataclass(frozen=True)
class Table:
    """Column names and rows of text; the first column is a name, the others are numbers. `more` rows found no room."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    more: int = 0


@dataclass(frozen=True)
class Failure:
    """How often children failed for one reason, and the ids of the first that did."""

    reason: str
    count: int
    examples: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Everything beside the plots and the individuals. `measured`: the seed has a fitness, so there is a front."""

    directory: str
    state: State
    measured: bool
    headline: str
    tiles: Sequence[tuple[str, str, str]]
    remarks: Sequence[str]
    weakness: str
    front: Table
    operators: Table
    costs: Table
    models: Table
    spent: Table
    ideas: Table
    failures: Sequence[Failure]
    importance: Sequence[tuple[str, float]]
    setup: Sequence[tuple[str, str]]


def facts_of(directory: Path, history: History) -> Facts:
    """The facts of the run in `directory`, of which `history` was read."""
    measured = history.seed is not None and history.seed.fitness is not None
    state = state_of(directory, history)
    made, spent = fates(history), by_operator(history)
    return Facts(
        directory=plain(str(directory)),
        state=state,
        measured=measured,
        headline=_headline(history, state) if measured else _nothing(history),
        tiles=_tiles(history) if measured else (),
        remarks=_remarks(history) if measured else (),
        weakness=history.weakness,
        front=_front(history) if measured else Table((), ()),
        operators=_operators(made),
        costs=_costs(history, spent),
        models=_costs(history, by_model(spent)),
        spent=_spent(history),
        ideas=_ideas(history),
        failures=_failures(history.candidates.values()),
        importance=importances(history)[:MOST_KNOBS],
        setup=_setup(directory, history),
    )


def importances(history: History) -> list[tuple[str, float]]:
    """How much of the loss each knob explains in the studies of the run, 0 to 1, the most important first."""
    studies = ((c.genome.knobs, history.study(f"ask/{c.index}")) for c in history.candidates.values())
    found = importance(studies)
    return sorted(((plain(address), share) for address, share in found.items()), key=lambda pair: -pair[1])


def _nothing(history: History) -> str:
    if history.seed is None:
        return "Nothing is measured yet: the seed program, which everything is compared with, comes first."
    return f"The seed program has no score, so nothing can be compared with it: {cut(history.seed.reason, 300)}."


def _headline(history: History, state: State) -> str:
    """What was found, in one or two sentences."""
    winners = [c for c in history.front if beats_seed(history, c)]
    if not winners:
        return verdict(history)
    best, said = winners[0], f"Individual {verdict(history)}"
    value = best.fitness.values.get(SECONDS_TO_TARGET) if best.fitness else None
    if value is not None:
        times = float(history.header["settings"]["budget"]) / value.mean
        more = "more than " if value.censored else ""
        said += f" It reaches the seed's loss {more}{times:.1f} times sooner."
    return said + (" The run goes on: this may change." if state.on else "")


def _tiles(history: History) -> list[tuple[str, str, str]]:
    """Label, number and what it rests on."""
    seed, best = history.seed, history.front[0] if history.front else history.seed
    assert seed and seed.fitness and best and best.fitness
    loss = best.fitness.values[history.loss]
    tiles = [(f"best {history.loss}", f"{loss.mean:.4f}", f"{_error(loss.sem, 4)}, {_seeds(loss.n)}")]
    if best.index and best.confirmed:
        difference, error = gain(history, best)
        tiles.append(("below the seed program", f"{difference:.4f}", _error(error, 4)))
    fastest = [c for c in history.front if c.fitness and SECONDS_TO_TARGET in c.fitness.values]
    if fastest:
        quick = min(fastest, key=_seconds)
        value, budget = _estimate(quick), float(history.header["settings"]["budget"])
        more = ">" if value.censored else ""
        tiles.append(("fastest to the seed's loss", f"{more}{budget / value.mean:.1f}×", f"individual {quick.id}"))
    out = sum(bool(c.quarantined) for c in history.candidates.values())
    tiles += [
        (
            "on the front",
            str(len(history.front)),
            f"of {sum(c.confirmed for c in history.candidates.values())} confirmed",
        ),
        (
            "measured",
            f"{history.finished:,}",
            f"of {len(history.candidates) - 1:,} children" + (f", {out} in quarantine" if out else ""),
        ),
        ("charged", duration(history.charged), f"in {duration(history.wall)} of wall-clock time"),
    ]
    return tiles


def _estimate(candidate: Candidate) -> Estimate:
    assert candidate.fitness is not None
    return candidate.fitness.values[SECONDS_TO_TARGET]


def _seconds(candidate: Candidate) -> float:
    return _estimate(candidate).mean


def _error(sem: float | None, digits: int) -> str:
    return "no spread" if sem is None else f"± {sem:.{digits}f}"


def duration(seconds: float) -> str:
    """`3 h 42 min`, `14 min 4 s` or `44 s`: with units, so that no two can be mistaken for each other."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _seeds(n: int) -> str:
    return f"{n} seed" + ("s" if n != 1 else "")


def _remarks(history: History) -> list[str]:
    """How sure that is, and what to make of it."""
    found = [counts(history), correlations(history), controls(history), *unsteady(history)]
    if history.seed and (sd := history.noise(1.0)):
        found.append(
            f"At the full budget, trainings of the same program vary with a standard deviation (sd) of {sd:.4f}."
        )
    found.append(
        "Members of the front were trained with three seeds, but the first of these chose them: "
        "python -m benchmarks.confirm measures the best anew, with fresh seeds and on text that no search opens."
    )
    return [said for said in found if said]


def _front(history: History) -> Table:
    """As the terminal's table: a row for each member, best loss first, then the seed."""
    assert history.seed is not None
    shown = [c for c in columns(history) if c.name != "status"]
    members = [c for c in history.front if c.index]
    kept = [*members[:MOST_ROWS], history.seed]
    rows = [[c.id, *(plain(column.text(c)) for column in shown[1:])] for c in kept]
    return Table([column.name.replace("_", " ") for column in shown], rows, len(members[MOST_ROWS:]))


def _operators(made: dict[str, list[Fate]]) -> Table:
    """How far the proposals of each operator came; a column counts those that came at least so far."""
    rows = [
        [plain(name), *(str(sum(f.reached >= n for f in found)) for n in range(1, len(COLUMNS) + 1))]
        for name, found in made.items()
    ]
    return Table(["operator", *COLUMNS], rows)


def _costs(history: History, spent: Sequence[Spent]) -> Table:
    """What was spent by whom, with the confirmed gain for it."""
    total = history.charged or 1.0
    rows = [
        [
            plain(s.name),
            f"{s.children:,}" if s.children else "-",
            f"{s.charged:,.0f}",
            f"{s.charged / total:.0%}",
            f"{s.cost.tokens:,}" if s.cost.tokens else "-",
            f"{s.cost.usd:.2f}" if s.cost.usd else "-",
            f"{s.gain:.4f}" if s.gain else "-",
            f"{s.gain / s.charged * PER_SECONDS:.4f}" if s.gain and s.charged else "-",
        ]
        for s in spent
    ]
    per = f"gain per {PER_SECONDS:,.0f} s"
    return Table(("by", "children", "charged s", "share", "tokens", "USD", "confirmed gain", per), rows)


def _spent(history: History) -> Table:
    """What trials were charged, by their purpose."""
    failed: Counter[str] = Counter()
    for place, outcome in history.outcomes.items():
        failed[history.trials[place].purpose] += outcome.status != "ok"
    total = history.charged or 1.0
    rows = [
        [purpose, f"{n:,}", f"{failed[purpose]:,}", f"{seconds:,.0f}", f"{seconds / total:.0%}"]
        for purpose, (n, seconds) in by_purpose(history).items()
    ]
    return Table(("purpose", "trials", "without a score", "charged s", "share"), rows)


def _ideas(history: History) -> Table:
    found = ideas(history)
    rows = [[cut(name, REASON), str(n), str(better), f"{mean:+.4f}"] for name, n, better, mean in found[:MOST_ROWS]]
    return Table(("note", "children", "improved", "mean effect"), rows, len(found[MOST_ROWS:]))


def _failures(candidates: Iterable[Candidate]) -> list[Failure]:
    """Children that failed or were refused, repeated or taken out, alike ones together, the most frequent first."""
    found = groups((c for c in candidates if c.quarantined or c.verdict in NOTHING), _why)
    shown = [Failure(g.reason, len(g.members), [c.id for c in g.members[:EXAMPLES]]) for g in found[:MOST_REASONS]]
    if rest := found[MOST_REASONS:]:
        ids = [g.members[0].id for g in rest[:EXAMPLES]]
        shown.append(Failure(f"{len(rest)} other reasons", sum(len(g.members) for g in rest), ids))
    return shown


def _why(candidate: Candidate) -> str:
    if candidate.quarantined:
        return f"quarantined: {cut(candidate.quarantined, REASON)}"
    if candidate.verdict == "duplicate":
        return "seen before: has the structure of another"
    return f"{candidate.verdict}: {alike(candidate.reason)}"


def _setup(directory: Path, history: History) -> list[tuple[str, str]]:
    """How the run was set up: what a person needs to repeat or to continue it."""
    header, judge = history.header, history.harness
    settings = header["settings"]
    corpus, limits = judge.get("corpus") or {}, judge.get("limits") or {}
    operators = ", ".join(f"{name} {weight:g}" for name, weight in settings.get("operators", {}).items())
    objectives = ", ".join(f"{o.name} ({o.direction})" for o in history.search.objectives)
    rows = [
        (
            "target",
            f"{header.get('target', settings.get('target', ''))}, fingerprint {settings.get('fingerprint', '-')}",
        ),
        ("objectives", objectives),
        ("scale", f"{settings.get('scale', '-')}, {float(settings['budget']):g} charged seconds a full trial"),
        ("rungs", ", ".join(f"{rung:g}" for rung in history.all_rungs)),
        ("text", f"{corpus.get('name', '-')}, SHA-256 {corpus.get('sha256') or settings.get('corpus') or '-'}"),
        ("device", str(judge.get("device", "-"))),
        ("isolation", str(judge.get("isolation", "-"))),
        ("operators", operators),
        ("language models", ", ".join(settings.get("models", ())) or "none"),
        ("search", _search(settings)),
        ("limits", ", ".join(f"{name} {value:g}" for name, value in limits.items() if value) or "-"),
        ("versions", _versions({**(judge.get("versions") or {}), **(judge.get("packages") or {})})),
        ("sessions", _sessions(history)),
        ("to continue", f"{CURE} {shlex.quote(str(directory))}"),
    ]
    return [(label, plain(said)) for label, said in rows if said]


def _search(settings: dict[str, Any]) -> str:
    parts: list[tuple[str, Callable[[Any], str]]] = [
        ("seed", str),
        ("population", str),
        ("offspring", lambda n: f"{n} a generation"),
        ("tune_trials", lambda n: f"{n} at the low rung"),
    ]
    return ", ".join(f"{name.replace('_', ' ')} {said(settings[name])}" for name, said in parts if name in settings)


def _versions(versions: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _sessions(history: History) -> str:
    spans = [f"{duration(end - start)} on {slots} slots" for start, end, slots in history.sessions]
    lost = history.statuses["lost"]
    return f"{len(spans)}: " + ", ".join(spans[-8:]) + (f"; {lost} trials lost and repeated" if lost else "")
