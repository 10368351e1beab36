"""How much there is to be gained: the seed and an expert's script at several budgets, by the judge.

    python -m benchmarks.reference -o DIR [--scale gpu] [--budgets 20,60,300] [--seeds 3] [--tune SECONDS] [--limit S]

Trains both with the same seeds, each in boxes that begin with its target's compile cache, and adds shorter budgets of
the reference until it is bracketed where it reaches the seed's loss. With `--tune` its numbers are first tuned by an
ordinary run of the engine with the operator `tune`, for so long in all, at the first of the budgets; the best that was
found is a third program, `tuned`. `--limit` ends a call in time; the same command goes on where it ended, for trials
are kept in DIR as they end. Writes `results.md` and `results.json`. Exit code 3: there is more to be measured.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import fmean

from benchmarks.fresh import ABOUT
from benchmarks.reference.report import report, summary
from benchmarks.reference.trials import Key, Measured, Programs
from evolve import plugins
from evolve.assemble import read_seed
from evolve.batch import OutOfTime
from evolve.config import ConfigError, budget_of, folder_of, load_target
from evolve.executors.local import JudgeError, LocalExecutor
from evolve.judges import judge_command, slots_for
from evolve.model import Candidate
from evolve.objectives import next_rung
from evolve.reports.open import open_history
from evolve.store import FILE, StoreError

REFERENCE = Path(__file__).resolve().parent
FIRST_SEED = 9_200_001  # no search draws from here
SEED, EXPERT, TUNED = "seed", "reference", "tuned"
NOT_MEASURED = 1  # exit code of a run of the engine whose time ended before its seed program was measured
MORE = 3
ENDING = 20.0  # seconds for a run of the engine to end


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + (options.limit or 1e9)
    try:
        if options.tune:
            tune(options, until)
        return measure(options, until)
    except OutOfTime:
        print("The same command goes on from here.", file=sys.stderr)
        return MORE
    except (ConfigError, StoreError, JudgeError) as error:
        print(f"reference: {error}", file=sys.stderr)
        return 2


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.reference", description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--scale", default="gpu", help="of the target (default: %(default)s)")
    parser.add_argument("--data", help="a folder of text instead of the default corpus")
    parser.add_argument("--budgets", default="20,60,300", help="seconds, by commas (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="of each program at each budget (default: %(default)s)")
    parser.add_argument("--slots", type=int, default=1, help="trials at a time (default: %(default)s)")
    parser.add_argument(
        "--tune", type=float, default=0.0, metavar="SECONDS", help="tune the reference for so long in all"
    )
    parser.add_argument("--limit", type=float, default=0.0, help="seconds of this call (default: no limit)")
    options = parser.parse_args(arguments)
    try:
        options.budgets = sorted(float(part) for part in options.budgets.split(","))
    except ValueError:
        parser.error(f"--budgets {options.budgets}: write seconds with commas between them, such as 20,60,300")
    if options.seeds < 1 or options.budgets[0] <= 0:
        parser.error("--seeds and --budgets must be above 0")
    return options


def tune(options: argparse.Namespace, until: float) -> None:
    """Go on with the run of the engine that tunes the reference. Raises OutOfTime where this call's time ends it."""
    command = [sys.executable, "-m", "evolve", "--target", str(REFERENCE), "--operator", "tune"]
    command += ["--scale", options.scale, "--budget", f"{options.budgets[0]:g}", "--slots", str(options.slots)]
    command += ["--tune-trials", "8", "--offspring", "1", "--generations", "1000", "--stale-generations", "0"]
    command += ["--refusals", "0", "--time-limit", f"{options.tune:g}", "--run-dir", str(tuned(options))]
    command += ["--data", options.data] if options.data else []
    with subprocess.Popen(command, cwd=REFERENCE.parents[1]) as engine:
        try:
            code = engine.wait(max(1.0, until - ENDING - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            engine.terminate()  # it ends as by Ctrl-C, and the same command continues the run
            raise OutOfTime from error
    if code not in (0, NOT_MEASURED):
        raise ConfigError(f"the tuning of the reference ended with exit code {code}; see above")


def tuned(options: argparse.Namespace) -> Path:
    return Path(options.output.resolve() / TUNED)


def best_tuned(options: argparse.Namespace) -> Candidate | None:
    """The reference with the best numbers that tuning found, if it found better ones."""
    front = open_history(tuned(options)).front if (tuned(options) / FILE).is_file() else []
    return front[0] if front and front[0].index else None


def programs(options: argparse.Namespace, best: Candidate | None) -> Programs:
    """Seed and reference with the constants of the scale, and the reference with the numbers of `best`."""
    target, expert = load_target(folder_of(None)), load_target(REFERENCE)
    reader = plugins.load(plugins.READER)
    texts = {SEED: read_seed(reader(target.rules_at(options.scale)), target, options.scale).source}
    texts[EXPERT] = read_seed(reader(expert.rules), expert, options.scale).source
    if best:
        texts[TUNED] = reader(expert.rules).bind(best.genome, best.params)
    return Programs(texts, options.scale, budget_of(target, options.scale, None))


class Executors:
    """What runs the trials of each program: a target's own judge, opened when it is first asked for.

    `machine` is what they say of where they are, or what `results.json` says of an earlier call. Raises ConfigError for
    one that says another thing: losses, and gains of seconds, are compared on one kind of machine and one text.
    """

    def __init__(self, options: argparse.Namespace, stack: ExitStack) -> None:
        self._options, self._stack = options, stack
        self._opened: dict[Path, LocalExecutor] = {}
        path = options.output / "results.json"
        self._machine: dict[str, object] = json.loads(path.read_text())["machine"] if path.is_file() else {}

    def of(self, name: str) -> LocalExecutor:
        folder = folder_of(None) if name == SEED else REFERENCE
        if folder not in self._opened:
            target = load_target(folder)
            command = judge_command(target, self._options.scale, self._options.data)
            slots = slots_for(target, self._options.scale, self._options.slots)
            executor = LocalExecutor(command, slots, lambda trial: trial.genome.source, sys.stderr)
            self._opened[folder] = self._stack.enter_context(closing(executor))
            said = {key: executor.hello[key] for key in ABOUT}
            if self._machine and said != self._machine:
                raise ConfigError(f"not measured alike, choose another -o: {self._machine} before, now {said}")
            self._machine = said
        return self._opened[folder]

    @property
    def machine(self) -> dict[str, object]:
        if not self._machine:
            self.of(SEED)
        return self._machine


def interleaved(names: Iterable[str], budget: float, seeds: range) -> list[Key]:
    """The programs in turn, so that all meet the machine in the same state."""
    return [(name, budget, seed) for seed in seeds for name in names]


def in_rows(names: Iterable[str], budget: float, seeds: range) -> list[Key]:
    """All trainings of a program together, so that several run at a time."""
    return [(name, budget, seed) for name in names for seed in seeds]


def measure(options: argparse.Namespace, until: float) -> int:
    """Run what is missing, and write the results as they stand after each trial."""
    those = programs(options, best_tuned(options))
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    order = interleaved if options.slots == 1 else in_rows
    for name, text in those.texts.items():
        (options.output / f"{name}.py").write_text(text)
    with ExitStack() as stack:
        executors = Executors(options, stack)
        measured = Measured(options.output / "trials.jsonl", those, executors.of, until)

        def run(keys: list[Key]) -> None:
            for key in measured.measure(keys):
                loss = measured.of(*key[:2], [key[2]])[0]["val_bpb"]
                print(f"{key[0]} {key[1]:g} s, seed {key[2]}: val_bpb {loss:.4f}", file=sys.stderr, flush=True)
                write(options, measured, seeds, executors.machine)

        for budget in options.budgets:
            run(order(those.texts, budget, seeds))
        for budget in options.budgets:
            goal = fmean(m["val_bpb"] for m in measured.of(SEED, budget, seeds))
            while (rung := next_rung(curve(measured, budget, seeds), goal)) is not None:
                run([(EXPERT, rung * budget, seed) for seed in seeds])
        write(options, measured, seeds, executors.machine)
    print((options.output / "results.md").read_text())
    return 0


def curve(measured: Measured, budget: float, seeds: range) -> dict[float, list[float]]:
    """Losses of the reference by share of a budget, of all shares that were measured with all seeds."""
    known = sorted({row[1] for row in measured.metrics if row[1] <= budget})
    rows = {b / budget: [m["val_bpb"] for m in measured.of(EXPERT, b, seeds)] for b in known}
    return {share: losses for share, losses in rows.items() if len(losses) == len(seeds)}


def write(options: argparse.Namespace, measured: Measured, seeds: range, machine: Mapping[str, object]) -> None:
    """The results as they stand."""
    budgets = sorted({row[1] for row in measured.metrics} | set(options.budgets))
    runs = {name: {b: measured.of(name, b, seeds) for b in budgets} for name in measured.programs.texts}
    curves = {b: curve(measured, b, seeds) for b in options.budgets}
    found = summary(runs, curves, len(seeds)) | {"scale": options.scale, "machine": dict(machine)}
    (options.output / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    (options.output / "results.md").write_text(report(found))


if __name__ == "__main__":
    sys.exit(main())
