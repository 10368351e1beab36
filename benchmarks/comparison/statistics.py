"""The runs of a benchmark, summed up: by task, over tasks, and the tests that were planned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.comparison.anytime import Band, band, grid
from benchmarks.comparison.fronts import (
    Floats,
    Point,
    Problem,
    attainment,
    distance,
    hypervolume,
    nondominated,
    point_of,
)
from benchmarks.comparison.hypotheses import Hypothesis, by_plan
from benchmarks.comparison.outcome import AREA, CONFIRMED_LOSS, CONFIRMED_VOLUME, LOSS, VOLUME, Outcome, measured
from benchmarks.comparison.paired import Difference, difference, wilcoxon
from benchmarks.comparison.posthocs import holm
from benchmarks.comparison.ranks import average_ranks, friedman
from benchmarks.comparison.seeds import seeds_text
from benchmarks.comparison.trace import Trace
from evolve.config import ConfigError

SHARES = (0.1, 0.25, 0.5, 1.0)  # of the budget, where ranks are told
LEVEL = 0.05
PLENTY = 10  # blocks, beyond which ranks would rather be of more methods

Runs = dict[str, dict[int, Outcome]]  # by method and seed


@dataclass(frozen=True)
class TaskSummary:
    """One task. All by method; `bests` are the best values of each measure over all methods, for the regret."""

    problem: Problem
    runs: Runs
    bands: Mapping[str, tuple[Band, Band]]  # hypervolume and loss
    differences: Mapping[str, Mapping[str, Difference]]  # ours against each other method, by measure
    surfaces: Mapping[str, Mapping[int, Floats]]  # none if there are not two objectives
    distances: Mapping[str, list[tuple[float, float]]]  # IGD+ and additive epsilon of each run's claimed front
    bests: Mapping[str, float]

    def values(self, method: str, measure: str) -> dict[int, float]:
        """By seed, of the runs that have it."""
        return {seed: run.values[measure] for seed, run in self.runs[method].items() if measure in run.values}

    def sign(self, measure: str) -> int:
        """1 where more of a measure is better, -1 where less is."""
        return sign_of(measure, self.problem)

    def regret(self, method: str, measure: str) -> dict[int, float] | None:
        """(y - best) / (seed program - best) of `VOLUME` or `LOSS`, claimed or confirmed, by seed of the run.

        0 is the best run of all methods, 1 the seed program with the task's fixed values, more than 1 is worse than it.
        Their hypervolume is above 0 where they are better than the reference point. None where no method found
        anything better.
        """
        default = seed_value(measure, self.problem)
        best = self.bests.get(measure, default)
        if self.sign(measure) * (best - default) <= 0:
            return None
        return {seed: abs(y - best) / abs(default - best) for seed, y in self.values(method, measure).items()}


Block = tuple[TaskSummary, int]  # a task and a seed


@dataclass(frozen=True)
class Ranks:
    """Average ranks over `blocks`, each of `seeds` of a task that all `methods` have run; `by_share` of the budget."""

    measure: str
    methods: list[str]
    blocks: int
    seeds: list[int]
    by_share: Mapping[float, list[float]]
    friedman: Mapping[float, float | None]  # p-values


@dataclass(frozen=True)
class PrimaryTest:
    """A primary hypothesis and what became of it. `p` and `adjusted` are None if a planned seed has no pair."""

    hypothesis: Hypothesis
    pairs: int
    difference: Difference | None
    p: float | None = None
    adjusted: float | None = None

    @property
    def verdict(self) -> str:
        planned, found = len(self.hypothesis.seeds), self.difference
        if self.p is None or self.adjusted is None or found is None:
            return f"not tested: {self.pairs} of {planned} pairs"
        if self.adjusted > LEVEL:
            return "no difference shown"
        if found.mean > 0 and found.ahead > found.behind:
            return "better"
        return "worse" if found.mean < 0 and found.ahead < found.behind else "different, but not in one direction"


@dataclass(frozen=True)
class Comparison:
    """A benchmark: `ours` is the method that the others are compared with. The runs `left_out` are in no number."""

    ours: str
    tasks: list[TaskSummary]
    ranks: list[Ranks]
    tests: list[PrimaryTest]
    left_out: list[Trace]

    @property
    def methods(self) -> list[str]:
        """Ours first, then by name."""
        return sorted({m for task in self.tasks for m in task.runs}, key=lambda m: (m != self.ours, m))


def compare(
    traces: Sequence[Trace], problems: Sequence[Problem], ours: str, hypotheses: Sequence[Hypothesis] = ()
) -> Comparison:
    """Of the runs with planned seeds, see `by_plan`.

    Raises `ConfigError` if there is none, or runs are not comparable: twice the same seed, different totals.
    """
    if not traces:
        raise ConfigError("nothing to report: there is no finished run; start python -m benchmarks run first")
    traces, left_out = by_plan(traces, hypotheses)
    if not traces:
        seeds = seeds_text({run.seed for run in left_out})
        raise ConfigError(f"nothing to report: the runs have the seeds {seeds}, and the hypotheses name others")
    known = {problem.name: problem for problem in problems}
    by_task: defaultdict[str, list[Trace]] = defaultdict(list)
    for trace in traces:
        if trace.task not in known:
            raise ConfigError(f"a run is of the task {trace.task}, which there is not; there are {', '.join(known)}")
        by_task[trace.task].append(trace)
    tasks = [_summary(known[name], found, ours) for name, found in sorted(by_task.items())]
    if not any(ours in task.runs for task in tasks):
        methods = sorted({method for task in tasks for method in task.runs})
        raise ConfigError(f"no run is of the method {ours}; --ours must be one of {', '.join(methods)}")
    methods, blocks = _complete(tasks, ours)
    ranks = [_ranks(methods, blocks, measure) for measure in (VOLUME, LOSS)] if blocks else []
    return Comparison(ours, tasks, ranks, _tests(hypotheses, tasks), left_out)


def _summary(problem: Problem, traces: Sequence[Trace], ours: str) -> TaskSummary:
    totals = {trace.total for trace in traces}
    if len(totals) > 1:
        given = ", ".join(f"{total:g}" for total in sorted(totals))
        raise ConfigError(f"runs of {problem.name} had different totals ({given} s): compare those of one --total")
    runs: Runs = {}
    for trace in sorted(traces, key=lambda t: (t.method != ours, t.method, t.seed)):
        if trace.seed in runs.setdefault(trace.method, {}):
            raise ConfigError(f"there are two runs of {trace.method} on {problem.name} with seed {trace.seed}")
        runs[trace.method][trace.seed] = measured(trace, problem)
    times = grid(totals.pop())
    every = [run for seeds in runs.values() for run in seeds.values()]
    pooled = _pooled(every)
    fronts = {method: [run.claimed for run in seeds.values()] for method, seeds in runs.items()}
    flat = len(problem.objectives) == 2
    curves = {m: ([run.volume for run in s.values()], [run.loss for run in s.values()]) for m, s in runs.items()}
    return TaskSummary(
        problem,
        runs,
        {m: (band(volumes, times), band(losses, times)) for m, (volumes, losses) in curves.items()},
        _differences(runs, problem, ours),
        {method: attainment(found, problem) for method, found in fronts.items()} if flat else {},
        {m: [distance(front, pooled, problem) for front in found] for m, found in fronts.items()} if pooled else {},
        _bests(every, problem),
    )


def _pooled(runs: Sequence[Outcome]) -> list[Point]:
    points = [point for run in runs for point in run.claimed]
    return [point for point, kept in zip(points, nondominated(points), strict=True) if kept]


def sign_of(measure: str, problem: Problem) -> int:
    """1 where more of a measure is better: hypervolumes; a loss and further metrics go as the first objective goes."""
    volume = measure == AREA or measure.endswith(VOLUME)
    return 1 if volume or problem.objectives[0].direction == "maximize" else -1


def seed_value(measure: str, problem: Problem) -> float:
    """A hypervolume or a loss, claimed or confirmed, of a run that has nothing but the seed program."""
    if measure in (LOSS, CONFIRMED_LOSS):
        return problem.seed[problem.objectives[0].name]
    if measure not in (VOLUME, CONFIRMED_VOLUME):
        raise KeyError(f"a task does not say which {measure} its seed program has")
    point = point_of(problem.seed, problem)
    return hypervolume([point], problem) if point else 0.0


def _bests(runs: Sequence[Outcome], problem: Problem) -> dict[str, float]:
    found: dict[str, float] = {}
    for run in runs:
        for measure, value in run.values.items():
            best = max if sign_of(measure, problem) > 0 else min
            found[measure] = best(found.get(measure, value), value)
    return found


def _pairs(
    runs: Runs, a: str, b: str, measure: str, sign: int, planned: Collection[int] | None = None
) -> tuple[list[float], list[float]]:
    """The values of two methods on the seeds that both have, turned so that more is better; only of those `planned`."""
    mine, other = ({s: r.values[measure] for s, r in runs.get(m, {}).items() if measure in r.values} for m in (a, b))
    seeds = sorted(seed for seed in mine.keys() & other.keys() if planned is None or seed in planned)
    return [sign * mine[seed] for seed in seeds], [sign * other[seed] for seed in seeds]


def _differences(runs: Runs, problem: Problem, ours: str) -> dict[str, dict[str, Difference]]:
    measures = sorted({measure for seeds in runs.values() for run in seeds.values() for measure in run.values})
    found: dict[str, dict[str, Difference]] = {}
    for method in runs.keys() - {ours} if ours in runs else ():
        for measure in measures:
            a, b = _pairs(runs, ours, method, measure, sign_of(measure, problem))
            if a:
                found.setdefault(method, {})[measure] = difference(a, b)
    return found


def _ranks(methods: list[str], blocks: Sequence[Block], measure: str) -> Ranks:
    by_share, tests = {}, {}
    for share in SHARES:
        values = np.array([[_at(task.runs[m][seed], task, measure, share) for m in methods] for task, seed in blocks])
        by_share[share], tests[share] = average_ranks(values).tolist(), friedman(values)
    return Ranks(measure, methods, len(blocks), sorted({seed for _, seed in blocks}), by_share, tests)


def _complete(tasks: Sequence[TaskSummary], ours: str) -> tuple[list[str], list[Block]]:
    """Methods, `ours` among them where it has run, and the blocks in which none of them is missing, some of each task.

    Of all sets of methods that two blocks have in common the one with most runs, where blocks beyond `PLENTY` do not
    count: a method with other seeds takes no block from the rest, and many seeds of a few take no method away. None
    where no block has two methods.
    """
    known = [m for m in tasks[0].runs if all(m in task.runs for task in tasks)]
    blocks = [(task, seed) for task in tasks for seed in sorted({s for m in known for s in task.runs[m]})]
    have = [frozenset(m for m in known if seed in task.runs[m]) for task, seed in blocks]
    needed = {ours}.intersection(known)
    common = {a & b for a in have for b in have}
    found: tuple[list[str], list[Block]] = [], []
    for methods in sorted((s for s in common if len(s) > 1 and needed <= s), key=lambda s: (-len(s), sorted(s))):
        some = [block for block, there in zip(blocks, have, strict=True) if methods <= there]
        more = len(methods) * min(len(some), PLENTY) > len(found[0]) * min(len(found[1]), PLENTY)
        if more and len({task.problem.name for task, _ in some}) == len(tasks):
            found = [m for m in known if m in methods], some
    return found


def _at(run: Outcome, task: TaskSummary, measure: str, share: float) -> float:
    steps = run.volume if measure == VOLUME else run.loss
    return task.sign(measure) * float(steps.at(np.array([share * run.trace.total]))[0])


def _tests(hypotheses: Sequence[Hypothesis], tasks: Sequence[TaskSummary]) -> list[PrimaryTest]:
    """Wilcoxon's signed-rank test for each that has a pair for each planned seed, on these and no other.

    Holm over all that were planned, done or not.
    """
    known = {task.problem.name: task for task in tasks}
    tests = []
    for hypothesis in hypotheses:
        task = known.get(hypothesis.task)
        if task is None:
            tests.append(PrimaryTest(hypothesis, 0, None))
            continue
        sign, seeds = task.sign(hypothesis.measure), hypothesis.seeds
        a, b = _pairs(task.runs, hypothesis.method, hypothesis.against, hypothesis.measure, sign, seeds)
        found = PrimaryTest(hypothesis, len(a), difference(a, b) if a else None)
        tests.append(replace(found, p=wilcoxon(a, b)) if len(a) == len(seeds) else found)
    adjusted = holm([1.0 if test.p is None else test.p for test in tests])
    return [test if test.p is None else replace(test, adjusted=p) for test, p in zip(tests, adjusted, strict=True)]
