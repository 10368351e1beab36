"""Records trials of random and space-filling programs with the real judge: the table of the task `table`.

    python -m benchmarks.record -o DIR [--rows 80] [--budget 2] [--scale cpu] [--slots N] [--seed 0]

Each row is one program, trained at five rungs (see `benchmarks.recorded.rows`), and is written when it ends. The same
command goes on where it was interrupted, and with more rows grows the table. Then the surrogate is fitted and its error
by cross-validation written to `surrogate.json`.

A row is decided by its index, so parts of one table can be recorded on several machines and joined:

    python -m benchmarks.record -o one --rows 1500                      python -m benchmarks.record -o one --rows 3000
    python -m benchmarks.record -o other --first 1500 --rows 3000       (after) cat other/rows.jsonl >> one/rows.jsonl

where the last command records what is still missing and assesses the whole. All other options have to be the same.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.recorded.ahead import makers
from benchmarks.recorded.genes import alone
from benchmarks.recorded.rows import (
    GENES,
    HEADER,
    ROWS,
    RUNGS,
    Design,
    Measured,
    Program,
    Row,
    genes_text,
    line_of,
    read_rows,
)
from benchmarks.recorded.world import World
from evolve import plugins
from evolve.assemble import open_executor, read_seed
from evolve.config import ConfigError, folder_of, load_target
from evolve.executors.local import JudgeError, LocalExecutor
from evolve.judges import slots_for
from evolve.model import Outcome, Trial

ATTEMPTS = 4  # of a trial that the machine spoiled, before its row is left for another time
TROUBLE = 20  # trials spoiled in a row, after which it is the machine


@dataclass
class Begun:
    """A row whose trials are under way."""

    program: Program
    trials: dict[float, Trial]
    measured: dict[str, Measured] = field(default_factory=dict)
    attempts: Counter[float] = field(default_factory=Counter)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder of the table")
    parser.add_argument("--rows", type=int, default=80, help="of the table in all (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, metavar="INDEX", help="leave the rows before this one out")
    parser.add_argument(
        "--time-limit", type=float, default=math.inf, metavar="SECONDS", help="begin no row after this wall time"
    )
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
    programs = alone(seed, reader)
    options.output.mkdir(parents=True, exist_ok=True)
    slots = slots_for(target, options.scale, options.slots)
    design = Design(seed, list(programs), reader, options.seed)
    with ExitStack() as closing:
        make = closing.enter_context(makers(design, len(slots)))
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
            "genes": list(programs),
        }
        done = _begun(options.output, header, genes_text(seed, programs), executor)
        missing = [index for index in range(options.first, options.rows) if index not in done]
        with (options.output / ROWS).open("a") as file:
            rows = Recorder(executor, options.budget, options.scale, header["loss"]).rows(
                make(missing), time.monotonic() + options.time_limit
            )
            for count, row in enumerate(rows, 1):
                file.write(line_of(row))
                file.flush()
                losses = [f"{m.loss:.3f}" if m.loss is not None else m.status for m in row.rungs.values()]
                of = f"row {row.row:5d}, {count} of {len(missing)}"
                print(f"{of}  {row.kind:6s} {' '.join(losses)}  {' '.join(row.genes)}", flush=True)
    found = World(options.output, seed).assess(reader, options.check)
    cross, ranks = found["cross_validation"], found["cross_validation"]["spearman"]
    print(
        f"surrogate, cross-validated on {cross['trials']} trials: rmse {cross['rmse']:.3f}, losses have a standard "
        f"deviation of {cross['standard_deviation']:.3f}; rank correlation at the full budget "
        f"{ranks.get('1', math.nan):.2f}; genes are read exactly from {found['genes_read_exactly']:.0%} of programs"
    )


def _begun(folder: Path, header: dict[str, Any], genes: str, executor: LocalExecutor) -> set[int]:
    """The rows that are there; writes the header of a new table. Raises `ConfigError` if it is another one's."""
    if not (folder / HEADER).exists():
        machine = {"device": executor.hello["device"], "isolation": executor.hello["isolation"]}
        (folder / GENES).write_text(genes)
        (folder / ROWS).write_text("")
        (folder / HEADER).write_text(json.dumps(header | machine, indent=1) + "\n")
        return set()
    known, rows = read_rows(folder)
    changed = [key for key, value in header.items() if known.get(key) != value]
    if (folder / GENES).read_text() != genes:
        changed.append("transformations")
    if changed:
        raise ConfigError(f"{folder} holds another table, with other {', '.join(changed)}: choose another -o")
    whole = folder / f"{ROWS}.part"
    whole.write_text("".join(map(line_of, rows)))  # without lines that were cut off
    os.replace(whole, folder / ROWS)
    return {row.row for row in rows}


class Recorder:
    """Trains programs at all rungs, as many trials at once as there are slots."""

    def __init__(self, executor: LocalExecutor, budget: float, scale: str, loss: str) -> None:
        self._executor, self._budget, self._scale, self._loss = executor, budget, scale, loss
        self._running: dict[Future[Outcome], tuple[int, float]] = {}
        self._begun: dict[int, Begun] = {}
        self._spoiled = 0  # in a row

    def rows(self, programs: Iterator[tuple[int, Program]], deadline: float) -> Iterator[Row]:
        """The rows as they end; none is begun after `deadline` on the monotonic clock, and those under way end.

        Rows begin while fewer trials wait than there are slots, so that a kill loses little. Raises `JudgeError` if
        the machine spoils one trial after another.
        """
        while True:
            while len(self._running) < 2 * self._executor.slots and time.monotonic() < deadline:
                if not (following := next(programs, None)):
                    break
                self._begin(*following)
            if not self._running:
                return
            done, _ = wait(self._running, return_when=FIRST_COMPLETED)
            for future in done:
                index, rung = self._running.pop(future)
                if row := self._ended(index, rung, future.result()):
                    yield row

    def _begin(self, index: int, program: Program) -> None:
        genome, params, seed = program.genome, program.params, program.seed
        trials = {r: Trial(genome, params, self._budget * r, r, self._scale, seed, "rung") for r in RUNGS}
        self._begun[index] = Begun(program, trials)
        for rung in trials:
            self._submit(index, rung)

    def _submit(self, index: int, rung: float) -> None:
        self._running[self._executor.submit(self._begun[index].trials[rung])] = index, rung

    def _ended(self, index: int, rung: float, outcome: Outcome) -> Row | None:
        """The row, if this was the last of its trials; None also for one that is given up."""
        begun = self._begun[index]
        spoiled = outcome.status == "infrastructure"
        self._spoiled = self._spoiled + 1 if spoiled else 0
        if self._spoiled >= TROUBLE or not self._executor.slots:
            raise JudgeError(f"the machine spoils every trial ({outcome.reason}): the same command tries again")
        if spoiled:
            begun.attempts[rung] += 1
            if begun.attempts[rung] < ATTEMPTS:
                self._submit(index, rung)
            else:
                print(f"row {index:5d} is left for another time: {outcome.reason}")
            return None
        value = round(outcome.metrics[self._loss], 5) if outcome.status == "ok" else None
        begun.measured[f"{rung:g}"] = Measured(outcome.status, value, round(outcome.seconds, 4))
        if len(begun.measured) < len(RUNGS):
            return None
        del self._begun[index]
        measured = {f"{rung:g}": begun.measured[f"{rung:g}"] for rung in RUNGS}
        program = begun.program
        return Row(index, program.kind, program.genes, program.params, program.seed, measured)


if __name__ == "__main__":
    sys.exit(main())
