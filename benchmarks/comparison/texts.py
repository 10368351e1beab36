"""Text that the search never saw, scored of whom a run hands over.

`train_again` scores it of the best claim alone. Where that failed a fresh training, the next one that holds is trained
once more for it.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.comparison.again import SEEDS, Training, Trainings
from benchmarks.comparison.fronts import Problem
from benchmarks.comparison.outcome import by_claim, handed_over, unseen
from benchmarks.comparison.trace import Retrained, Trace
from evolve.objectives import alike


def with_other_texts(trace: Trace, problem: Problem, trainings: Trainings) -> Trace:
    """The trace, in which the member that is handed over has its loss on all texts, by seed.

    Who fails at that does not hold either, and has no metrics; then it is the next one's turn. Raises `OutOfTime` and
    `JudgeError` as `Trainings.of` does.
    """
    while (member := handed_over(by_claim(trace, problem), problem)) and unseen(problem) not in member.metrics:
        done = trainings.of([(member.candidate, 1.0, seed, "report") for seed in SEEDS])
        held = all(training.status == "ok" for training in done)
        metrics = _texts(done, problem) | member.metrics if held else {}
        scored = Retrained(member.candidate, metrics)
        trace = replace(trace, retrained=tuple(scored if other is member else other for other in trace.retrained))
        if held:
            break
    return trace


def _texts(trainings: list[Training], problem: Problem) -> dict[str, list[float]]:
    shared = set.intersection(*(set(training.metrics) for training in trainings))
    return {name: [t.metrics[name] for t in trainings] for name in sorted(alike(problem.objectives[0].name, shared))}
