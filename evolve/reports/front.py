"""The Pareto front as a table, with the seed and the count baselines beside it."""

from __future__ import annotations

import math
from difflib import SequenceMatcher
from statistics import fmean, stdev

from rich.console import Console
from rich.table import Table

from evolve.correlation import of_objectives
from evolve.history import SEED, History
from evolve.isolation import UNISOLATED
from evolve.model import Candidate, Estimate
from evolve.objectives import SECONDS_TO_TARGET

SIGNIFICANT = 2.0  # standard errors of the difference


def with_error(value: Estimate | None, digits: int = 4) -> str:
    """`3.1415±0.0012 (3)`: mean, standard error and n; `<` before a censored mean."""
    if value is None:
        return "-"
    error = f"±{value.sem:.{digits}f}" if value.sem is not None else ""
    return f"{'<' if value.censored else ''}{value.mean:.{digits}f}{error} ({value.n})"


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


def lines_changed(before: str, after: str) -> int:
    """Lines added plus lines removed."""
    blocks = SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False).get_opcodes()
    return sum((i2 - i1) + (j2 - j1) for kind, i1, i2, j1, j2 in blocks if kind != "equal")


def front_table(history: History) -> Table:
    """One row for each member of the front, best loss first, then the seed."""
    seed = history.seed
    assert seed is not None
    names = [o.name for o in history.search.objectives if o.name not in (history.loss, SECONDS_TO_TARGET)]
    table = Table(
        title="Pareto front: mean±standard error (seeds); memory above the start of a box; lines changed",
        title_justify="left",
    )
    for column in ("id", history.loss, "s to target", "speed-up", "tokens/s", "MB", *names, "lines", "by", "of"):
        table.add_column(column, justify="left" if column in ("id", "by", "of") else "right")
    for candidate in [*(c for c in history.front if c.index > 0), seed]:
        table.add_row(*_row(history, seed, candidate, names))
    return table


def _row(history: History, seed: Candidate, candidate: Candidate, names: list[str]) -> list[str]:
    assert candidate.fitness is not None
    values, metrics = candidate.fitness.values, candidate.metrics
    seconds = values.get(SECONDS_TO_TARGET)
    budget = float(history.header["settings"]["budget"])
    return [
        candidate.id + (" seed" if candidate.index == 0 else ""),
        with_error(values.get(history.loss)),
        with_error(seconds, 2),
        f"{'>' if seconds.censored else ''}{budget / seconds.mean:.2f}x" if seconds else "-",
        f"{metrics['tokens_per_second']:,.0f}" if "tokens_per_second" in metrics else "-",
        f"{metrics['peak_memory_mb']:,.0f}" if "peak_memory_mb" in metrics else "-",
        *(with_error(values.get(name)) for name in names),
        str(lines_changed(seed.genome.source, candidate.genome.source)),
        candidate.operator,
        " ".join(candidate.parents) or "-",
    ]


def print_front(console: Console, history: History) -> None:
    """The front, the baselines and one sentence on whether anything beats the seed."""
    if history.seed is None or history.seed.fitness is None:
        console.print("The seed has not been measured yet: there is no front.")
        return
    console.print(front_table(history))
    print_weakness(console, history)
    if baselines := history.harness.get("baselines"):
        counts = ", ".join(f"{name} {value:.3f}" for name, value in baselines.items())
        console.print(f"Count models on the same text, in {history.loss}: {counts}.")
    console.print(correlations(history))
    if said := controls(history):
        console.print(said)
    console.print(verdict(history))


def print_weakness(console: Console, history: History) -> None:
    """A line for a run of which some process isolated the programs less than the first, or not; nothing for others."""
    if said := history.weakness:
        more = ": programs could reach files and processes" if said == UNISOLATED else ""
        console.print(f"{said[0].upper()}{said[1:]} (--unsafe-no-sandbox){more}.", markup=False, highlight=False)


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
