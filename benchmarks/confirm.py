"""Trains a candidate of a run and its seed program again: fresh seeds, test text, second corpus.

    python -m benchmarks.confirm RUN_DIR -o DIR [--id ID] [--seeds 5] [--target DIR]

Each seed trains both programs one after the other, so that both meet the machine in the same state. The target loss is
measured anew from the fresh runs of the seed program, so the speed-up owes nothing to the search. Each training is a
line of `trainings.jsonl`, and the same command goes on with them, on the same machine; of a pair that was cut off both
are trained again. Writes `results.md`, `results.json` and `progress.png`; where `results.json` has them already,
nothing is trained, so that a machine without the extra `benchmarks` may train and another one report. Intervals are
95 %: Welch's for differences, bootstrapped over the seeds of both programs for the speed-up.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.fresh import ABOUT, FIRST_SEED, fresh_trial
from evolve import plugins
from evolve.assemble import executor_of
from evolve.batch import run_all
from evolve.commands.options import target_option
from evolve.commands.signals import INTERRUPTED
from evolve.config import ConfigError, Target, load_target
from evolve.executors.local import JudgeError
from evolve.history import History
from evolve.judges import judge_command
from evolve.lines import Lines
from evolve.model import Candidate, Outcome, digest
from evolve.objectives import alike, crossing, next_rung
from evolve.plots.progress import plot_progress
from evolve.reports.audit import Pace, counted
from evolve.reports.front import print_front
from evolve.reports.open import find_candidate, open_history
from evolve.store import StoreError

RESAMPLES = 2000
TRAININGS = "trainings.jsonl"
Runs = list[dict[str, float]]  # metrics by seed
Key = tuple[str, float, int]  # candidate, rung, seed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--id", default="best", help="a candidate (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="fresh seeds (default: %(default)s)")
    target_option(parser)
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error(f"--seeds {options.seeds}: intervals need at least 2")
    try:
        history = open_history(options.run_dir)
        candidate = find_candidate(history, options.id)
        options.output.mkdir(parents=True, exist_ok=True)
        results = measured(history, candidate, options.seeds, options.output / "results.json", options.target)
        if find_spec("scipy") is None:
            raise ConfigError(
                f"{options.output}/results.json has what was trained. The report needs scipy: pip install -c "
                "constraints.txt -e '.[benchmarks]', and the same command"
            )
        (options.output / "results.md").write_text(report(history, results))
        plot_progress(history, options.output / "progress.png")
    except (ConfigError, StoreError, JudgeError) as error:
        print(f"confirm: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"confirm: stopped; the same command goes on with what is in {options.output}", file=sys.stderr)
        return INTERRUPTED
    print((options.output / "results.md").read_text())
    return 0


def measured(
    history: History, candidate: Candidate, seeds: int, path: Path, moved_to: str | None = None
) -> dict[str, Any]:
    """The results of a candidate with so many seeds: those of the file, or new ones, which it has afterwards.

    `moved_to` is where the target of the run is now. Raises ConfigError where the file holds something else, and for
    the seed program, which would be compared with itself.
    """
    if candidate is history.seed:
        raise ConfigError("the seed program is what others are compared with: --id names another one")
    params = dict(candidate.params)
    of = {"settings": history.header["settings"], "program": candidate.genome.key, "params": params, "seeds": seeds}
    of = json.loads(json.dumps(of))
    if path.is_file():
        try:
            known = dict(json.loads(path.read_text()))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{path} is damaged: remove it, or choose another -o") from error
        if known.get("of") != of:
            raise ConfigError(f"{path} is of another candidate, run or number of seeds: choose another -o")
        print(f"Nothing is trained: {path} has it already.", file=sys.stderr)
        return known
    target = load_target(plugins.target_of(history.header, moved_to))
    results = confirm(history, target, candidate, range(FIRST_SEED, FIRST_SEED + seeds), path.with_name(TRAININGS))
    results |= {"counts": count_models(history, target), "of": of}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(results, indent=1))
    new.replace(path)
    return results


class Kept:
    """Metrics of the trainings in a file of JSON lines, by candidate, rung and seed.

    Raises `ConfigError` where one is `of` something else, by its digest, `StoreError` where the file cannot be read or
    written.
    """

    def __init__(self, path: Path, of: str) -> None:
        self._lines, self._of = Lines(path), of
        if any(theirs != of for theirs in self._lines.read_as(lambda row: row["of"])):
            raise ConfigError(f"{path} is of another candidate, run, text or machine: choose another -o")
        self.metrics: dict[Key, dict[str, float]] = dict(
            self._lines.read_as(lambda row: ((row["id"], row["rung"], row["seed"]), row["metrics"]))
        )

    def add(self, key: Key, outcome: Outcome) -> None:
        """Raises `ConfigError` for a training that failed."""
        if outcome.status != "ok":
            raise ConfigError(f"candidate {key[0]}, seed {key[2]}: {outcome.status}, {outcome.reason}")
        metrics = dict(outcome.metrics)
        self._lines.add({"id": key[0], "rung": key[1], "seed": key[2], "metrics": metrics, "of": self._of})
        self.metrics[key] = metrics


def confirm(history: History, target: Target, candidate: Candidate, seeds: Sequence[int], path: Path) -> dict[str, Any]:
    """Metrics of both programs by seed, and the curve of the candidate around the fresh target loss.

    The trainings are kept in the file `path`. Raises as `Kept`, and `JudgeError`.
    """
    settings, program = history.header["settings"], history.seed
    assert program is not None

    with closing(executor_of(history, target, sys.stderr)) as executor:
        machine = {key: executor.hello[key] for key in ABOUT}
        kept = Kept(path, digest(json.dumps([settings, candidate.genome.key, dict(candidate.params), machine])))

        def train(rung: float, *which: Candidate) -> Runs:
            named = {each.id: each for each in which}
            keys = [(name, rung, seed) for seed in seeds for name in named]
            cut = {seed for name, _, seed in keys if (name, rung, seed) not in kept.metrics}
            jobs = [(key, fresh_trial(settings, named[key[0]], *key[1:])) for key in keys if key[2] in cut]
            done: list[Key] = []
            with Pace(Console(stderr=True), len(jobs), executor.slots) as pace:
                for key, outcome in run_all(executor, jobs, math.inf, lambda: pace(len(done))):
                    kept.add(key, outcome)
                    done.append(key)
                said = f"{counted(len(jobs), 'training')} of {rung * settings['budget']:g} s, {pace.said(len(jobs))}"
            print(said, file=sys.stderr, flush=True)
            return [kept.metrics[key] for key in keys]

        full = train(1.0, program, candidate)
        runs = {"seed": full[::2], "candidate": full[1::2]}
        goal = fmean(m[history.loss] for m in runs["seed"])
        curve = {1.0: [m[history.loss] for m in runs["candidate"]]}
        while (rung := next_rung(curve, goal)) is not None:
            curve[rung] = [m[history.loss] for m in train(rung, candidate)]
        about = machine | {"slots": executor.slots}
    named = {f"{rung:g}": losses for rung, losses in curve.items()}
    return {"id": candidate.id, "budget": settings["budget"], "runs": runs, "curve": named, "machine": about}


def count_models(history: History, target: Target) -> dict[str, dict[str, float]]:
    """Bits per byte of the count models on validation and test text and the second corpus."""
    header = history.header
    command = judge_command(target, header["settings"]["scale"], header.get("data"))
    said = subprocess.run([sys.executable, *command, "--counts"], capture_output=True, text=True)
    return dict(json.loads(said.stdout)) if said.returncode == 0 else {}


def report(history: History, results: dict[str, Any]) -> str:
    """The tables and the sentences under them, as Markdown."""
    runs, names = results["runs"], ("seed", "candidate")
    n = len(runs["seed"])
    lines = [
        f"# Candidate {results['id']} against the seed program: {n} fresh seeds each",
        "",
        f"| | seed program | candidate {results['id']} | difference (95 % interval) | unigram | bigram | trigram |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    losses = alike(history.loss, runs["seed"][0])
    for name in sorted(set(runs["seed"][0]) & set(runs["candidate"][0]), key=lambda name: (name not in losses, name)):
        theirs, ours = ([m[name] for m in runs[key]] for key in names)
        counts = results["counts"].get(name.rpartition("_")[0], {}) if name in losses else {}
        models = [f"{counts[model]:.4f}" if model in counts else "" for model in ("unigram", "bigram", "trigram")]
        lines.append(f"| {name} | {_mean(theirs)} | {_mean(ours)} | {_interval(ours, theirs)} | {' | '.join(models)} |")
    machine = f"Measured on {results['machine']['slots']} slots: {results['machine']}"
    lines += ["", f"Of the search: {history.weakness}."] if history.weakness else []
    lines += ["", speed(history.loss, results), "", machine, "", *_search(history), ""]
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    from scipy import stats

    return f"{fmean(values):.5g} ± {stats.sem(values):.2g}"


def _interval(ours: Sequence[float], theirs: Sequence[float]) -> str:
    difference = fmean(ours) - fmean(theirs)
    if len(set(ours)) == len(set(theirs)) == 1:
        return f"{difference:+.4g}"
    from scipy import stats

    low, high = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    return f"{difference:+.4g} ({low:+.4g} to {high:+.4g})"


def speed(loss: str, results: dict[str, Any]) -> str:
    """The speed-up: budget over the seconds until the candidate reaches the seed program's fresh mean loss."""
    from scipy import stats

    curve = {float(rung): np.array(losses) for rung, losses in results["curve"].items()}
    theirs = np.array([m[loss] for m in results["runs"]["seed"]])
    lowest = min(curve)

    def factor(sample: np.ndarray, seeds: np.ndarray) -> float:
        """1 where the target is not reached, the largest that was looked for where it is reached at once."""
        target, chosen = float(sample.mean()), seeds.astype(int)  # scipy hands them over as floats
        means = {rung: float(losses[chosen].mean()) for rung, losses in curve.items()}
        return 1.0 if means[1.0] > target else 1 / crossing(means, target)[0]

    everyone = np.arange(len(curve[1.0]))
    if curve[1.0].mean() > theirs.mean():
        return "The candidate does not reach the fresh mean loss of the seed program: no speed-up."
    found = factor(theirs, everyone)
    more = "more than " if found >= 1 / lowest else ""
    resampled = stats.bootstrap(
        (theirs, everyone), factor, n_resamples=RESAMPLES, vectorized=False, method="percentile", rng=0
    ).confidence_interval
    return (
        f"It reaches the seed program's mean loss ({theirs.mean():.4f}) in {results['budget'] / found:.2f} of "
        f"{results['budget']:g} s: a speed-up of {more}{found:.2f}x (95 % interval {resampled.low:.2f} to "
        f"{resampled.high:.2f}; at most {1 / lowest:g} can be seen)."
    )


def _search(history: History) -> list[str]:
    """What the search was and what it reported itself."""
    text = StringIO()
    print_front(Console(file=text, width=140), history)
    slots = max((end - start, slots) for start, end, slots in history.sessions)[1]
    return [
        f"The search: {history.finished} candidates, {history.charged:.0f} charged seconds in {history.wall:.0f} s of "
        f"wall clock on {slots} slots, which trained {history.busy:.0%} of that time; trials: "
        f"{dict(history.statuses)}.",
        "",
        f"Its settings: {history.header['settings']}",
        "",
        f"```\n{text.getvalue()}```",
    ]


if __name__ == "__main__":
    sys.exit(main())
