"""Whether our NSGA-II is NSGA-II: hypervolume on ZDT problems, beside deap's, Optuna's and pymoo's.

    python -m benchmarks.calibrate -o DIR [--seeds 11] [--evaluations 2000] [--population 40] [--without pymoo]

Said before the results that are kept (a pilot, two seeds on zdt1, had been seen). With equal operators and evaluations,
the hypervolume of `ours` (by generations) is within 1 % of the ideal front's of each other implementation: the 95 %
interval of the difference of the means lies within that margin. `steady` (a child at a time, as in a run) is not worse
than any by more than that, and rather ahead (Durillo, Nebro, Luna & Alba 2009, "On the effect of the steady-state
selection scheme in multi-objective genetic algorithms", EMO). The reference point is (1.1, 10), fixed.

Not measured by this command: the regret of the methods on `benchmarks.tasks.synthetic` is expected to be ordered
    random > random with early stopping (Li et al. 2020, ASHA; Li et al. 2018, Hyperband: faster where rungs correlate)
    random > TPE (Bergstra et al. 2011), on the same numbers, and with more budget
    methods on numbers alone > regularised evolution (Real et al. 2019) on structure, since numbers alone reach about
    a third of the gain there
and local search ends in front of `gate`, whose partners have to be there first.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy import stats

from benchmarks.calibration.zdt import METHODS, OBJECTIVES, PROBLEMS, Values, candidate, ideal_front
from evolve.config import ConfigError
from evolve.model import Estimate, Fitness
from evolve.selection import hypervolume

REFERENCE = Fitness({"f1": Estimate(1.1, 1), "f2": Estimate(10.0, 1)})
MARGIN = 0.01  # of the hypervolume of the ideal front
OURS = ("ours", "steady")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=11)
    parser.add_argument("--evaluations", type=int, default=2000)
    parser.add_argument("--population", type=int, default=40, help="divisible by four, as deap asks")
    parser.add_argument("--without", action="append", default=[], help="an implementation that is left out")
    options = parser.parse_args()
    try:
        if options.seeds < 2 or options.population % 4 or options.evaluations < options.population:
            raise ConfigError("--seeds from 2 on, --population divisible by 4, --evaluations at least as many")
        methods = [name for name in METHODS if name not in options.without]
        found = measure(methods, range(options.seeds), options.population, options.evaluations)
    except ConfigError as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return 2
    options.output.mkdir(parents=True, exist_ok=True)
    settings = {k: v for k, v in vars(options).items() if k != "output"}
    (options.output / "zdt.json").write_text(json.dumps({"settings": settings, "hypervolumes": found}, indent=1) + "\n")
    (options.output / "zdt.md").write_text(report(found, options))
    print((options.output / "zdt.md").read_text())
    return 0


def measure(
    methods: Sequence[str], seeds: Sequence[int], population: int, evaluations: int
) -> dict[str, dict[str, list[float]]]:
    """Hypervolumes by problem and method, one a seed, as shares of the ideal front's. Raises `ConfigError`."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, problem in PROBLEMS.items():
        ideal = volume(ideal_front(name))
        found[name] = {}
        for method in methods:
            runs = [METHODS[method](problem, population, evaluations, seed) for seed in seeds]
            found[name][method] = [volume(points) / ideal for points in runs]
    return found


def volume(points: Sequence[Values]) -> float:
    """What these points dominate."""
    return hypervolume([candidate(i, values) for i, values in enumerate(points)], OBJECTIVES, REFERENCE)


def compare(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float, str]:
    """Difference of the means, its 95 % interval (Welch) and what that says against the margin."""
    found = stats.ttest_ind(ours, theirs, equal_var=False)
    low, high = found.confidence_interval()
    difference = sum(ours) / len(ours) - sum(theirs) / len(theirs)
    if low > -MARGIN and high < MARGIN:
        verdict = "equal"
    elif low > 0:
        verdict = "ahead"
    elif high < 0:
        verdict = "behind"
    else:
        verdict = "cannot be told"
    return difference, float(low), float(high), verdict


def report(found: dict[str, dict[str, list[float]]], options: Any) -> str:
    """The table as Markdown."""
    lines = [
        f"# NSGA-II on ZDT: hypervolume as a share of the ideal front's, {options.seeds} seeds",
        "",
        f"{options.evaluations} evaluations, population {options.population}. `equal`: the 95 % interval of the "
        f"difference lies within {MARGIN:.0%} of the ideal hypervolume.",
        "",
        "| problem | implementation | mean ± sd | ours - it (95 %) | | steady - it (95 %) | |",
        "|---|---|--:|--:|---|--:|---|",
    ]
    for problem, methods in found.items():
        for method, values in methods.items():
            cells = [problem, method, f"{stats.tmean(values):.4f} ± {stats.tstd(values):.4f}"]
            for mine in OURS:
                if method in OURS:
                    cells += ["", ""]
                else:
                    difference, low, high, verdict = compare(methods[mine], values)
                    cells += [f"{difference:+.4f} ({low:+.4f} to {high:+.4f})", verdict]
            lines.append(f"| {' | '.join(cells)} |")
    if options.without:
        lines += ["", f"Left out: {', '.join(options.without)}."]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
