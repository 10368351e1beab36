"""How far several runs were at equal charged seconds: best confirmed loss and hypervolume, as a Markdown table.

    python -m benchmarks.milestones RUN … [--at 500 1000 2000] [-o FILE]

Hypervolumes have the seed of each run as their reference point, so runs of one target at one budget can be compared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from evolve.config import ConfigError
from evolve.history import History
from evolve.reports.open import open_history
from evolve.store import StoreError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, nargs="+")
    parser.add_argument("--at", type=float, nargs="+", default=[500, 1000, 2000], help="charged seconds")
    parser.add_argument("-o", "--output", type=Path, help="also write it to a file")
    options = parser.parse_args()
    try:
        text = report(options.run, options.at)
    except (ConfigError, StoreError) as error:
        print(f"benchmarks.milestones: {error}", file=sys.stderr)
        return 2
    print(text)
    if options.output:
        options.output.write_text(text)
    return 0


def report(runs: Sequence[Path], at: Sequence[float]) -> str:
    """A row for each milestone, two columns for each run. Raises `ConfigError` or `StoreError`."""
    histories = {run.name: open_history(run) for run in runs}
    names = [f"{name}, {what}" for name, h in histories.items() for what in (f"best {h.loss}", "hypervolume")]
    lines = [f"| charged seconds | {' | '.join(names)} |", "|--:|" + "--:|" * len(names)]
    for seconds in sorted(at):
        cells = [cell for history in histories.values() for cell in reached(history, seconds)]
        lines.append(f"| {seconds:,.0f} | {' | '.join(cells)} |")
    ends = [f"{name} ended at {h.charged:,.0f} with {h.finished} candidates" for name, h in histories.items()]
    return "\n".join([*lines, "", "; ".join(ends) + ".", ""])


def reached(history: History, seconds: float) -> tuple[str, str]:
    """The best confirmed loss and the hypervolume when so much was charged; dashes if the run ended before."""
    before = [point for point in history.progress if point[0] <= seconds]
    if not before or history.charged < seconds:
        return "-", "-"
    return f"{before[-1][1]:.3f}", f"{before[-1][2]:.2f}"


if __name__ == "__main__":
    sys.exit(main())
