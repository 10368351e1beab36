"""Do our parts do what the literature says of them? Two parts, each with its expectations written down beforehand.

    python -m benchmarks.calibrate zdt -o DIR [--seeds 101] [--evaluations 2000] [--population 40] [--without pymoo]
    python -m benchmarks.calibrate regret RUNS -o DIR      (before) python -m benchmarks run --tasks synthetic -o RUNS

`zdt`: is our NSGA-II NSGA-II? See `benchmarks.calibration.equivalence`. `regret`: are methods ordered as they should be
on a task whose optimum is known? See `benchmarks.calibration.regrets`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.calibration import equivalence, regrets
from evolve.config import ConfigError
from evolve.store import StoreError


def main() -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.calibrate", description=__doc__.partition("\n")[0])
    parts = parser.add_subparsers(dest="part", required=True)
    zdt = parts.add_parser("zdt", help="our NSGA-II beside those of others")
    zdt.add_argument("--seeds", type=int, default=101)
    zdt.add_argument("--evaluations", type=int, default=2000)
    zdt.add_argument("--population", type=int, default=40, help="divisible by four, as deap asks")
    zdt.add_argument("--without", action="append", default=[], help="an implementation that is left out")
    zdt.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at once (default: one a core)")
    regret = parts.add_parser("regret", help="methods on a task with a known optimum")
    regret.add_argument("runs", type=Path, help="the folder of runs of the task synthetic")
    for part in (zdt, regret):
        part.add_argument("-o", "--output", type=Path, required=True, help="for the tables")
    options = parser.parse_args()
    try:
        text = equivalence.main(options) if options.part == "zdt" else regrets.main(options)
    except (ConfigError, StoreError) as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return 2
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
