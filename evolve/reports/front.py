"""The Pareto front as a table, with the seed and the count baselines beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean, stdev

from rich.console import Console

from evolve.config import ConfigError
from evolve.correlation import of_objectives
from evolve.history import SEED, History
from evolve.isolation import UNISOLATED
from evolve.journal import plain
from evolve.model import Candidate
from evolve.objectives import SECONDS_TO_TARGET
from evolve.reports.columns import columns, estimate, grid_of, ordered
from evolve.reports.grid import Grid
from evolve.reports.standing import being_confirmed, knee, measured, standing
from evolve.reports.state import State
from evolve.reports.steadiness import print_unsteady

SIGNIFICANT = 2.0  # standard errors of the difference


def gain(history: History, candidate: Candidate) -> tuple[float, float]:
    """How much lower the loss is than the seed's, and the standard error of that difference."""
    seed = history.seed
    assert seed and seed.fitness and candidate.fitness
    ours, theirs = candidate.fitness.values[history.loss], seed.fitness.values[history.loss]
    return theirs.mean - ours.mean, math.hypot(ours.sem or 0.0, theirs.sem or 0.0)


def beats_seed(history: History, candidate: Candidate) -> bool:
    """Whether a confirmed candidate is better than the seed by two standard errors of the difference."""
    if candidate.index == 0 or not candidate.confirmed:
        return False
    difference, error = gain(history, candidate)
    return difference > SIGNIFICANT * error


@dataclass(frozen=True)
class View:
    """What of a front is shown, and in which order.

    `everybody`: all that were measured at the full budget, with their standing. `sort` names a column; without it the
    front has its best loss first, and everybody is by standing. `max_seconds` leaves out who reaches the target later,
    or not. `knee` picks one.
    """

    everybody: bool = False
    sort: str = ""
    max_seconds: float | None = None
    knee: bool = False


def print_front(
    console: Console,
    history: History,
    view: View = View(),  # noqa: B008, it is frozen
    state: State | None = None,
) -> None:
    """The front, the baselines and one sentence on whether anything beats the seed; the `state`, if known, first.

    Raises `ConfigError` for a view that makes no sense; then nothing was printed.
    """
    seed = history.seed
    table = _table(history, seed, view) if seed and seed.fitness else []
    if state:
        console.print(state.sentence, markup=False, highlight=False)
    if seed is None:
        console.print("The seed has not been measured yet: there is no front.")
        return
    if seed.fitness is None:
        console.print("The seed program failed, so there is no front: python -m evolve show seed says more.")
        return
    for part in table:
        console.print(part, markup=False, crop=False)
    print_weakness(console, history)
    _print_would_be(console, history, state.on if state else not history.stopped)
    if said := counts(history):
        console.print(said)
    console.print(correlations(history))
    if said := controls(history):
        console.print(said)
    print_unsteady(console, history)
    console.print(verdict(history))


def _table(history: History, seed: Candidate, view: View) -> list[str | Grid]:
    """What is printed of the front itself, in this order."""
    shown, said = chosen(history, view)
    all_columns = columns(history)
    rows = ordered(shown, all_columns, view.sort) if view.sort else shown
    of = "Measured at the full budget" if view.everybody else "Pareto front"
    title = f"{of}: mean±standard error of n trainings; time and speed-up to the seed's loss; lines changed"
    kept = [c for c in all_columns if view.everybody or c.name != "status"]
    return [title, grid_of([c for c in rows if c.index > 0], seed, kept, view.sort), "", *said]


def chosen(history: History, view: View) -> tuple[list[Candidate], list[str]]:
    """The candidates of a view, and what is to be said of the choice. Raises `ConfigError` if it makes no sense."""
    rows = measured(history) if view.everybody else list(history.front)
    said = []
    if view.max_seconds is not None:
        rows = _within(history, rows, view.max_seconds)
        if not [c for c in rows if c.index]:
            said.append(_nobody_within(history, view.max_seconds))
    if view.knee:
        members = [c for c in rows if standing(history, c) == "front"]
        if not members:
            raise ConfigError("there is no knee: no member of the front is left to choose from")
        picked, why = knee(members, history.search.objectives)
        said.append(f"Knee: {picked.id}, {why}.")
        rows = [picked]
    return rows, said


def _within(history: History, rows: list[Candidate], seconds: float) -> list[Candidate]:
    """Those that are known to reach the target in so many seconds."""
    if not 0 < seconds < math.inf:
        raise ConfigError(f"--max-seconds must be a number above 0, not {seconds:g}")
    if SECONDS_TO_TARGET not in {o.name for o in history.search.objectives}:
        raise ConfigError(f"--max-seconds needs the objective {SECONDS_TO_TARGET}, which this run does not have")
    return [c for c in rows if (value := estimate(c, SECONDS_TO_TARGET)) and value.mean <= seconds]


def _nobody_within(history: History, seconds: float) -> str:
    known = [(e.mean, c.id) for c in history.front if (e := estimate(c, SECONDS_TO_TARGET))]
    soonest = " The soonest of the front is {1}, in {0:.3g} s.".format(*min(known)) if known else ""
    return f"Nobody is known to reach the target within {seconds:g} s.{soonest}"


def _print_would_be(console: Console, history: History, on: bool) -> None:
    """Who may enter the front, but was not trained often enough. `on`: a process works on the run."""
    if waiting := being_confirmed(history):
        said = ", ".join(f"{name} ({mean:.4f} of {n})" for name, (mean, n) in waiting.items())
        what = "Waiting for confirmation" if on else "Left unfinished before confirmation"
        more = "" if on else "; `resume` goes on with them"
        console.print(f"{what}, {history.loss} so far and of how many trainings: {said}{more}.")
    if once := [c.id for c in history.candidates.values() if standing(history, c) == "unconfirmed"]:
        console.print(f"Measured too seldom to be on the front, and not dominated: {', '.join(once)} (--all).")


def print_weakness(console: Console, history: History) -> None:
    """A line for a run of which some process isolated the programs less than the first, or not; nothing for others."""
    if said := history.weakness:
        more = ": programs could reach files and processes" if said == UNISOLATED else ""
        console.print(f"{said[0].upper()}{said[1:]} (--unsafe-no-sandbox){more}.", markup=False, highlight=False)


def counts(history: History) -> str:
    """What models that only count reach on the same text; "" where the judge does not say it."""
    baselines = history.harness.get("baselines") or {}
    said = ", ".join(f"{plain(name)} {value:.3f}" for name, value in baselines.items())
    return f"Count models on the same text, in {history.loss}: {said}." if said else ""


def correlations(history: History) -> str:
    """Whether the objectives agree, and whether a low rung tells what a high one will say."""
    names = [o.name for o in history.search.objectives]
    rungs = [f"{r:g}" for r in history.header["rungs"]]
    found = {f"{names[0]} and {name}": of_objectives(history.candidates.values(), names[0], name) for name in names[1:]}
    found |= {f"rungs {low} and 1": history.rung_correlation(low, "1") for low in rungs[:-1]}
    parts = [f"{label} {c.rho:.2f} (n={c.n})" for label, c in found.items() if c]
    return "Rank correlations: " + (", ".join(parts) or "too few candidates yet") + "."


def controls(history: History) -> str:
    """What the seed gives when it is run again and again, beside what it gave at first; "" before the first time."""
    ok = [o.metrics[history.loss] for o in history.controls if o.status == "ok"]
    first = history.study(SEED).trials
    if not ok or not first or first[0][1] is None:
        return ""
    at, failed = f"{history.all_rungs[0]:g}", len(history.controls) - len(ok)
    again = f"{fmean(ok):.4f}" + (f" with a standard deviation of {stdev(ok):.4f}" if len(ok) > 1 else "")
    return (
        f"Control: the seed at {at} of the budget gave {first[0][1]:.4f} at first and {again} in {len(ok)} "
        + ("runs since" if len(ok) > 1 else "run since")
        + (f"; {failed} more failed." if failed else ".")
    )


def verdict(history: History) -> str:
    """Whether the best of the front beats the seed, in one sentence."""
    winners = [c for c in history.front if beats_seed(history, c)]
    if not winners:
        return f"Nothing beats the seed by {SIGNIFICANT:g} standard errors (after {history.finished} candidates)."
    best = winners[0]
    difference, error = gain(history, best)
    errors = f"{difference / error:.0f} standard errors" if error else "no spread"
    return f"{best.id} beats the seed by {difference:.4f} ± {error:.4f} in {history.loss} ({errors})."
