"""How noisy a trial is: the seed program again and again, on a quiet machine and beside a busy neighbour.

    python -m benchmarks.noise [--runs 20] [--budget 5] [-o FILE]

One slot on the first core. The neighbour multiplies matrices on all other cores. `cv` is the standard deviation as a
share of the mean: of steps a CPU-second as the kernel counts them, and of steps a charged second, which is a CPU-second
weighted with the speed of the core (the reference work, timed ten times a second). Trials that it voids are counted
and repeated. With one seed the loss differs by the number of steps alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from evolve import plugins
from evolve.assemble import open_executor
from evolve.config import load_target
from evolve.executors.local import LocalExecutor
from evolve.judges import Slot
from evolve.model import Genome, Outcome, Trial

TARGET = Path(__file__).parent.parent / "train_target"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--budget", type=float, default=5.0, help="charged seconds of a run (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    target = load_target(TARGET)
    reader = plugins.load(plugins.READER)(target.rules)
    seed = reader.read(target.source)
    executor = open_executor(target, "cpu", None, [Slot((0,))], reader, sys.stderr)
    rows = []
    try:
        for label, neighbours in (("alone", 0), ("busy neighbour", (os.cpu_count() or 2) - 1)):
            with busy(neighbours):
                rows.append(row(f"{label}, one seed", run(executor, seed, options.budget, [1] * options.runs)))
                rows.append(
                    row(f"{label}, {options.runs} seeds", run(executor, seed, options.budget, range(options.runs)))
                )
    finally:
        executor.close()
    head = (
        "| runs | n | steps | cv a CPU-second | cv a charged second | val_bpb | its sd | core speed (range) | voided |"
    )
    text = "\n".join([head, "|---|" + "--:|" * 8, *rows, ""])
    print(text)
    if options.output:
        options.output.write_text(text)
    return 0


def run(executor: LocalExecutor, seed: Genome, budget: float, seeds: Sequence[int]) -> tuple[list[Outcome], int]:
    """One valid outcome a seed, one after another, and the number of voided ones."""
    outcomes, voided = [], 0
    for number in seeds:
        while True:
            trial = Trial(seed, {}, budget, 0.25, "cpu", number, "control")
            outcome = executor.submit(trial).result()
            if outcome.status != "infrastructure":
                break
            voided += 1
        outcomes.append(outcome)
    return outcomes, voided


def row(label: str, result: tuple[list[Outcome], int]) -> str:
    outcomes, voided = result
    steps, losses, speeds = ([o.metrics[name] for o in outcomes] for name in ("steps", "val_bpb", "core_speed"))
    charged = [n / o.seconds for n, o in zip(steps, outcomes, strict=True)]
    counted = [rate * speed for rate, speed in zip(charged, speeds, strict=True)]
    cells = [
        f"{fmean(steps):.1f}",
        f"{stdev(counted) / fmean(counted):.1%}",
        f"{stdev(charged) / fmean(charged):.1%}",
        f"{fmean(losses):.4f}",
        f"{stdev(losses):.4f}",
        f"{fmean(speeds):.2f} ({min(speeds):.2f} to {max(speeds):.2f})",
    ]
    return f"| {label} | {len(outcomes)} | {' | '.join(cells)} | {voided} |"


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """`processes` processes that do nothing but multiply matrices, one for each core but the first."""
    running = [multiprocessing.Process(target=multiply, args=(core + 1,), daemon=True) for core in range(processes)]
    for process in running:
        process.start()
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.join()


def multiply(core: int) -> None:
    os.sched_setaffinity(0, {core})
    matrix = np.ones((400, 400))
    while True:
        matrix = matrix @ matrix / 400


if __name__ == "__main__":
    sys.exit(main())
