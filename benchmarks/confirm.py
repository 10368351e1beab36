"""Trains the best candidate of a run and its seed program again: fresh seeds, test text, second corpus.

    python -m benchmarks.confirm RUN_DIR -o DIR [--seeds 5]

The target loss is measured anew from the fresh seed-program runs, so the speed-up owes nothing to the search. Writes
`results.md`, `results.json` and `progress.png`. Intervals are Welch's, 95 %.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from scipy import stats

from evolve import plugins
from evolve.assemble import judge_command
from evolve.config import ConfigError
from evolve.executors.local import JudgeError, LocalExecutor
from evolve.history import History
from evolve.model import Candidate, Trial
from evolve.objectives import next_rung, seconds_to_target
from evolve.reports.front import print_front
from evolve.reports.open import find_candidate, open_history
from evolve.reports.plot import plot_progress
from evolve.store import StoreError

FIRST_SEED = 9_000_001  # no search draws from here: its seeds are random 31-bit numbers or small ones


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--id", default="best", help="a candidate (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="fresh seeds (default: %(default)s)")
    options = parser.parse_args()
    try:
        history = open_history(options.run_dir)
        best = find_candidate(history, options.id)
        assert history.seed is not None
        options.output.mkdir(parents=True, exist_ok=True)
        results = confirm(history, history.seed, best, range(FIRST_SEED, FIRST_SEED + options.seeds))
    except (ConfigError, StoreError, JudgeError) as error:
        print(f"confirm: {error}", file=sys.stderr)
        return 2
    (options.output / "results.json").write_text(json.dumps(results, indent=1))
    (options.output / "results.md").write_text(report(history, best, results))
    plot_progress(history, options.output / "progress.png")
    print((options.output / "results.md").read_text())
    return 0


def confirm(history: History, seed: Candidate, best: Candidate, seeds: Sequence[int]) -> dict[str, Any]:
    """Metrics by program and seed, and the curve of the best around the fresh target loss."""
    settings = history.header["settings"]
    reader = plugins.reader_for(history.header)
    options = argparse.Namespace(scale=settings["scale"], data=history.header.get("data"))
    target = plugins.load_target(Path(history.header["target"]))

    def bind(trial: Trial) -> str:
        return str(reader.bind(trial.genome, trial.params))

    executor = LocalExecutor(judge_command(options, target), range(history.harness["slots"]), bind, sys.stderr)
    budget = float(settings["budget"])

    def train(candidate: Candidate, rung: float) -> list[dict[str, float]]:
        purpose = "report" if rung == 1.0 else "rung"
        trials = [
            Trial(candidate.genome, candidate.params, budget * rung, rung, settings["scale"], s, purpose) for s in seeds
        ]
        outcomes = [future.result() for future in [executor.submit(t) for t in trials]]
        for trial, outcome in zip(trials, outcomes, strict=True):
            if outcome.status != "ok":
                raise ConfigError(f"{candidate.id} with seed {trial.seed}: {outcome.status}, {outcome.reason}")
        return [dict(o.metrics) for o in outcomes]

    try:
        runs = {"seed": train(seed, 1.0), "best": train(best, 1.0)}
        goal = fmean(m[history.loss] for m in runs["seed"])
        curve = {1.0: [m[history.loss] for m in runs["best"]]}
        while (rung := next_rung(curve, goal)) is not None:
            curve[rung] = [m[history.loss] for m in train(best, rung)]
    finally:
        executor.close()
    return {
        "runs": runs,
        "curve": {f"{r:g}": v for r, v in curve.items()},
        "target": goal,
        "budget": budget,
        "id": best.id,
    }


def report(history: History, best: Candidate, results: dict[str, Any]) -> str:
    """The table and the sentences under it, as Markdown."""
    runs, n = results["runs"], len(results["runs"]["seed"])
    lines = [
        f"# Candidate {best.id} against the seed program: {n} fresh seeds each",
        "",
        "| | seed program | best | difference (95 % interval) |",
        "|---|--:|--:|--:|",
    ]
    for name in sorted(set(runs["seed"][0]) & set(runs["best"][0])):
        ours, theirs = ([m[name] for m in runs[key]] for key in ("best", "seed"))
        lines.append(f"| {name} | {_mean(theirs)} | {_mean(ours)} | {_interval(ours, theirs)} |")
    lines += ["", *_speed(results), "", _counts(history), "", _facts(history), ""]
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    return f"{fmean(values):.5g} ± {stats.sem(values):.2g}"


def _interval(ours: Sequence[float], theirs: Sequence[float]) -> str:
    difference = fmean(ours) - fmean(theirs)
    if len(set(ours) | set(theirs)) == 1:
        return f"{difference:+.4g}"
    low, high = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    return f"{difference:+.4g} ({low:+.4g} to {high:+.4g})"


def _speed(results: dict[str, Any]) -> list[str]:
    curve = {float(r): v for r, v in results["curve"].items()}
    if fmean(curve[1.0]) >= results["target"]:
        return ["The best does not reach the fresh mean loss of the seed program: no speed-up."]
    seconds = seconds_to_target(curve, results["target"], results["budget"])
    error = float(stats.t.ppf(0.975, seconds.n - 1)) * (seconds.sem or math.nan)
    sign = "<" if seconds.censored else ""
    return [
        f"Seconds to the seed program's loss ({results['target']:.4f}): {sign}{seconds.mean:.2f} ± {error:.2f} of "
        f"{results['budget']:g}, a speed-up of {results['budget'] / seconds.mean:.2f}x.",
    ]


def _counts(history: History) -> str:
    baselines = history.harness.get("baselines", {})
    return "Count models on the same text: " + ", ".join(f"{k} {v:.4f}" for k, v in baselines.items()) + "."


def _facts(history: History) -> str:
    from io import StringIO

    from rich.console import Console

    text = StringIO()
    print_front(Console(file=text, width=140), history)
    slots = max((end - start, slots) for start, end, slots in history.sessions)[1]
    return (
        f"The search: {history.finished} candidates, {history.charged:.0f} charged seconds in {history.wall:.0f} s of "
        f"wall clock on {slots} slots, which trained {history.busy:.0%} of that time; trials: "
        f"{dict(history.statuses)}.\n\n```\n{text.getvalue()}```"
    )


if __name__ == "__main__":
    sys.exit(main())
