"""Whether trials side by side are as fast as one alone: the same trainings of the seed program on one slot and on more.

    python -m benchmarks.scaling -o DIR [--scale gpu] [--budget 10] [--trials 4] [--slots 1,2]

Each number of slots has judges of its own, and its time is taken from when they are ready until the last trial has
ended. Speeds are compared by seed. Writes `results.md` and `results.json`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evolve import plugins
from evolve.assemble import open_executor, read_seed
from evolve.batch import run_all
from evolve.config import ConfigError, Target, budget_of, folder_of, load_target
from evolve.executors.local import JudgeError
from evolve.judges import slots_for
from evolve.model import Trial
from evolve.objectives import estimate

FIRST_SEED = 9_400_001  # no search draws from here
SPEED = "tokens_per_second"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.scaling", description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--scale", default="gpu", help="of the target (default: %(default)s)")
    parser.add_argument("--data", help="a folder of text instead of the default corpus")
    parser.add_argument("--budget", type=float, default=10.0, help="seconds of a trial (default: %(default)s)")
    parser.add_argument("--trials", type=int, default=4, help="on each number of slots (default: %(default)s)")
    parser.add_argument("--slots", default="1,2", help="numbers of slots, the first is compared with (default: 1,2)")
    options = parser.parse_args(arguments)
    try:
        numbers = [int(part) for part in options.slots.split(",")]
        target = load_target(folder_of(None))
        found = [measure(options, target, slots) for slots in numbers]
    except ValueError:
        parser.error(f"--slots {options.slots}: write numbers with commas between them, such as 1,2")
    except (ConfigError, JudgeError) as error:
        print(f"scaling: {error}", file=sys.stderr)
        return 2
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    (options.output / "results.md").write_text(report(options, found))
    print((options.output / "results.md").read_text())
    return 0


def measure(options: argparse.Namespace, target: Target, slots: int) -> dict[str, Any]:
    """All trainings on so many slots: the wall seconds of all, and each one's metrics by seed."""
    reader = plugins.load(plugins.READER)(target.rules_at(options.scale))
    genome = read_seed(reader, target, options.scale)
    budget = budget_of(target, options.scale, options.budget)
    jobs = [
        (seed, Trial(genome, {}, budget, 1.0, options.scale, seed, "confirm"))
        for seed in range(FIRST_SEED, FIRST_SEED + options.trials)
    ]
    where = slots_for(target, options.scale, slots)
    with closing(open_executor(target, options.scale, options.data, where, reader, sys.stderr)) as executor:
        began, trained = time.monotonic(), {}
        for seed, outcome in run_all(executor, jobs, math.inf):
            if outcome.status != "ok":
                raise ConfigError(f"the seed program, seed {seed}: {outcome.status}, {outcome.reason}")
            trained[seed] = dict(outcome.metrics)
            print(f"{slots} slots, seed {seed}: {outcome.metrics[SPEED]:,.0f} tokens/s", file=sys.stderr, flush=True)
        machine = {key: executor.hello[key] for key in ("device", "versions", "isolation", "corpus")}
        return {"slots": slots, "wall": time.monotonic() - began, "trained": trained, "machine": machine}


def report(options: argparse.Namespace, found: list[dict[str, Any]]) -> str:
    """The numbers as Markdown."""
    first = found[0]
    lines = [
        f"# Trials side by side, at the scale {options.scale}",
        "",
        f"`python -m benchmarks.scaling -o DIR --scale {options.scale} --budget {options.budget:g} "
        f"--trials {options.trials} --slots {options.slots}`",
        "",
        "| slots | trials | wall, s | of the first | tokens/s | of the first, by seed | val_bpb |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in found:
        speeds = estimate([metrics[SPEED] for metrics in row["trained"].values()])
        ratio = estimate([metrics[SPEED] / first["trained"][seed][SPEED] for seed, metrics in row["trained"].items()])
        loss = estimate([metrics["val_bpb"] for metrics in row["trained"].values()])
        cells = [
            f"{row['slots']}",
            f"{len(row['trained'])}",
            f"{row['wall']:.1f}",
            f"{row['wall'] / first['wall']:.1%}",
            _number(asdict(speeds), ",.0f"),
            _number({k: v and 100 * v for k, v in asdict(ratio).items()}, ".2f") + " %",
            _number(asdict(loss), ".4f"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Measured on: {first['machine']}", ""])


def _number(value: dict[str, Any], form: str) -> str:
    error = "" if value["sem"] is None else f" ± {value['sem']:{form}}"
    return f"{value['mean']:{form}}{error}"


if __name__ == "__main__":
    sys.exit(main())
