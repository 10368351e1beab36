"""How often a short run finds something: one row a run, and how many beat the seed program by two standard errors.

for s in 0 1 2 3 4 5 6 7 8 9; do
    python -m evolve --generations 3 --budget 8 --seed $s --run-dir runs/three/$s
done
python -m benchmarks.seeds runs/three/* [-o FILE]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median

from evolve.config import ConfigError
from evolve.history import History
from evolve.reports.columns import with_error
from evolve.reports.front import beats_seed, gain
from evolve.reports.open import open_history
from evolve.reports.progress import clock
from evolve.store import StoreError

HEAD = "| run seed | candidates | charged s | wall | seed program | best of the front | gain | standard errors |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run_dirs", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, help="a file for the table")
    options = parser.parse_args()
    try:
        histories = [open_history(directory) for directory in options.run_dirs]
        text = report(histories)
    except (ConfigError, StoreError) as error:
        print(f"seeds: {error}", file=sys.stderr)
        return 2
    print(text)
    if options.output:
        options.output.write_text(text)
    return 0


def report(histories: list[History]) -> str:
    """The table as Markdown. Raises `ConfigError` for a run whose seed program was not measured."""
    rows = [row(history) for history in sorted(histories, key=lambda h: int(h.header["settings"]["seed"]))]
    found = sum(any(beats_seed(h, c) for c in h.front) for h in histories)
    wall = clock(median(h.wall for h in histories))
    slots = " or ".join(sorted({str(h.harness["slots"]) for h in histories}))
    last = (
        f"{found} of {len(histories)} runs beat the seed program by two standard errors of the difference. "
        f"Median wall clock {wall} on {slots} slots."
    )
    return "\n".join([HEAD, "|--:" * 4 + "|---|---|--:|--:|", *rows, "", last, ""])


def row(history: History) -> str:
    seed, best = history.seed, history.front[0] if history.front else None
    if seed is None or seed.fitness is None or best is None or best.fitness is None:
        raise ConfigError(f"the run with seed {history.header['settings']['seed']} has not measured its seed program")
    difference, error = gain(history, best)
    cells = [
        history.header["settings"]["seed"],
        history.finished,
        f"{history.charged:.0f}",
        clock(history.wall),
        with_error(seed.fitness.values[history.loss]),
        with_error(best.fitness.values[history.loss]),
        f"{difference:.3f}",
        f"{difference / error:.0f}" if error else "-",
    ]
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    sys.exit(main())
