"""What the engine itself costs: CPU seconds a candidate, slot efficiency, disk, replay. Nothing is trained.

`python -m benchmarks.engine` prints a table, `-o FILE` also writes it. Runs of the real loop, with real programs and an
executor that makes up losses at once, are recorded up to each number of candidates; then every step is timed on them.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

from evolve.arms import Arm
from evolve.assemble import DEFAULT_OPERATORS, PACKAGES, TUNE_TRIALS
from evolve.config import Limits, Target, load_target
from evolve.evaluation import Plan
from evolve.executors.inline import InlineExecutor
from evolve.history import History
from evolve.log import Log
from evolve.loop import Loop
from evolve.model import Briefing, Candidate, Genome, Mating, Outcome, Proposal, Trial
from evolve.protocols import Operator
from evolve.records import candidate_record
from evolve.search import ParetoSearch
from evolve.store import Store
from evolve.tuner import Study, TpeTuner, first_parameters
from operators.crossover import Merge
from operators.genome import Reader
from operators.mutate import Catalogue
from operators.retune import Retune

TARGET = Path(__file__).parents[1] / "train_target"
STORED = (100, 1_000, 10_000)
STUDY = 16  # trials that the tuner knows of a structure
POOL = 60  # evolved programs, used in rotation
DEPTH = 8  # transformations between the seed program and the deepest of the pool
TUNED = 80  # last candidates, which are tuned in full: more than the studies that importance looks at
REPEATS = 30
GOAL_CPU, GOAL_SLOTS, GOAL_DISK = 0.3, 0.85, 100.0  # seconds a candidate, share, kB a candidate
SLOTS, TRIAL, PROPOSAL, CHILDREN, WARM_UP = 4, 1.0, 2.0, 64, 12  # of the slot efficiency


def draw(*key: object) -> float:
    """A number in 0..1 that depends on `key` only."""
    return int(hashlib.sha256(repr(key).encode()).hexdigest()[:8], 16) / 0xFFFFFFFF


LOG = "".join(f"step {i:5d}  loss {6 - 3 * draw(i):.4f}  tokens/s {30000 + draw(-i) * 9000:.0f}\n" for i in range(40))


def made_up(trial: Trial) -> Outcome:
    """At once: a loss that depends on text, numbers, rung and seed, with a log as long as a real one."""
    worth = 0.3 * draw(trial.genome.id) + 0.05 * draw(sorted(trial.params.items()))
    noise = 0.004 * draw(trial.genome.id, trial.seed)
    loss = 3.0 - 0.3 * math.log2(trial.rung) - worth + noise
    metrics = {
        "val_bpb": loss,
        "tokens_per_second": 30000.0,
        "peak_memory_mb": 200.0,
        "mfu_reported": 0.1,
        "steps": 400.0,
    }
    return Outcome("ok", metrics, LOG, trial.budget, "none")


def lineage(operator: Operator, seed: Genome) -> list[Proposal]:
    """Children that the catalogue made of the seed program, one transformation after another."""
    pool: list[Proposal] = []
    parent = seed
    for number in itertools.count():
        made = operator.propose(Mating(number, "catalogue", (individual(parent),), None, number), Briefing())
        if isinstance(made, Proposal):
            pool.append(made)
            parent = made.genome if len(pool) % DEPTH else seed
        if len(pool) == POOL:
            break
    return pool


def individual(genome: Genome) -> Candidate:
    """A parent for an operator, without a past."""
    return Candidate("0", 0, genome, {k.address: k.default for k in genome.knobs}, (), "seed", "ok")


class Rotation:
    """An operator without work: the children of the pool in turn, each time as a structure never seen before."""

    name, arity, mended_by = "catalogue", 1, ""

    def __init__(self, pool: Sequence[Proposal]) -> None:
        self._pool = pool

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal:
        made = self._pool[mating.index % len(self._pool)]
        source, skeleton = f"{made.genome.source}# {mating.index}\n", f"{made.genome.skeleton}{mating.index}"
        return replace(made, genome=replace(made.genome, source=source, skeleton=skeleton))


class Recorded:
    """A run on disk that grows: the real loop, with made-up losses. Counts the CPU seconds it takes."""

    def __init__(self, directory: Path, target: Target, seed: Genome, operators: Mapping[str, Operator]) -> None:
        self.target, self.seed, self.operators = target, seed, operators
        self.store = Store.open(directory, durable=False)
        self.history = empty_history(target)
        header = {
            "settings": {"seed": 0, "offspring": 1, "population": 12, "budget": 20.0, "operators": {}, "corpus": ""},
            "rungs": list(target.rungs),
            "objectives": [asdict(o) for o in target.objectives],
        }
        self.history.apply(self.store.append("run", "run", header))

    def grow(self, candidates: int, operators: Mapping[str, Operator], tune_trials: int) -> float:
        """Go on until there are so many finished candidates; returns CPU seconds, of all threads."""
        plan = Plan(self.target.objectives, "cpu", 20.0, self.target.rungs, tune_trials, 0.3)
        limits = Limits(candidates, refusals=0)
        executor = InlineExecutor(made_up)
        start = time.process_time()
        loop = Loop(Log(self.store, self.history), executor, operators, plan, limits, lambda loop: None)
        loop.run(self.seed)
        seconds = time.process_time() - start
        executor.close()
        return seconds

    def make_durable(self) -> None:
        """From now on as a run of a user: what is appended survives a power cut."""
        self.store.close()
        self.store = Store.open(self.store.directory)

    def replay_seconds(self) -> float:
        """CPU seconds to rebuild the history from the log."""
        return cpu(lambda _: empty_history(self.target).replay(self.store.events()), 1)


def built_in(reader: Reader) -> dict[str, Operator]:
    return {"catalogue": Catalogue(reader), "merge": Merge(reader), "tune": Retune(reader)}


def empty_history(target: Target) -> History:
    arms = {name: Arm(2 if name == "merge" else 1, weight) for name, weight in DEFAULT_OPERATORS.items()}
    return History(ParetoSearch(target.objectives, 12, arms, 0))


def cpu(work: Callable[[int], object], repeats: int = REPEATS) -> float:
    """Mean CPU seconds of one call, in this thread."""
    start = time.thread_time()
    for i in range(repeats):
        work(i)
    return (time.thread_time() - start) / repeats


def steps(run: Recorded, pool: Sequence[Proposal], reader: Reader) -> dict[str, float]:
    """CPU seconds of each step for one candidate, at what is stored now. The last ones add to the history."""
    history, first = run.history, len(run.history.matings) + 1_000_000
    catalogue, merge = Catalogue(reader), Merge(reader)
    members = history.search.population
    parents = [replace(member, genome=pool[i % POOL].genome) for i, member in enumerate(members * 3)]
    known = Study(tuple([tried for study in history.studies.values() for tried in study][-STUDY:]))

    def mutate(i: int) -> object:
        return catalogue.propose(Mating(i, "catalogue", (parents[i % len(parents)],), None, i), Briefing())

    def cross(i: int) -> object:
        pair = (individual(pool[i % POOL].genome), individual(pool[(i * 7 + DEPTH) % POOL].genome))
        return merge.propose(Mating(i, "merge", pair, individual(run.seed), i), Briefing())

    def read(i: int) -> Genome:
        return reader.read(pool[i % POOL].genome.source)

    def tune(i: int) -> None:
        knobs = pool[i % POOL].genome.knobs
        tuner = TpeTuner(first_parameters(knobs, {}), known, i)
        for n in range(TUNE_TRIALS):
            tuner.tell(tuner.ask(knobs), 2.0 + draw(i, n))

    def tell(i: int) -> None:
        history.search.tell(replace(members[i % len(members)], id=str(first + i), index=first + i))

    body = candidate_record(members[0])
    return {
        "ask": cpu(lambda i: history.search.ask(first + i)),
        "mutate: catalogue on evolved programs": cpu(mutate),
        "merge of two evolved programs": cpu(cross),
        "read: guard, knobs, skeleton (also inside mutate and merge)": cpu(read),
        f"tuner: {TUNE_TRIALS} asks of a study of {STUDY} trials": cpu(tune),
        "tell": cpu(tell),
        "append one durable record": cpu(lambda i: run.store.append("tell", f"benchmark/{time.time_ns()}/{i}", body)),
    }


def growing(target: Target, reader: Reader, folder: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """At each number of stored candidates: CPU seconds by step, and the replay's for all of the log."""
    seed = reader.read(target.source)
    pool = lineage(Catalogue(reader), seed)
    real = built_in(reader)
    quick: dict[str, Operator] = dict.fromkeys(real, Rotation(pool))
    for stored in STORED:
        run = Recorded(folder / str(stored), target, seed, quick)
        run.grow(stored - TUNED, quick, 1)
        run.grow(stored, quick, TUNE_TRIALS)
        run.make_durable()
        finished = run.history.finished
        whole = run.grow(finished + REPEATS, real, TUNE_TRIALS) / (run.history.finished - finished)
        replay = run.replay_seconds()
        costs = {"**the whole loop, all of the above and the rest**": whole} | steps(run, pool, reader)
        run.store.close()
        yield stored, costs | {"replay of the log, seconds in all": replay}


def disk(target: Target, reader: Reader, folder: Path) -> float:
    """kB a candidate of a log of 100 candidates, all made by the real operators and tuned in full."""
    operators = built_in(reader)
    run = Recorded(folder, target, reader.read(target.source), operators)
    run.grow(100, operators, TUNE_TRIALS)
    run.store.close()
    return sum(file.stat().st_size for file in folder.iterdir()) / len(run.history.candidates) / 1000


class Slow(Rotation):
    """An operator that takes as long as a language model; its programs have no knobs, so they get one tuning trial."""

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal:
        time.sleep(PROPOSAL)
        made = super().propose(mating, briefing)
        return replace(made, genome=replace(made.genome, knobs=()), anchor={})


def slot_efficiency(target: Target, reader: Reader, folder: Path) -> float:
    """Share of the slots' time in which a trial ran, once `WARM_UP` trials have begun and until the last one begins.

    Each child has one trial that sleeps; all its other trials, and the seed program's, end at once. Losses rise from
    trial to trial, so that all but every eighth child are pruned after it.
    """
    seed = reader.read(target.source)
    spans: list[tuple[float, float]] = []

    def sleep(trial: Trial) -> Outcome:
        outcome = replace(made_up(trial), seconds=0.0)
        if trial.purpose == "tune" and trial.rung == target.rungs[0] and trial.genome != seed:
            start = time.monotonic()
            time.sleep(TRIAL)
            spans.append((start, time.monotonic()))
            outcome = replace(outcome, metrics={**outcome.metrics, "val_bpb": 5.0 + len(spans)}, seconds=TRIAL)
        return outcome

    slow = Slow(lineage(Catalogue(reader), seed))
    run = Recorded(folder, target, seed, {})
    plan = Plan(target.objectives, "cpu", 4.0, target.rungs, 1, 0.0)
    executor = InlineExecutor(sleep, SLOTS)
    operators: dict[str, Operator] = dict.fromkeys(DEFAULT_OPERATORS, slow)
    log = Log(run.store, run.history)
    Loop(log, executor, operators, plan, Limits(CHILDREN, refusals=0), lambda loop: None).run(seed)
    executor.close()
    run.store.close()
    starts = sorted(start for start, _ in spans)
    begin, end = starts[WARM_UP], starts[-1]
    busy = sum(max(0.0, min(stop, end) - max(start, begin)) for start, stop in spans)
    return busy / (SLOTS * (end - begin))


def machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    where = f"{os.cpu_count()} cores {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    return f"{where}; {packages}."


def report() -> Iterator[str]:
    """The tables, as lines of Markdown."""
    target = load_target(TARGET)
    reader = Reader(target.rules)
    yield from ["# Cost of the engine", "", machine(), ""]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured = list(growing(target, reader, folder))
        yield "| CPU milliseconds a candidate, at so many stored | " + " | ".join(f"{n:,}" for n, _ in measured) + " |"
        yield "|---|" + "---:|" * len(measured)
        for step in measured[0][1]:
            scale = 1 if "seconds in all" in step else 1000
            yield f"| {step} | " + " | ".join(f"{costs[step] * scale:,.2f}" for _, costs in measured) + " |"
        yield from ["", "| measure | value | goal |", "|---|---:|---:|"]
        whole = max(next(iter(costs.values())) for _, costs in measured)
        yield f"| CPU seconds a candidate | {whole:.3f} | < {GOAL_CPU} |"
        yield f"| slot efficiency | {slot_efficiency(target, reader, folder / 'slots'):.2f} | > {GOAL_SLOTS} |"
        yield f"| disk, kB a candidate | {disk(target, reader, folder / 'disk'):.0f} | < {GOAL_DISK:g} |"
    yield from ["", f"Slot efficiency: {SLOTS} slots, trials of {TRIAL:g} s, an operator that takes {PROPOSAL:g} s."]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, help="a file for the tables")
    options = parser.parse_args()
    lines = []
    for line in report():
        print(line, flush=True)
        lines.append(line)
    if options.output:
        options.output.write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
