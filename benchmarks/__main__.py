"""Compares methods at equal cost.

python -m benchmarks run --methods ours,tpe --tasks synthetic --seeds 10 -o DIR
python -m benchmarks report DIR -o OUT
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.comparison import report, several, task
from evolve.config import ConfigError
from evolve.language_options import model_options
from evolve.store import StoreError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks", description="Compares methods at equal cost.")
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("run", help="run methods on tasks; goes on where it ended")
    runs.add_argument(
        "--methods", type=_list, help="by comma (default: all; those that ask a model, where one is named)"
    )
    runs.add_argument("--tasks", type=_list, required=True, help=f"by comma, of {', '.join(task.names())}")
    runs.add_argument(
        "--seeds", default="10", help="N is 1 to N; or a range, 11-20, or a list, 11,12,15 (default: %(default)s)"
    )
    runs.add_argument("--budget", type=float, help="charged seconds of a run (default: the task's)")
    runs.add_argument("--jobs", type=int, help="runs at once (default: one a core, or a GPU where the task needs one)")
    runs.add_argument(
        "--slots", type=int, default=1, help="trials of a run at once, a core each (default: %(default)s)"
    )
    runs.add_argument("--time-limit", type=float, metavar="SECONDS", help="end in time; the same command goes on")
    runs.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    model_options(runs)
    report.add_arguments(commands.add_parser("report", help="tables, plots and a page"))
    options = parser.parse_args(arguments)
    try:
        return several.run(options) if options.command == "run" else report.main(options)
    except (ConfigError, StoreError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


if __name__ == "__main__":
    sys.exit(main())
