"""Whether our NSGA-II equals others on ZDT problems: hypervolumes over many seeds, and what they say.

The claim: with equal operators, tournaments and evaluations, the mean hypervolume of `ours` (by generations) equals
that of `pymoo`: the 95 % interval of the difference (Welch) lies within 1 % of the hypervolume of the ideal front, a
margin set before any result that is kept. `steady` (a child at a time) is not worse than any by more than that, and
rather ahead (Durillo, Nebro, Luna & Alba 2009, "On the effect of the steady-state selection scheme in multi-objective
genetic algorithms", EMO). The reference point is (1.1, 10), fixed. The same difference in standard deviations over
seeds (Cohen's d) says how it compares with the luck of one run.

That tournaments by dominance (`deap`, `pymoo_default`, `optuna`) differ from those by rank was found, not expected.
"""

from __future__ import annotations

import json
import math
from argparse import Namespace
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from scipy import stats

from benchmarks.calibration.zdt import METHODS, OBJECTIVES, PROBLEMS, Values, candidate, ideal_front
from evolve.config import ConfigError
from evolve.model import Estimate, Fitness
from evolve.selection import hypervolume

REFERENCE = Fitness({"f1": Estimate(1.1, 1), "f2": Estimate(10.0, 1)})
MARGIN = 0.01  # of the hypervolume of the ideal front
OURS = ("ours", "steady")
Found = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True)
class Difference:
    """Of two means, with its 95 % interval and the pooled standard deviation of a run."""

    mean: float
    low: float
    high: float
    deviation: float

    @property
    def verdict(self) -> str:
        """What it says against the margin."""
        if self.low > -MARGIN and self.high < MARGIN:
            return "equal"
        return "ahead" if self.low > 0 else "behind" if self.high < 0 else "cannot be told"

    def __str__(self) -> str:
        times = self.mean / self.deviation if self.deviation else math.nan
        return f"{self.mean:+.4f} ({self.low:+.4f} to {self.high:+.4f}), {times:+.2f} sd"


def main(options: Namespace) -> str:
    """Measure and write tables; returns that in Markdown. Raises `ConfigError`."""
    if options.seeds < 2 or options.population % 4 or options.evaluations < options.population:
        raise ConfigError("--seeds from 2 on, --population divisible by 4, --evaluations at least as many")
    methods = [name for name in METHODS if name not in options.without]
    found = measure(methods, range(options.seeds), options.population, options.evaluations, options.jobs)
    settings = {key: getattr(options, key) for key in ("seeds", "evaluations", "population", "without")}
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "zdt.json").write_text(json.dumps({"settings": settings, "hypervolumes": found}, indent=1) + "\n")
    text = report(found, options)
    (options.output / "zdt.md").write_text(text)
    return text


def measure(
    methods: Sequence[str], seeds: Sequence[int], population: int, evaluations: int, jobs: int = 1
) -> dict[str, dict[str, list[float]]]:
    """Hypervolumes by problem and method, one a seed, as shares of the ideal front's. Raises `ConfigError`."""
    every = [(name, method, population, evaluations, seed) for name in PROBLEMS for method in methods for seed in seeds]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        volumes = iter(list((pool.map if jobs > 1 else map)(_share, every)))
    return {name: {method: [next(volumes) for _ in seeds] for method in methods} for name in PROBLEMS}


def _share(what: tuple[str, str, int, int, int]) -> float:
    """Of one run."""
    name, method, population, evaluations, seed = what
    points = METHODS[method](PROBLEMS[name], population, evaluations, seed)
    return round(volume(points) / volume(ideal_front(name)), 5)


def volume(points: Sequence[Values]) -> float:
    """What these points dominate."""
    return hypervolume([candidate(i, values) for i, values in enumerate(points)], OBJECTIVES, REFERENCE)


def compare(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """Of `ours` from `theirs`."""
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    deviation = math.sqrt((np.var(ours, ddof=1) + np.var(theirs, ddof=1)) / 2)
    return Difference(float(np.mean(ours) - np.mean(theirs)), float(interval.low), float(interval.high), deviation)


def report(found: Found, options: Namespace) -> str:
    """The table as Markdown."""
    lines = [
        f"# NSGA-II on ZDT: hypervolume as a share of the ideal front's, {options.seeds} seeds",
        "",
        f"{options.evaluations} evaluations, population {options.population}. `equal`: the 95 % interval of the "
        f"difference lies within {MARGIN:.0%} of the ideal hypervolume. sd: standard deviations of a run, over seeds.",
        "",
        "| problem | implementation | mean ± sd | ours - it (95 %) | | steady - it (95 %) | |",
        "|---|---|--:|--:|---|--:|---|",
    ]
    for problem, methods in found.items():
        for method, values in methods.items():
            cells = [problem, method, f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"]
            for mine in OURS:
                difference = None if method in OURS or mine not in methods else compare(methods[mine], values)
                cells += [str(difference), difference.verdict] if difference else ["", ""]
            lines.append(f"| {' | '.join(cells)} |")
    if options.without:
        lines += ["", f"Left out: {', '.join(options.without)}."]
    return "\n".join([*lines, ""])
