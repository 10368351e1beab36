"""`python -m benchmarks report DIR -o OUT`: tables (Markdown, CSV), plots (PNG) and one HTML page."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.comparison.fronts import Problem
from benchmarks.comparison.hypotheses import FILE, Hypothesis, read_hypotheses
from benchmarks.comparison.outcome import CONFIRMED_TEST_LOSS
from benchmarks.comparison.page import page_of
from benchmarks.comparison.plots import plots
from benchmarks.comparison.seeds import seeds_text
from benchmarks.comparison.statistics import Comparison, TaskSummary, compare
from benchmarks.comparison.tables import curves_csv, in_markdown, runs_csv, tables
from benchmarks.comparison.trace import Trace, traces
from evolve.config import ConfigError
from evolve.journal import plain

OURS = "ours"


def report(
    runs: Sequence[Trace],
    problems: Sequence[Problem],
    out: Path,
    ours: str = OURS,
    hypotheses: Sequence[Hypothesis] = (),
) -> Comparison:
    """Writes `report.md`, `report.html`, PNG plots and CSV tables into `out`, which is made.

    Raises `ConfigError` as `compare` and `plots` do, and if `out` cannot be written.
    """
    comparison = compare(runs, problems, ours, hypotheses)
    found, heading, warnings = tables(comparison), headline(comparison), doubts(comparison)
    about = _about(comparison)
    try:
        out.mkdir(parents=True, exist_ok=True)
        light = plots(comparison, out)
        with TemporaryDirectory() as folder:
            pairs = list(zip(light, plots(comparison, Path(folder), dark=True), strict=True))
            (out / "report.html").write_text(page_of(heading, about, warnings, found, pairs), encoding="utf-8")
        pictures = [f"![{in_markdown(plot.title)}]({plot.path.name})\n\n{in_markdown(plot.words)}\n" for plot in light]
        said = [f"# {in_markdown(heading)}\n\n{in_markdown(about)}\n", *(f"* {in_markdown(d)}\n" for d in warnings)]
        texts = "\n".join([*said, *(table.markdown() for table in found), "## Plots\n", *pictures])
        (out / "report.md").write_text(plain(texts), encoding="utf-8")
        for table in found:
            (out / f"{table.name}.csv").write_text(table.csv(), encoding="utf-8")
        (out / "runs.csv").write_text(runs_csv(comparison), encoding="utf-8")
        (out / "curves.csv").write_text(curves_csv(comparison), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write to {out}: {error.strerror or error}") from error
    return comparison


def headline(comparison: Comparison) -> str:
    """What the primary tests say, in one sentence that hides none of them."""
    tests = comparison.tests
    if not tests:
        return f"{len(comparison.methods)} methods at equal cost; no primary test was planned"
    verdicts = [test.verdict.partition(":")[0] for test in tests]
    words = [("better", "better"), ("worse", "worse"), ("no difference shown", "without a difference shown")]
    words.append(("not tested", "not tested yet"))
    words.append(("different, but not in one direction", "different, but not in one direction"))
    counts = [f"{verdicts.count(verdict)} {word}" for verdict, word in words if verdict in verdicts]
    return f"{comparison.ours} in {len(tests)} primary tests at equal cost: {', '.join(counts)}"


def _about(comparison: Comparison) -> str:
    runs = sum(len(seeds) for task in comparison.tasks for seeds in task.runs.values())
    totals = {task.problem.name: next(iter(task.bands.values()))[0].times[-1] for task in comparison.tasks}
    given = ", ".join(f"{name} ({total:g} charged s a run)" for name, total in totals.items())
    return f"{runs} runs of {len(comparison.methods)} methods: {given}"


def doubts(comparison: Comparison) -> list[str]:
    """What a reader must know before the numbers: runs that are left out, seeds that are missing, claims that were
    not trained again or do not hold."""
    found = _left_out(comparison)
    for task in comparison.tasks:
        by_seeds: defaultdict[tuple[int, ...], list[str]] = defaultdict(list)
        for method, runs in task.runs.items():
            by_seeds[tuple(sorted(runs))].append(method)
        if len(by_seeds) > 1:
            counts = "; ".join(f"{len(seeds)} seeds: {', '.join(methods)}" for seeds, methods in by_seeds.items())
            found.append(
                f"{task.problem.name}: not all methods have run the same seeds. Pairs are those of both. {counts}"
            )
        bare = [f"{m} {s}" for m, runs in task.runs.items() for s, run in runs.items() if run.confirmed is None]
        if bare:
            found.append(f"{task.problem.name}: fronts not trained again on fresh seeds: {', '.join(bare)}.")
        fell = [f"{m} {s}" for m, runs in task.runs.items() for s, run in runs.items() if not run.held]
        if fell:
            words = "the best claim failed a fresh training, and the next one that holds counts"
            found.append(f"{task.problem.name}: {words}: {', '.join(fell)}.")
        if unread := _unread(task):
            found.append(f"{task.problem.name}: not scored on test text, where others were: {', '.join(unread)}.")
    return found


def _unread(task: TaskSummary) -> list[str]:
    """Runs that are confirmed without a loss on test text; none where the task has no such text."""
    confirmed = [(m, s, r) for m, runs in task.runs.items() for s, r in runs.items() if r.confirmed is not None]
    unread = [f"{method} {seed}" for method, seed, run in confirmed if CONFIRMED_TEST_LOSS not in run.values]
    return unread if len(unread) < len(confirmed) else []


def _left_out(comparison: Comparison) -> list[str]:
    by_method: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for run in comparison.left_out:
        by_method[run.task, run.method].add(run.seed)
    told = []
    for name in sorted({task for task, _ in by_method}):
        seeds = {s for test in comparison.tests if test.hypothesis.task == name for s in test.hypothesis.seeds}
        runs = "; ".join(f"{m} {seeds_text(found)}" for (task, m), found in sorted(by_method.items()) if task == name)
        told.append(f"{name}: left out of all numbers, as the plan names the seeds {seeds_text(seeds)}: {runs}.")
    return told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="what python -m benchmarks run -o DIR wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the report")
    parser.add_argument(
        "--ours", default=OURS, help="the method that the others are compared with (default: %(default)s)"
    )
    parser.add_argument("--hypotheses", type=Path, help=f"the primary hypotheses (default: DIR/{FILE} where it is)")


def main(options: argparse.Namespace) -> int:
    """Raises `ConfigError` as `report` does, and where a file in DIR cannot be used."""
    runs = list(traces(options.directory))
    problems = [problem_of(name) for name in sorted({run.task for run in runs})]
    comparison = report(runs, problems, options.output, options.ours, hypotheses_of(options))
    print(f"{plain(headline(comparison))}\n{options.output / 'report.html'}")
    return 0


def problem_of(name: str) -> Problem:
    """`TASK` of benchmarks/tasks/<name>.py. Raises `ConfigError` if there is none."""
    try:
        found: Problem = import_module(f"benchmarks.tasks.{name}").TASK
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"there is no task {plain(name)}: {error}") from error
    return found


def hypotheses_of(options: argparse.Namespace) -> list[Hypothesis]:
    """Those that were named, else those in the folder of the runs."""
    beside: Path = options.directory / FILE
    if options.hypotheses:
        return read_hypotheses(options.hypotheses)
    return read_hypotheses(beside) if beside.exists() else []
