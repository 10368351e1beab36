"""What a comparison found as tables: for Markdown, for the page, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.comparison.again import NOTE
from benchmarks.comparison.outcome import (
    AREA,
    CONFIRMED_LOSS,
    CONFIRMED_TEST_LOSS,
    CONFIRMED_VOLUME,
    LOSS,
    MEASURES,
    VOLUME,
    Outcome,
    unseen,
)
from benchmarks.comparison.paired import Difference
from benchmarks.comparison.seeds import seeds_text
from benchmarks.comparison.statistics import SHARES, Comparison, TaskSummary
from evolve.journal import plain

NONE = "–"
COUNTS = "seeds ahead / equal / behind"
FACTS = ("task", "method", "seed", "total", "trials", "failures", "tokens", "usd", "latency")


@dataclass(frozen=True)
class Table:
    """`name` is the stem of its file; `note` says how to read it; `task` is "" where it is about all of them."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[str]]
    note: str = ""
    task: str = ""

    def markdown(self) -> str:
        lines = [self.columns, ["--", *["--:"] * (len(self.columns) - 1)], *self.rows]
        body = "\n".join("| " + " | ".join(in_markdown(cell) for cell in line) + " |" for line in lines)
        return f"## {in_markdown(self.title)}\n\n{body}\n" + (f"\n{self.note}\n" if self.note else "")

    def csv(self) -> str:
        return csv_text([self.columns, *self.rows])


def in_markdown(text: str) -> str:
    """One line of text that is no markup and ends no cell."""
    return " ".join(plain(text).replace("|", "\\|").replace("<", "&lt;").split())


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    found = io.StringIO()
    csv.writer(found, lineterminator="\n").writerows(rows)
    return found.getvalue()


def tables(comparison: Comparison) -> list[Table]:
    """All of them, what was asked first first."""
    found = [_tests(comparison)] if comparison.tests else []
    found += [table for task in comparison.tasks for table in _of_task(task, comparison.ours)]
    return [*found, *([_ranks(comparison)] if comparison.ranks else [])]


def label(measure: str, task: TaskSummary) -> str:
    """A measure in words; `loss` is the first objective of the task."""
    first = task.problem.objectives[0].name
    words = {VOLUME: "hypervolume", LOSS: f"best {first}", AREA: "mean hypervolume over the budget"}
    words |= {CONFIRMED_VOLUME: "confirmed hypervolume", CONFIRMED_LOSS: f"confirmed {first}"}
    words[CONFIRMED_TEST_LOSS] = f"confirmed {unseen(task.problem)}"
    return words.get(measure, measure)


def measures_of(task: TaskSummary) -> list[str]:
    """Those that some run has: the usual ones, then further metrics of the fresh runs by name."""
    found = {m for seeds in task.runs.values() for run in seeds.values() for m in run.values}
    return [m for m in MEASURES if m in found] + sorted(found - set(MEASURES))


def number(value: float | None) -> str:
    return NONE if value is None else f"{value:.4g}"


def p_value(value: float | None) -> str:
    return NONE if value is None else "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def spread(values: Iterable[float] | None) -> str:
    """The median, and the lowest and the highest where they differ from it."""
    found = sorted(values or ())
    if not found:
        return NONE
    middle = number(median(found))
    return middle if found[0] == found[-1] else f"{middle} ({number(found[0])} to {number(found[-1])})"


def apart(found: Difference | None) -> str:
    """A mean difference with its 95 % interval."""
    if found is None:
        return NONE
    between = "" if found.low is None or found.high is None else f" ({found.low:+.3g} to {found.high:+.3g})"
    return f"{found.mean:+.4g}{between}"


def counts(found: Difference | None) -> str:
    return f"{found.ahead} / {found.equal} / {found.behind}" if found else NONE


def _tests(comparison: Comparison) -> Table:
    known = {task.problem.name: task for task in comparison.tasks}
    rows = []
    for test in comparison.tests:
        hypothesis, found, task = test.hypothesis, test.difference, known.get(test.hypothesis.task)
        measure = label(hypothesis.measure, task) if task else hypothesis.measure
        said = [f"{hypothesis.method} against {hypothesis.against}", measure, test.verdict, p_value(test.adjusted)]
        rows.append([*said, apart(found), counts(found), p_value(test.p), hypothesis.task])
    columns = ["hypothesis", "measure", "verdict", "p, Holm", "difference (95 %)", COUNTS, "p", "task"]
    note = (
        "Two-sided Wilcoxon signed-rank tests on the planned seeds, in pairs, with Holm's correction over all rows; "
        "named in hypotheses.toml before the runs. A difference above 0 is for the method named first. No other pair "
        "of methods has a p-value; Friedman's tests of the average ranks, and Nemenyi's in a diagram of critical "
        "differences, are exploratory."
    )
    return Table("tests", "Primary tests", columns, rows, note)


def _of_task(task: TaskSummary, ours: str) -> list[Table]:
    return [_final(task), _claims(task), *([_differences(task, ours)] if task.differences else []), _costs(task)]


def _about(stem: str, title: str, task: TaskSummary, columns: list[str], rows: list[list[str]], note: str) -> Table:
    name = task.problem.name
    return Table(f"{stem}_{name}", f"{name}: {title}", columns, rows, note, name)


def _final(task: TaskSummary) -> Table:
    measures = measures_of(task)
    rows = []
    for method, seeds in task.runs.items():
        regrets = [task.regret(method, measure) for measure in (VOLUME, LOSS)]
        far = task.distances.get(method, [])
        cells = [spread(task.values(method, measure).values()) for measure in measures]
        cells += [spread(found.values() if found else None) for found in regrets]
        rows.append(
            [method, str(len(seeds)), *cells, *(spread(each) for each in (zip(*far, strict=True) if far else [(), ()]))]
        )
    columns = ["method", "seeds", *(label(measure, task) for measure in measures)]
    columns += ["regret, hypervolume", "regret, loss", "IGD+", "additive epsilon"]
    note = (
        "Median over seeds (lowest to highest) at the end of the budget. Hypervolume has the task's fixed reference "
        "point. Regret is 0 for the best run of all methods here and 1 for the seed program at the task's fixed "
        "values; it, IGD+ and epsilon (to the pooled front) move when a method is added."
    )
    return _about("final", "at the end", task, columns, rows, note)


def _claims(task: TaskSummary) -> Table:
    rows = []
    for method, seeds in task.runs.items():
        runs = list(seeds.values())
        kept = [len(run.confirmed) for run in runs if run.confirmed is not None]
        shown = (VOLUME, CONFIRMED_VOLUME, LOSS, CONFIRMED_LOSS, CONFIRMED_TEST_LOSS)
        cells = [spread(task.values(method, measure).values()) for measure in shown]
        fronts = [[len(run.claimed) for run in runs], [run.retrained for run in runs], kept]
        rows.append([method, *cells, *(spread(each) for each in fronts)])
    first = task.problem.objectives[0].name
    columns = [
        "method",
        "hypervolume, claimed",
        "confirmed",
        f"{first}, claimed",
        "confirmed",
        label(CONFIRMED_TEST_LOSS, task),
    ]
    columns += ["front, claimed", "trained again", "still non-dominated"]
    note = (
        "Confirmed: the means over fresh seeds, non-dominated members only. The confirmed losses are those of the "
        "member with the best claimed loss, so fresh seeds choose nothing; where one of its trainings failed, of the "
        f"next one that holds, at last the seed program. Nobody searched on test text. {NOTE}"
    )
    return _about("claims", "claimed and confirmed", task, columns, rows, note)


def _differences(task: TaskSummary, ours: str) -> Table:
    rows = []
    for method in sorted(task.differences):
        for measure in measures_of(task):
            found = task.differences[method].get(measure)
            if found:
                rows.append([method, label(measure, task), apart(found), counts(found), f"{found.delta:+.2f}"])
    columns = ["against", "measure", "difference (95 %)", COUNTS, "Cliff's delta"]
    note = (
        f"{ours} against each method on the same seeds; above 0 it is ahead. Mean difference with the bootstrap's 95 % "
        "interval (BCa); Cliff's delta (1993) is 1 where each run is ahead of each of the other's. No p-values: of "
        "pairs, only the primary tests were planned."
    )
    return _about("differences", f"{ours} against the others", task, columns, rows, note)


def _costs(task: TaskSummary) -> Table:
    columns = ["method", "charged s", "wall s", "of it waiting for a model", "trials", "failed", "tokens", "USD"]
    rows = []
    for method, seeds in task.runs.items():
        traces = [run.trace for run in seeds.values()]
        charged, wall = ([_last(run, name) for run in seeds.values()] for name in ("charged", "wall"))
        trials, failures = sum(t.trials for t in traces), sum(t.failures for t in traces)
        share = f"{failures} ({failures / trials:.0%})" if trials else NONE
        means = [spread(charged), spread(wall), spread(t.latency for t in traces), spread(t.trials for t in traces)]
        rows.append([method, *means, share, f"{sum(t.tokens for t in traces):,}", f"{sum(t.usd for t in traces):.2f}"])
    given = number(next(run.trace.total for seeds in task.runs.values() for run in seeds.values()))
    note = (
        f"Each run was given {given} charged device-seconds. Median a run (lowest to highest); failures, tokens and "
        "USD are of all runs together."
    )
    return _about("costs", "what it cost", task, columns, rows, note)


def _last(run: Outcome, name: str) -> float:
    return max((getattr(point, name) for point in run.trace.points), default=0.0)


def _ranks(comparison: Comparison) -> Table:
    rows = []
    for found in comparison.ranks:
        for i, method in enumerate(found.methods):
            rows.append([method, found.measure, *(f"{found.by_share[share][i]:.2f}" for share in SHARES)])
        rows.append(
            ["Friedman's p (exploratory)", found.measure, *(p_value(found.friedman[share]) for share in SHARES)]
        )
    first = comparison.ranks[0]
    left = sorted({method for task in comparison.tasks for method in task.runs} - set(first.methods))
    without = f"Without {', '.join(left)}, which lack some of these. " if left else ""
    columns = ["method", "measure", *(f"{share:.0%} of the budget" for share in SHARES)]
    note = (
        f"Average rank of what is claimed, over {first.blocks} blocks (a task and a seed that all these methods have "
        f"run; seeds {seeds_text(first.seeds)}); 1 is the best. "
        f"{without}Friedman's is the omnibus test that all of them are alike, at each share by itself and not "
        "corrected for their number: exploratory, no verdict rests on it, and the primary tests do not wait for it."
    )
    return Table("ranks", "Average ranks", columns, rows, note)


def runs_csv(comparison: Comparison) -> str:
    """Each run with all its numbers."""
    names = sorted({m for task in comparison.tasks for m in measures_of(task)})
    rows: list[list[object]] = [[*FACTS, *names]]
    for task in comparison.tasks:
        for method, seeds in task.runs.items():
            for seed, run in seeds.items():
                t = run.trace
                facts = [t.total, t.trials, t.failures, t.tokens, t.usd, t.latency]
                rows.append([task.problem.name, method, seed, *facts, *(run.values.get(name, "") for name in names)])
    return csv_text(rows)


def curves_csv(comparison: Comparison) -> str:
    """The medians over runs with their 95 % bands, time by time."""
    rows: list[list[object]] = [["task", "method", "measure", "charged", "median", "low", "high"]]
    for task in comparison.tasks:
        for method, pair in task.bands.items():
            for measure, found in zip((VOLUME, LOSS), pair, strict=True):
                nothing = [""] * len(found.times)
                low, high = (nothing if each is None else each.tolist() for each in (found.low, found.high))
                for row in zip(found.times.tolist(), found.median.tolist(), low, high, strict=True):
                    rows.append([task.problem.name, method, measure, *(f"{v:.7g}" if v != "" else v for v in row)])
    return csv_text(rows)
