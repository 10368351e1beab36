"""The claimed front of a run, trained again on fresh seeds.

    full budget     5 seeds; of the member with the best loss all texts are scored, of the others validation text
    lower rungs     3 of them, only where they are needed to bracket the target

The seed program is trained again in each run, beside the members and seed by seed, so that all meet the machine in the
same state: its mean loss is the target of the seconds. None of it is charged to the run. At most `MEMBERS` of a front
are trained again, for it costs half as much as the search: the best loss, the fastest, and of the others those that
keep most of the claimed hypervolume. Scoring all texts takes longer than the training, and nothing is reported of them
but what the best loss is there.

Every training is a line of `retrained.jsonl` in the run directory, written when it ends, and none is done twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from statistics import fmean

from benchmarks.comparison.anytime import claimed_members
from benchmarks.comparison.fronts import Point, Problem, hypervolume
from benchmarks.comparison.place import Opened
from benchmarks.comparison.trace import Retrained, Trace
from benchmarks.fresh import FIRST_SEED, fresh_trial
from evolve.batch import run_all
from evolve.executors.local import JudgeError
from evolve.history import History
from evolve.lines import Lines
from evolve.model import Purpose
from evolve.objectives import SECONDS_TO_TARGET, alike, crossing, next_rung

FILE = "retrained.jsonl"
SEED = "0"  # the id of the seed program
SEEDS = tuple(range(FIRST_SEED, FIRST_SEED + 5))
LOWER_SEEDS = SEEDS[:3]
MEMBERS = 4
NOTE = (
    f"Fresh seeds: {len(SEEDS)} at the full budget, {len(LOWER_SEEDS)} at lower rungs, in each run beside its own seed "
    f"program, whose mean loss is the target of the seconds; not charged to the run. Of a front with more than "
    f"{MEMBERS} members the best loss, the fastest and those that keep most hypervolume are trained again; other texts "
    "are scored for the best loss alone."
)

Key = tuple[str, float, int, Purpose]  # candidate, rung, seed, what it is for


@dataclass(frozen=True)
class Training:
    """One training of a candidate at a share `rung` of the budget. Metrics are empty unless `status` is "ok"."""

    candidate: str
    rung: float
    seed: int
    purpose: Purpose
    status: str
    reason: str = ""
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return self.candidate, self.rung, self.seed, self.purpose


class Trainings:
    """Those of a run, in its directory. Raises `StoreError` where the file cannot be read or written."""

    def __init__(
        self, history: History, directory: Path, opened: Opened, until: float, tell: Callable[[], None]
    ) -> None:
        self._history = history
        self._lines = Lines(directory / FILE)
        self._opened = opened
        self._until = until if opened.hello else math.inf  # trainings in virtual time take none
        self._tell = tell
        self._known = {training.key: training for training in self._lines.read_as(lambda row: Training(**row))}

    def of(self, keys: Sequence[Key]) -> list[Training]:
        """These trainings, those that are not known yet done now. Raises `OutOfTime` and `JudgeError` as `run_all`."""
        missing = [key for key in keys if key not in self._known]
        settings, candidates = self._history.header["settings"], self._history.candidates
        jobs = [(key, fresh_trial(settings, candidates[key[0]], *key[1:])) for key in missing]
        for key, outcome in run_all(self._opened.executor, jobs, self._until, self._tick):
            self._add(Training(*key, outcome.status, outcome.reason, dict(outcome.metrics)))
        return [self._known[key] for key in keys]

    def losses(self, trainings: Sequence[Training]) -> list[float] | None:
        """By seed; None if one failed."""
        return None if any(t.status != "ok" for t in trainings) else [t.metrics[self._history.loss] for t in trainings]

    def _tick(self) -> None:
        self._opened.step()
        self._tell()

    def _add(self, training: Training) -> None:
        self._lines.add(asdict(training))
        self._known[training.key] = training


def train_again(trace: Trace, problem: Problem, history: History, trainings: Trainings) -> list[Retrained]:
    """The seed program and the chosen members of the front that `trace` claims, on fresh seeds.

    Metrics are the objectives and the loss on other texts, with a number for each seed; `seconds_to_target` has one,
    that of the mean curve. A member of which a training failed at the full budget has none; one that does not reach the
    target has no seconds.

    Raises `OutOfTime` if there is no time left for all, `JudgeError` if the machine or the seed program fails.
    """
    members = chosen(claimed_members(trace, problem), problem)
    names = list(dict.fromkeys([SEED, *members]))
    purpose: dict[str, Purpose] = dict.fromkeys(names, "confirm")
    purpose[(members or names)[0]] = "report"
    trainings.of([(name, 1.0, seed, purpose[name]) for seed in SEEDS for name in names])
    full = {name: trainings.of([(name, 1.0, seed, purpose[name]) for seed in SEEDS]) for name in names}
    losses = {name: trainings.losses(full[name]) for name in names}
    seeds_losses = losses[SEED]
    if seeds_losses is None:
        raise JudgeError("the seed program failed with a fresh seed")
    timed = any(axis.name == SECONDS_TO_TARGET for axis in problem.objectives)
    found = []
    for name in names:
        own, metrics = losses[name], dict[str, list[float]]()
        if own is not None:
            metrics = _metrics(full[name], problem, history.loss)
            metrics |= _seconds(name, own, fmean(seeds_losses), history, trainings) if timed else {}
        found.append(Retrained(name, metrics))
    return found


def _metrics(trainings: Sequence[Training], problem: Problem, loss: str) -> dict[str, list[float]]:
    """The objectives and the loss on other texts, by seed."""
    shared = set.intersection(*(set(t.metrics) for t in trainings))
    shown = shared & {*alike(loss, shared), *(axis.name for axis in problem.objectives)}
    return {name: [t.metrics[name] for t in trainings] for name in sorted(shown)}


def chosen(members: Sequence[tuple[str, Point]], problem: Problem) -> list[str]:
    """At most `MEMBERS` of a front: the best of each objective, and those that keep most hypervolume with them."""
    ends = list(dict.fromkeys(min(members, key=lambda m: m[1][i]) for i in range(len(problem.objectives)) if members))
    others = [member for member in members if member not in ends]
    more = min(len(others), max(0, MEMBERS - len(ends)))

    def kept(some: Sequence[tuple[str, Point]]) -> float:
        return hypervolume([point for _, point in [*ends, *some]], problem)

    return [name for name, _ in [*ends, *max(combinations(others, more), key=kept)]]


def _seconds(
    name: str, full: Sequence[float], target: float, history: History, trainings: Trainings
) -> dict[str, list[float]]:
    """`seconds_to_target` of a candidate with the losses `full` at the full budget; nothing if it does not reach the
    target, or failed at a lower rung."""
    budget = float(history.header["settings"]["budget"])
    if name == SEED:
        return {SECONDS_TO_TARGET: [budget]}
    curve = {1.0: full}
    while (rung := next_rung(curve, target)) is not None:
        losses = trainings.losses(trainings.of([(name, rung, seed, "rung") for seed in LOWER_SEEDS]))
        if losses is None:
            return {}
        curve[rung] = losses
    means = {rung: fmean(losses) for rung, losses in curve.items()}
    return {} if means[1.0] > target else {SECONDS_TO_TARGET: [budget * crossing(means, target)[0]]}
