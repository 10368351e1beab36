"""Do our parts do what the literature says of them? Two parts, each with its expectations written down beforehand.

    python -m benchmarks.calibrate zdt -o DIR [--seeds 101] [--evaluations 2000] [--population 40] [--without pymoo]
    python -m benchmarks.calibrate regret -o DIR --runs RUNS [--methods random,tpe,...] [--seeds 10]

`zdt`: is our NSGA-II NSGA-II? See `benchmarks.calibration.equivalence`. `regret`: are methods ordered as they should be
on a task whose optimum is known? See `benchmarks.calibration.regrets`; its runs stay in RUNS, and go on there.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.calibration import equivalence, regrets
from benchmarks.comparison import method
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
    regret = parts.add_parser("regret", help="methods on a task with a known optimum")
    regret.add_argument("--runs", type=Path, required=True, help="the folder of the runs")
    regret.add_argument("--methods", type=lambda text: text.split(","), default=method.names(), help="by comma")
    regret.add_argument("--seeds", type=int, default=10, help="1 to this number (default: %(default)s)")
    regret.add_argument("--budget", type=float, help="charged seconds of a run (default: the task's)")
    for part in (zdt, regret):
        part.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at once (default: one a core)")
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
