"""Does anything that judges a script mistake an honest one for a cheat, and how near does it come to that?

    python -m benchmarks.false_alarms -o DIR [--budget 2] [--purposes tune confirm audit] [--kinds seed …]

Programs: the seed with twenty seeds (fewer where it is probed more), each transformation of the catalogue applied
once to the seed, and the unusual but honest scripts of tests/redteam/honest. Each is run as a search would run it for
each purpose: at a quarter of the budget to tune, at all of it to confirm and to audit. Writes verdicts and, for each
check, how its statistic is distributed beside its threshold, to false_alarms.md and false_alarms.json; outcomes are
also kept line by line in false_alarms.jsonl, from which the same command goes on. Exit code 1 if any program was not
scored.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.margins import MARGINS, margins
from evolve import plugins
from evolve.assemble import open_executor
from evolve.config import ConfigError, Target, load_target
from evolve.executors.local import JudgeError, LocalExecutor
from evolve.judges import Slot
from evolve.lines import Lines
from evolve.model import Genome, Outcome, Trial
from evolve.store import StoreError
from operators.catalogue import Refused, transformations
from operators.mutate import transformed

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "train_target"
HONEST = ROOT / "tests" / "redteam" / "honest"
KINDS = ("seed", "catalogue", "honest")
RUNGS = {"tune": 0.25, "confirm": 1.0, "audit": 1.0}  # purpose: share of the budget
SEEDS = {"tune": 20, "confirm": 10, "audit": 5}  # runs of the seed
TRIES = 3  # of a trial that the machine spoilt
Record = dict[str, Any]


@dataclass(frozen=True)
class Program:
    """A program to be judged; `seed` is the seed of its training."""

    kind: str
    name: str
    genome: Genome
    seed: int = 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the results")
    parser.add_argument("--budget", type=float, default=2.0, help="charged seconds of the full budget (%(default)s)")
    parser.add_argument("--purposes", nargs="+", choices=list(RUNGS), default=list(RUNGS))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--slots", type=int, default=os.cpu_count() or 1, help="judges at a time, one a core")
    options = parser.parse_args()
    try:
        return judged(options)
    except (ConfigError, StoreError, JudgeError) as error:
        print(f"false_alarms: {error}", file=sys.stderr)
        return 2


def judged(options: argparse.Namespace) -> int:
    """Judge all programs and write what came of it; the exit code. Raises ConfigError, StoreError, JudgeError."""
    options.output.mkdir(parents=True, exist_ok=True)
    target = load_target(TARGET)
    reader = plugins.load(plugins.READER)(target.rules)
    every = [program for program in programs(target, reader) if program.kind in options.kinds]
    slots = [Slot((core,)) for core in range(options.slots)]
    executor = open_executor(target, "cpu", None, slots, reader, sys.stderr)
    try:
        records = run(executor, every, options.purposes, options.budget, options.output / "false_alarms.jsonl")
    finally:
        executor.close()
    head = f"`--budget {options.budget:g}`; isolation: {executor.hello['isolation']}; {executor.hello['device']}"
    text = "\n".join([head, "", verdicts(records), *failures(records), "", statistics_table(records)])
    print(text)
    (options.output / "false_alarms.md").write_text(text)
    summary = {"budget": options.budget, "hello": executor.hello, "runs": records}
    (options.output / "false_alarms.json").write_text(json.dumps(summary, indent=1) + "\n")
    return 1 if any(record["status"] != "ok" for record in records) else 0


def programs(target: Target, reader: Any) -> Iterator[Program]:
    """All programs. A transformation that refuses the seed is named on standard error."""
    seed = reader.read(target.source)
    for number in range(max(SEEDS.values())):
        yield Program("seed", f"seed {number}", seed, number)
    for name in transformations():
        try:
            yield Program("catalogue", name, reader.read(transformed(seed.source, name, Random(0))))
        except Refused as refusal:
            print(f"{name} does not apply to the seed: {refusal}", file=sys.stderr)
    for path in sorted(HONEST.glob("*.py")):
        yield Program("honest", path.stem, Genome(path.read_text(encoding="utf-8")))


def run(
    executor: LocalExecutor, every: Sequence[Program], purposes: Sequence[str], budget: float, kept: Path
) -> list[Record]:
    """One record a program and purpose; those that `kept` holds for this budget are not run again.

    Raises `StoreError` where it cannot be read or written.
    """
    lines = Lines(kept)
    known = lines.read_as(lambda row: (identity(row), row, spoilt(row["status"], row["reason"])))
    done = {which: record for which, record, again in known if not again}
    wanted = [
        record_of(program, purpose, budget)
        for purpose in purposes
        for program in every
        if program.kind != "seed" or program.seed < SEEDS[purpose]
    ]
    genomes = {(program.kind, program.name): program.genome for program in every}
    waiting: dict[Future[Outcome], Record] = {}
    for record in wanted:
        if identity(record) not in done:
            waiting[executor.submit(trial(record, genomes))] = record
    begun, total = time.monotonic(), len(waiting)
    for number, future in enumerate(as_completed(waiting), start=1):
        record = waiting[future] | result(executor, future, waiting[future], genomes)
        done[identity(record)] = record
        lines.add(record)
        elapsed = time.monotonic() - begun
        left = elapsed / number * (total - number)
        said = record["status"] + (f": {record['reason']}" if record["reason"] else "")
        what = f"{record['kind']} {record['name']}, {record['purpose']}"
        print(f"{number}/{total} {what}: {said[:120]}; {elapsed:.0f} s, about {left:.0f} s left", flush=True)
    return [done[identity(record)] for record in wanted]


def record_of(program: Program, purpose: str, budget: float) -> Record:
    return {
        "kind": program.kind,
        "name": program.name,
        "program": program.genome.id,
        "seed": program.seed,
        "purpose": purpose,
        "budget": budget,
    }


def identity(record: Record) -> tuple[Any, ...]:
    return tuple(record[name] for name in ("kind", "name", "program", "seed", "purpose", "budget"))


def trial(record: Record, genomes: dict[tuple[str, str], Genome]) -> Trial:
    rung = RUNGS[record["purpose"]]
    genome = genomes[record["kind"], record["name"]]
    return Trial(genome, {}, rung * record["budget"], rung, "cpu", record["seed"], record["purpose"])


def result(
    executor: LocalExecutor, future: Future[Outcome], record: Record, genomes: dict[tuple[str, str], Genome]
) -> Record:
    """What came of a trial; what the machine spoilt is repeated."""
    outcome = future.result()
    for _ in range(TRIES - 1):
        if spoilt(outcome.status, outcome.reason):
            outcome = executor.submit(trial(record, genomes)).result()
    return {
        "status": outcome.status,
        "reason": outcome.reason,
        "violation": outcome.violation,
        "checks": dict(outcome.checks),
        "metrics": dict(outcome.metrics),
    }


def spoilt(status: str, reason: str) -> bool:
    """Whether the machine ended a trial: void, or a limit on the wall clock before anything could be judged."""
    return status == "infrastructure" or reason.startswith("deadline: no end within the wall-clock limit of startup")


def verdicts(records: Sequence[Record]) -> str:
    """How many of each kind were scored for each purpose."""
    purposes = list(dict.fromkeys(record["purpose"] for record in records))
    lines = ["| programs | " + " | ".join(f"{p}: scored" for p in purposes) + " |", "|---|" + "--:|" * len(purposes)]
    for kind in dict.fromkeys(record["kind"] for record in records):
        of_kind = [[r for r in records if r["kind"] == kind and r["purpose"] == p] for p in purposes]
        cells = [f"{sum(r['status'] == 'ok' for r in rs)} of {len(rs)}" for rs in of_kind]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def failures(records: Sequence[Record]) -> Iterator[str]:
    """A line for each program that was not scored."""
    failed = [record for record in records if record["status"] != "ok"]
    yield ""
    yield f"Not scored: {len(failed) or 'none'}"
    for record in failed:
        yield f"* {record['kind']} {record['name']}, {record['purpose']}: {record['status']}, {record['reason']}"


def statistics_table(records: Sequence[Record]) -> str:
    """How the statistic of each check is distributed over honest runs, and where its threshold is."""
    lines = [
        "| check | statistic | runs | too little to tell | median | 95 % | worst | worst program | fails at |",
        "|---|---|--:|--:|--:|--:|--:|---|--:|",
    ]
    for margin in MARGINS:
        found, silent = margins(margin, records)
        if not found:
            continue
        values = [value for value, _ in found]  # ascending: from far to near the threshold
        middle, high = values[len(values) // 2], values[min(len(values) - 1, int(0.95 * len(values)))]
        cells = [margin.check, margin.statistic, str(len(values)), str(silent)]
        cells += [f"{value:.3g}" for value in (middle, high, values[-1])]
        worst = found[-1][1] if values[-1] != values[0] else "all the same"
        lines.append(f"| {' | '.join([*cells, worst, margin.threshold])} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
