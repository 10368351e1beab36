"""Records trials of random and space-filling programs with the real judge: the table of the task `table`.

    python -m benchmarks.record -o DIR [--rows 80] [--budget 2] [--scale cpu] [--slots 2] [--seed 0]

Each row is one program, trained at five rungs (see `benchmarks.recorded.rows`). The same command goes on where it was
interrupted, and with more rows grows the table. Then the surrogate is fitted and its error by cross-validation written
to `surrogate.json`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.recorded.genes import names
from benchmarks.recorded.rows import HEADER, ROWS, RUNGS, Design, Measured, Row, line_of, read_rows
from benchmarks.recorded.world import World
from evolve import plugins
from evolve.assemble import open_executor, read_seed
from evolve.config import ConfigError, folder_of, load_target
from evolve.executors.local import JudgeError, LocalExecutor
from evolve.judges import slots_for
from evolve.model import Outcome, Trial

ATTEMPTS = 4  # of a trial that the machine spoiled
Started = tuple[int, dict[float, Trial], dict[float, "Future[Outcome]"]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder of the table")
    parser.add_argument("--rows", type=int, default=80, help="of the table in all (default: %(default)s)")
    parser.add_argument("--budget", type=float, default=2.0, help="charged seconds of a full trial")
    parser.add_argument("--scale", default="cpu")
    parser.add_argument("--slots", type=int, help="trials at once (default: all cores)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--check", type=int, default=100, help="programs whose genes are read back, to see how often well"
    )
    parser.add_argument("--target", help="the folder of the target")
    options = parser.parse_args()
    try:
        record(options)
    except (ConfigError, JudgeError) as error:
        print(f"record: {error}", file=sys.stderr)
        return 2
    return 0


def record(options: argparse.Namespace) -> None:
    """Train what is missing of the table. Raises `ConfigError` for another table's folder, `JudgeError`."""
    target = load_target(folder_of(options.target))
    if options.scale not in target.scales:
        raise ConfigError(f"unknown scale {options.scale!r}: {target.name} has {', '.join(target.scales)}")
    reader = plugins.load(plugins.READER)(target.rules_at(options.scale))
    seed = read_seed(reader, target, options.scale)
    genes = names(seed, reader)
    options.output.mkdir(parents=True, exist_ok=True)
    slots = slots_for(target, options.scale, options.slots)
    with ExitStack() as closing:
        log = closing.enter_context((options.output / "judge.log").open("a"))
        executor = open_executor(target, options.scale, None, slots, reader, log)
        closing.callback(executor.close)
        header = {
            "target": target.name,
            "program": seed.id,
            "scale": options.scale,
            "budget": options.budget,
            "seed": options.seed,
            "corpus": executor.hello["corpus"]["sha256"],
            "loss": target.objectives[0].name,
            "genes": list(genes),
        }
        done = _begun(options.output, header, executor)
        missing = [index for index in range(options.rows) if index not in done]
        design = Design(seed, genes, reader, options.seed)
        with (options.output / ROWS).open("a") as file:
            for row in _train(executor, design, missing, options, header["loss"]):
                file.write(line_of(row))
                file.flush()
                losses = [f"{m.loss:.3f}" if m.loss is not None else m.status for m in row.rungs.values()]
                print(f"{row.row + 1:5d} of {options.rows}  {row.kind:6s} {' '.join(losses)}  {' '.join(row.genes)}")
    found = World(options.output, seed, reader).assess(options.check)
    cross, ranks = found["cross_validation"], found["cross_validation"]["spearman"]
    print(
        f"surrogate, cross-validated on {cross['trials']} trials: rmse {cross['rmse']:.3f}, losses have a standard "
        f"deviation of {cross['standard_deviation']:.3f}; rank correlation at the full budget "
        f"{ranks.get('1', math.nan):.2f}; genes are read exactly from {found['genes_read_exactly']:.0%} of programs"
    )


def _begun(folder: Path, header: dict[str, Any], executor: LocalExecutor) -> set[int]:
    """The rows that are there; writes the header of a new table. Raises `ConfigError` if it is another one's."""
    if not (folder / HEADER).exists():
        machine = {"device": executor.hello["device"], "isolation": executor.hello["isolation"]}
        (folder / HEADER).write_text(json.dumps(header | machine, indent=1) + "\n")
        (folder / ROWS).write_text("")
        return set()
    known, rows = read_rows(folder)
    if changed := [key for key, value in header.items() if known.get(key) != value]:
        raise ConfigError(f"{folder} holds another table, with other {', '.join(changed)}: choose another -o")
    (folder / ROWS).write_text("".join(map(line_of, rows)))  # without a line that was cut off
    return {row.row for row in rows}


def _train(
    executor: LocalExecutor, design: Design, indices: list[int], options: argparse.Namespace, loss: str
) -> Iterator[Row]:
    """The rows in order, a few under way at once so that no slot waits for the last trial of another row."""
    under_way: deque[Started] = deque()
    for index in indices:
        _, genome, _, params, seed = design.program(index)
        trials = {
            rung: Trial(genome, params, options.budget * rung, rung, options.scale, seed, "rung") for rung in RUNGS
        }
        under_way.append((index, trials, {rung: executor.submit(trial) for rung, trial in trials.items()}))
        if len(under_way) > executor.slots:
            yield _row(executor, design, under_way.popleft(), loss)
    while under_way:
        yield _row(executor, design, under_way.popleft(), loss)


def _row(executor: LocalExecutor, design: Design, started: Started, loss: str) -> Row:
    """Raises `JudgeError` if the machine spoils one of the trials again and again."""
    index, trials, futures = started
    kind, _, genes, params, seed = design.program(index)
    measured = {}
    for rung, future in futures.items():
        outcome = future.result()
        for _ in range(ATTEMPTS):
            if outcome.status == "infrastructure":
                outcome = executor.submit(trials[rung]).result()
        if outcome.status == "infrastructure":
            raise JudgeError(f"the machine spoils every trial ({outcome.reason}): the same command tries again")
        value = round(outcome.metrics[loss], 5) if outcome.status == "ok" else None
        measured[f"{rung:g}"] = Measured(outcome.status, value, round(outcome.seconds, 4))
    return Row(index, kind, genes, params, seed, measured)


if __name__ == "__main__":
    sys.exit(main())
