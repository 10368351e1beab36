"""Whether methods are ordered as the literature orders them, by regret on `benchmarks.tasks.synthetic`.

The optimum is known there, so the regret is exact: what a method would hand over at a time is the confirmed member of
its front with the least claimed loss, and how far that is above the optimum is computed without noise. A lucky
measurement helps nobody. Expected, and written down before the runs that are kept:

    the seed program again > random search > random search with early stopping (Li et al. 2020; Li et al. 2018)
    random search > TPE (Bergstra et al. 2011) on the same numbers, and with more budget
    methods on numbers alone > regularised evolution (Real et al. 2019) on structure, at the end of the budget, since
    numbers alone reach about a third of the gain there
    a population of one > ours, since `gate` and `dropout` are dead ends; ours without new structures > ours
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.comparison import runner, several
from benchmarks.tasks.synthetic import SEED, TASK, regret
from evolve.reports.open import history_of, read_events

SHARES = (0.1, 0.25, 0.5, 1.0)  # of the budget, at which regrets are compared
EXPECTED = (  # worse, better, at which of `SHARES`
    ("seed", "random", 1.0),
    ("random", "asha", 0.25),
    ("random", "hyperband", 0.25),
    ("random", "tpe", 1.0),
    ("tpe", "regularised_evolution", 1.0),
    ("random", "regularised_evolution", 1.0),
    ("no_population", "ours", 1.0),
    ("no_structure", "ours", 1.0),
)
Found = Mapping[str, Sequence[Sequence[float]]]  # by method, of each seed at all `SHARES`


def main(options: Namespace) -> str:
    """Run what is missing and write tables; returns that in Markdown. Raises `ConfigError` or `StoreError`."""
    total = options.budget or TASK.total
    several.run(
        Namespace(
            methods=options.methods,
            tasks=[TASK.name],
            seeds=options.seeds,
            budget=total,
            jobs=options.jobs,
            output=options.runs,
        )
    )
    times = [share * total for share in SHARES]
    found = {
        method: [
            regrets(runner.place_of(method, TASK, seed, options.runs), times) for seed in range(1, options.seeds + 1)
        ]
        for method in options.methods
    }
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "regret.json").write_text(json.dumps({"total": total, "regrets": found}) + "\n")
    text = report(found, total)
    (options.output / "regret.md").write_text(text)
    return text


def regrets(directory: Path, times: Sequence[float]) -> list[float]:
    """Of a recorded run, at each of these charged seconds; at first it is the seed program's.

    Raises `StoreError` or `ConfigError` as `read_events` does.
    """
    steps = [(0.0, regret(SEED, {}))]
    events = read_events(directory)
    history = history_of(events[:1])
    for event in events[1:]:
        history.replay([event])
        if event.kind == "tell" and history.front:
            best = history.front[0]
            steps.append((history.charged, round(regret(best.genome, best.params), 5)))
    return [next(value for charged, value in reversed(steps) if charged <= time) for time in times]


def report(found: Found, total: float) -> str:
    """The tables as Markdown: regrets by method, least at the end first, and what became of the expectations."""
    means = {method: np.mean(runs, axis=0) for method, runs in found.items()}
    deviations = {method: np.std(runs, axis=0, ddof=1) for method, runs in found.items()}
    seeds = len(next(iter(found.values())))
    lines = [
        f"# Regret on the task with a known optimum, {seeds} seeds of {total:g} charged seconds",
        "",
        f"Mean ± standard deviation over seeds; the seed program's is {regret(SEED, {}):.3f}.",
        "",
        f"| method | {' | '.join(f'at {share:.0%}' for share in SHARES)} |",
        f"|---|{'--:|' * len(SHARES)}",
    ]
    for method in sorted(found, key=lambda name: float(means[name][-1])):
        cells = [f"{mean:.3f} ± {sd:.3f}" for mean, sd in zip(means[method], deviations[method], strict=True)]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    lines += ["", "| expected to be worse | than | at | difference (95 %, paired by seed) | |", "|---|---|--:|--:|---|"]
    lines += [
        f"| {worse} | {better} | {share:.0%} | {_difference(found, worse, better, SHARES.index(share))} |"
        for worse, better, share in EXPECTED
        if worse in found and better in found
    ]
    return "\n".join([*lines, ""])


def _difference(found: Found, worse: str, better: str, at: int) -> str:
    """By how much the regret is larger, with Student's interval, and whether that is as expected."""
    pairs = zip(found[worse], found[better], strict=True)
    differences = [one[at] - other[at] for one, other in pairs]
    mean = float(np.mean(differences))
    low, high = stats.ttest_1samp(differences, 0.0).confidence_interval() if np.ptp(differences) else (mean, mean)
    verdict = "as expected" if low > 0 else "the opposite" if high < 0 else "cannot be told"
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f}) | {verdict}"
