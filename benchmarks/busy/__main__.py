"""Which share of wall time a device trains: trials one after another without any judge, and by the judge in its boxes.

    python -m benchmarks.busy -o DIR [--scale gpu] [--budgets 30] [--trials 4] [--limit S] [--ways plain,ready,...]
    python -m benchmarks.busy --run RUN [-o DIR]

Ways: `plain` is `python train.py`, a process a trial, with text, clock and score in it; `on-demand` is the judge with a
box that is started when it is needed; with `ready` the next box waits meanwhile; with `cached` it also begins with the
seed program's compile cache, where the others compile cold. All run one program with the same seeds, in blocks that
alternate; at every scale the clock is the wall's. By default trials are those that tune, which score the budget's share
of the rows. `--limit` ends a call in time; the same command goes on where it ended. Exit code 3: there is more to be
measured.
With `--run`: what the slots of a recorded run did with their time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.busy import phases, recorded, ways
from benchmarks.reference.__main__ import MORE
from benchmarks.trust_cost import say
from evolve.batch import TRIES, OutOfTime
from evolve.config import ConfigError
from evolve.exports.recorded import open_recorded
from evolve.lines import Lines
from evolve.model import digest
from evolve.store import StoreError

FIRST_SEED = 9_500_001  # no search draws from here
START = 90.0  # seconds of a trial besides its budget, until one of its way has shown how many
Key = tuple[str, float, int]  # way, budget in seconds, seed


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        return of_run(options) if options.run else measure(options)
    except OutOfTime:
        print("The same command goes on from here.", file=sys.stderr)
        return MORE
    except (ConfigError, StoreError, ways.CannotOpen, ways.TrialFailed) as error:
        print(f"busy: {error}", file=sys.stderr)
        return 2


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.busy", description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, help="a folder for trials and results")
    parser.add_argument("--run", type=Path, help="a recorded run, whose log is read instead")
    parser.add_argument("--scale", default="gpu", help="of the target (default: %(default)s)")
    parser.add_argument("--program", type=Path, help="a train.py as it stands (default: the seed at the scale)")
    parser.add_argument("--budgets", default="30", help="seconds, by commas (default: %(default)s)")
    parser.add_argument("--trials", type=int, default=4, help="of each way at each budget (default: %(default)s)")
    parser.add_argument("--block", type=int, default=2, help="trials of a way in a row (default: %(default)s)")
    parser.add_argument("--ways", default=",".join(ways.WAYS), help="by commas (default: %(default)s)")
    parser.add_argument("--purpose", default="tune", choices=("tune", "confirm"), help="confirm scores all rows")
    parser.add_argument("--gpu", help="index or UUID (default: the first)")
    parser.add_argument("--isolation", default="auto", help="at most this level (default: %(default)s)")
    parser.add_argument("--limit", type=float, default=0.0, help="seconds of this call (default: no limit)")
    options = parser.parse_args(arguments)
    options.until = time.monotonic() + (options.limit or 1e9)
    if not (options.run or options.output):
        parser.error("name a folder with -o, or a recorded run with --run")
    try:
        options.budgets = sorted(float(part) for part in options.budgets.split(","))
    except ValueError:
        parser.error(f"--budgets {options.budgets}: write seconds with commas between them, such as 30,300")
    options.ways = options.ways.split(",")
    if unknown := sorted(set(options.ways) - ways.WAYS.keys()):
        parser.error(f"--ways: no {', '.join(unknown)}; there are {', '.join(ways.WAYS)}")
    if options.trials < 1 or options.block < 1 or options.budgets[0] <= 0:
        parser.error("--trials, --block and --budgets must be above 0")
    return options


def of_run(options: argparse.Namespace) -> int:
    """Print, and write where -o is given, what a recorded run did with its time."""
    run = open_recorded(options.run)
    found = recorded.split(run.events, run.history)
    text = "\n".join(["# What the slots of a run did with their time", "", *recorded.report(found, run.history), ""])
    print(text)
    if options.output:
        write(options.output, "run", text, found)
    return 0


def measure(options: argparse.Namespace) -> int:
    """Run what is missing, and write the results as they stand after each trial. Raises OutOfTime, TrialFailed."""
    source = options.program.read_text() if options.program else ""
    options.output.mkdir(parents=True, exist_ok=True)
    with ways.opened(options, source) as (place, settled), ExitStack() as closing:
        machine = about(place, settled, options)
        kept = Kept(options, machine, digest(place.source))
        runners: dict[str, Any] = {}
        for key in kept.due(options.until):
            way, budget, seed = key
            if way not in runners:
                runners[way] = ways.WAYS[way](place, settled.isolation)
                closing.callback(lambda way=way: runners[way].close())
            began = time.monotonic()
            for left in reversed(range(TRIES)):
                try:
                    kept.keep(key, runners[way].run(budget, seed), time.monotonic() - began)
                    break
                except ways.TrialFailed as error:
                    if not (error.void and left):
                        raise ways.TrialFailed(f"{way} at {budget:g} s, seed {seed}: {error}") from error
                    say(f"{way}: {error}; once more")
                    runners[way].close()
                    runners[way] = ways.WAYS[way](place, settled.isolation)
            results(options, kept, machine)
        results(options, kept, machine)
    print((options.output / "results.md").read_text())
    return 0


class Kept:
    """Measurements in a file of JSON lines, to which new ones are added. Raises ConfigError for another machine's."""

    def __init__(self, options: argparse.Namespace, machine: Mapping[str, Any], program: str) -> None:
        self.options, self.lines = options, Lines(options.output / "trials.jsonl")
        self.about = {
            "device": machine["device"],
            "cores": machine["cores"],
            "torch": machine["versions"]["torch"],
            "corpus": machine["corpus"],
            "scale": options.scale,
            "purpose": options.purpose,
            "program": program,
        }
        self.found: dict[Key, phases.Measurement] = {}
        self.besides: dict[str, float] = {}  # seconds of a trial besides its budget, by way
        for theirs in self.lines.read_as(lambda row: dict(row["about"])):
            if theirs != self.about:
                differs = ", ".join(f"{k} {theirs.get(k)}" for k, v in self.about.items() if theirs.get(k) != v)
                raise ConfigError(f"what was measured in that folder is of another kind ({differs}): choose another -o")
        self.found |= self.lines.read_as(
            lambda row: ((row["way"], row["budget"], row["seed"]), phases.Measurement(**row["measurement"]))
        )

    def due(self, until: float) -> Iterator[Key]:
        """What is to be measured, in its order. Raises OutOfTime before one that would end after `until`."""
        options = self.options
        for budget in options.budgets:
            for i, start in enumerate(range(0, options.trials, options.block)):
                for way in options.ways[:: -1 if i % 2 else 1]:
                    for number in range(start, min(start + options.block, options.trials)):
                        key = (way, budget, FIRST_SEED + number)
                        if key in self.found:
                            continue
                        if time.monotonic() + budget + self.besides.get(way, START) > until:
                            raise OutOfTime
                        yield key

    def keep(self, key: Key, measured: phases.Measurement, seconds: float) -> None:
        way, budget, seed = key
        self.found[key] = measured
        self.besides[way] = 1.2 * max(0.0, seconds - budget)
        row = {"way": way, "budget": budget, "seed": seed, "measurement": asdict(measured), "about": self.about}
        self.lines.add(row)
        say(f"{way} {budget:g} s, seed {seed}: {measured.wall:.1f} s, {measured.phases['training']:.1f} s of training")

    def of(self, budget: float) -> dict[str, dict[int, phases.Measurement]]:
        """Measurements at a budget by way and seed, the ways in the order of WAYS."""
        rows = {
            way: {seed: m for (w, b, seed), m in self.found.items() if (w, b) == (way, budget)} for way in ways.WAYS
        }
        return {way: by_seed for way, by_seed in rows.items() if by_seed}


def about(place: Any, settled: Any, options: argparse.Namespace) -> dict[str, Any]:
    """The machine, and what was asked of it."""
    text = place.texts.corpus
    return {
        "device": place.device,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": settled.nursery.ready["torch"],
        },
        "isolation": settled.line,
        "corpus": f"{text.name}, {text.sha256[:16]}",
        "program": options.program.name if options.program else "the seed",
    }


def results(options: argparse.Namespace, kept: Kept, machine: Mapping[str, Any]) -> None:
    """Write the tables and numbers as they stand."""
    budgets = sorted({budget for _, budget, _ in kept.found})
    found = {f"{budget:g}": phases.summary(kept.of(budget)) for budget in budgets}
    command = f"python -m benchmarks.busy -o DIR --scale {options.scale} --ways {','.join(options.ways)}"
    command += f" --budgets {','.join(f'{budget:g}' for budget in options.budgets)} --trials {options.trials}"
    command += f" --block {options.block} --purpose {options.purpose}"
    command += f" --program {options.program.name}" if options.program else ""
    lines = [f"# Share of wall time in which the device trains, at the scale {options.scale}", "", f"`{command}`", ""]
    lines += ["Means of trials in a row, with standard errors. Busy is training's share of all the wall time of a way."]
    for budget, summary in found.items():
        lines += ["", f"## Budget {budget} s", "", *phases.table(summary)]
    lines += ["", "Measured on: " + "; ".join(f"{name} {value}" for name, value in machine.items()), ""]
    numbers = {
        budget: {way: {name: e and asdict(e) for name, e in row.items()} for way, row in summary.items()}
        for budget, summary in found.items()
    }
    write(options.output, "results", "\n".join(lines), {"command": command, "machine": machine, "budgets": numbers})


def write(folder: Path, name: str, text: str, numbers: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text)
    (folder / f"{name}.json").write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
