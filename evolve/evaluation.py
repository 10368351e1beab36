"""How a candidate is measured: smoke, tuning at the low rung, higher rungs, full budget, fresh seeds.

An evaluation is a generator. It yields what it needs, `Run` (trials, run at the same time) or `Ask` (a question about
the rest of the population), is sent the outcomes or the answer, and returns a `Result`. It does no I/O and depends on
nothing but what it is sent, so an interrupted one is finished by sending it the recorded answers again.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean
from typing import Literal

from evolve.model import Fitness, Genome, Objective, Outcome, Params, Purpose, Status, Trial, Verdict
from evolve.objectives import SECONDS_TO_TARGET, Curve, fitness, lacking, seed_fitness
from evolve.proposals import Seen
from evolve.protocols import Tuner

FRONT_SEEDS = 3  # seeds that a member of the front is measured with
CONFIRMING: tuple[tuple[Purpose, Purpose], ...] = (  # of each seed: what trainings below and at the full budget are for
    ("rung", "rung"),
    ("confirm", "audit"),
    ("confirm", "confirm"),
)
NOTHING_BETTER = "no better numbers than those known of this structure"


@dataclass(frozen=True)
class Plan:
    """How much an evaluation spends. `rungs` are shares of `budget` (seconds), ascending, the last one 1.

    Without `smoke_seconds` nothing is trained before the low rung. Without any `tune_trials` a child is trained as it
    was made, at the last of its rungs from the first trial on. That may be less than the full budget: then this is all
    that is asked of it. `seen` is what a child with edits must have in common with an earlier one to be refused as seen
    before.

    `curve` says who is trained for less too, for the seconds to the target: all that reach it, or only a child that has
    the best loss of the run, where the loss alone is optimised or numbers alone are tried; of any other only the full
    budget is known as a bound. `controls`: whether the seed program is trained again from time to time.
    """

    objectives: tuple[Objective, ...]
    scale: str
    budget: float
    rungs: tuple[float, ...]
    tune_trials: int
    smoke_seconds: float
    target: float | None = None  # L*, None while the seed is measured
    seen: Seen = "structure"
    curve: Literal["reached", "best"] = "reached"
    controls: bool = True

    def trial(self, genome: Genome, params: Params, rung: float, seed: int, purpose: Purpose) -> Trial:
        seconds = self.smoke_seconds if purpose == "smoke" else self.budget * rung
        return Trial(genome, dict(params), seconds, rung, self.scale, seed, purpose)


@dataclass(frozen=True)
class Run:
    """Run these trials; send back a list of their outcomes in the same order."""

    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Ask:
    """Should this candidate go on? `name` is a rung ("0.25") or "front" with the number of seeds so far.

    At the front `fitness` is compared, or, without one, the loss with the best confirmed one.
    """

    name: str
    loss: float
    fitness: Fitness | None = None


@dataclass(frozen=True)
class Result:
    """What an evaluation found."""

    verdict: Verdict
    params: Params
    reason: str = ""
    rung: float = 0.0
    fitness: Fitness | None = None
    losses: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    violation: str = ""
    checks: Mapping[str, str] = field(default_factory=dict)
    quarantined: str = ""


Evaluation = Generator[Run | Ask, list[Outcome] | bool, Result]


def admitted(outcome: Outcome, trial: Trial, objectives: Sequence[Objective]) -> Outcome:
    """What an executor reports, as it may be recorded: no number that is not finite, no success without a score.

    A charge that is no finite number >= 0 becomes the trial's budget: nobody knows how far it came. A proven violation
    is no success, whatever else is said.
    """
    if not (math.isfinite(outcome.seconds) and outcome.seconds >= 0):
        outcome = replace(outcome, seconds=trial.budget)
    wrong = [f"{name} = {value}" for name, value in outcome.metrics.items() if not math.isfinite(value)]
    needed = {o.name for o in objectives} - {SECONDS_TO_TARGET} if trial.purpose != "smoke" else set()
    if outcome.status == "ok" and (missing := sorted(needed - outcome.metrics.keys())):
        there = ", ".join(sorted(outcome.metrics)) or "none"
        wrong += [f"no {' and no '.join(missing)}, an objective in target.toml; the metrics of its judge are {there}"]
    wrong += [f"proven violation, {outcome.violation}"] if outcome.violation and outcome.status == "ok" else []
    if not wrong:
        return outcome
    status: Status = "invalid" if outcome.status == "ok" else outcome.status
    return replace(outcome, status=status, metrics={}, reason=outcome.reason or f"not a score: {', '.join(wrong)}")


class Failed(Exception):
    """A trial that had to succeed did not. `rung` is the highest one that the candidate finished before."""

    def __init__(self, when: str, outcome: Outcome) -> None:
        super().__init__(f"{outcome.status} {when}: {outcome.reason}")
        self.outcome = outcome
        self.rung = 0.0

    def result(self, params: Params) -> Result:
        """What it means for the candidate."""
        outcome = self.outcome
        return Result("failed", params, str(self), self.rung, violation=outcome.violation, checks=outcome.checks)


def evaluate(
    plan: Plan, genome: Genome, anchor: Params, tuner: Tuner, seeds: Sequence[int], bar: float = math.inf
) -> Evaluation:
    """Measure a child. `anchor` are its first parameters; `seeds` are fresh ones, at least `FRONT_SEEDS`.

    `bar` is the best loss known of this genome at the low rung, where a study is continued: it has to be beaten there.

    Trials that choose between parameter sets share one seed a rung (`tune_seed`); what counts for the fitness is
    trained again from `seeds`.
    """
    try:
        return (yield from _evaluate(plan, genome, anchor, tuner, seeds, bar))
    except Failed as failure:
        return failure.result(anchor)


def _evaluate(plan: Plan, genome: Genome, anchor: Params, tuner: Tuner, seeds: Sequence[int], bar: float) -> Evaluation:
    yield from _smoke(plan, genome, anchor)
    if not plan.tune_trials:
        alone = _at_full(plan, genome, anchor, seeds, {}) if plan.rungs[-1] == 1.0 else _train(plan, genome, anchor)
        return (yield from alone)
    params, loss = yield from _tune(plan, genome, tuner)
    if loss >= bar:
        return Result("pruned", params, NOTHING_BETTER, plan.rungs[0])
    try:
        return (yield from _climb(plan, genome, params, loss, seeds))
    except Failed as failure:
        failure.rung = plan.rungs[0]
        raise


def _train(plan: Plan, genome: Genome, params: Params) -> Evaluation:
    """One training at a rung below the full budget, with the seed that all are compared with there."""
    rung = plan.rungs[-1]
    (outcome,) = yield from _run(plan, genome, params, [(rung, tune_seed(rung))], "rung")
    losses = {_name(rung): (outcome.metrics[plan.objectives[0].name],)}
    return Result("pruned", params, f"asked for at {rung:g} of the budget alone", rung, losses=losses)


def _climb(plan: Plan, genome: Genome, params: Params, loss: float, seeds: Sequence[int]) -> Evaluation:
    """From the low rung, where `loss` was measured, to the full budget, as long as the candidate is promoted."""
    climbed: dict[float, list[float]] = {}
    for rung in plan.rungs[:-1]:
        if rung > plan.rungs[0]:
            (outcome,) = yield from _run(plan, genome, params, [(rung, tune_seed(rung))], "tune")
            loss = outcome.metrics[plan.objectives[0].name]
        climbed[rung] = [loss]
        if not (yield Ask(_name(rung), loss)):
            reason = f"not in the better half at {rung:g} of the budget"
            return Result("pruned", params, reason, rung, losses={_name(rung): (loss,)})
    return (yield from _at_full(plan, genome, params, seeds, climbed))


def evaluate_seed(plan: Plan, genome: Genome, params: Params, seeds: Sequence[int]) -> Evaluation:
    """Measure the seed program: every rung with `FRONT_SEEDS` seeds. Its mean final loss is the target L*."""
    try:
        yield from _smoke(plan, genome, params)
        low = plan.rungs[0]
        yield from _run(plan, genome, params, [(low, tune_seed(low))], "tune")
        jobs = [(r, s) for s in seeds[:FRONT_SEEDS] for r in reversed(plan.rungs)]
        outcomes = yield from _run(plan, genome, params, jobs, "rung")
    except Failed as failure:
        return failure.result(params)
    loss = plan.objectives[0].name
    curve = {r: [o.metrics[loss] for (rung, _), o in zip(jobs, outcomes, strict=True) if rung == r] for r in plan.rungs}
    full = [o for (rung, _), o in zip(jobs, outcomes, strict=True) if rung == 1.0]
    value = seed_fitness(plan.objectives, curve, lambda name: _metric(full, name), plan.budget)
    return Result("ok", params, "", 1.0, value, _losses(curve), _means(full))


def control(plan: Plan, genome: Genome, params: Params) -> Evaluation:
    """Run the seed program once more at the low rung, as it was run before its children were tuned."""
    low = plan.rungs[0]
    yield Run((plan.trial(genome, params, low, tune_seed(low), "control"),))
    return Result("ok", params)


def audit(plan: Plan, genome: Genome, params: Params, seed: int) -> Evaluation:
    """Train a measured program once more at the full budget, probed most; "failed" if that finds fault with it."""
    try:
        (outcome,) = yield from _run(plan, genome, params, [(1.0, seed)], "audit")
    except Failed as failure:
        return failure.result(params)
    return Result("ok", params, checks=outcome.checks)


def of_front(name: str) -> bool:
    """Whether an `Ask` of this name is about the front, and not about a rung."""
    return name.startswith("front")


def same_training(one: Trial, other: Trial) -> bool:
    """Whether both are the same step of an evaluation, with the same numbers."""
    return (one.rung, one.seed, one.purpose, one.params) == (other.rung, other.seed, other.purpose, other.params)


def tune_seed(rung: float) -> int:
    """The seed shared by all trials of a rung that are compared with each other: paired, so less noise."""
    return round(1_000_003 * rung)


def _smoke(plan: Plan, genome: Genome, params: Params) -> Generator[Run | Ask, list[Outcome] | bool, None]:
    """A short training, before the program is given more; none where it costs as much as the first of those."""
    if plan.smoke_seconds:
        yield from _run(plan, genome, params, [(plan.rungs[0], 0)], "smoke")


def _run(
    plan: Plan,
    genome: Genome,
    params: Params,
    jobs: Sequence[tuple[float, int]],
    purpose: Purpose,
    at_full: Purpose | None = None,
) -> Generator[Run | Ask, list[Outcome] | bool, list[Outcome]]:
    """Run (rung, seed) jobs that must all succeed, those at the full budget for `at_full` if given. Raises `Failed`."""
    purposes = [at_full if at_full and rung == 1.0 else purpose for rung, _ in jobs]
    trials = [plan.trial(genome, params, *job, for_) for job, for_ in zip(jobs, purposes, strict=True)]
    outcomes = yield Run(tuple(trials))
    assert isinstance(outcomes, list)
    ended = sorted(zip(outcomes, purposes, strict=True), key=lambda pair: not pair[0].violation)
    for outcome, for_ in ended:  # a proven violation first
        if outcome.status != "ok":
            raise Failed(f"at {for_}", outcome)
    return outcomes


def _tune(plan: Plan, genome: Genome, tuner: Tuner) -> Generator[Run | Ask, list[Outcome] | bool, tuple[Params, float]]:
    """Trials at the low rung, the anchor first unless it is known (the tuner sees to that).

    Returns the best parameters and their loss. Raises `Failed` if no trial worked, or one proves a violation.
    """
    low, loss = plan.rungs[0], plan.objectives[0].name
    found: list[tuple[Params, float]] = []
    last = Outcome("invalid")
    for _ in range(plan.tune_trials if genome.knobs else 1):
        params = tuner.ask(genome.knobs)
        if any(params == done for done, _ in found):
            continue
        outcomes = yield Run((plan.trial(genome, params, low, tune_seed(low), "tune"),))
        assert isinstance(outcomes, list)
        last = outcomes[0]
        if last.violation:  # that is no matter of numbers, and no other trial mends it
            raise Failed("at tune", last)
        tuner.tell(params, last.metrics[loss] if last.status == "ok" else None)
        if last.status == "ok":
            found.append((params, last.metrics[loss]))
    if not found:
        raise Failed("in every tuning trial", last)
    return min(found, key=lambda pair: pair[1])


def _at_full(plan: Plan, genome: Genome, params: Params, seeds: Sequence[int], climbed: Curve) -> Evaluation:
    if plan.curve == "best":
        return (yield from _confirm_best(plan, genome, params, seeds))
    return (yield from _confirm(plan, genome, params, seeds, climbed))


def _confirm(plan: Plan, genome: Genome, params: Params, seeds: Sequence[int], climbed: Curve) -> Evaluation:
    """Full budget, one seed after another, as long as the candidate could enter the front.

    With one seed it is judged by the losses of the rungs that it `climbed`; with more, all of them are trained at the
    rungs around the target. The second training is the audit, whatever it gained: the same training, with the most
    probes.
    """
    assert plan.target is not None
    loss = plan.objectives[0].name
    timed = any(o.name == SECONDS_TO_TARGET for o in plan.objectives)
    curve: dict[float, list[float]] = {1.0: []}
    full: list[Outcome] = []
    value: Fitness | None = None
    for n, seed in enumerate(seeds[:FRONT_SEEDS], 1):
        below, at_full = CONFIRMING[n - 1]
        full += yield from _run(plan, genome, params, [(1.0, seed)], below, at_full)
        curve[1.0] = _metric(full, loss)
        while timed and (jobs := lacking(curve, climbed, plan.target)):
            yield from _below(plan, genome, params, jobs, seeds, below, curve)
        known = {**climbed, **curve} if n == 1 else curve
        value = fitness(plan.objectives, known, partial(_metric, full), plan.target, plan.budget)
        if not value.feasible or (n < FRONT_SEEDS and not (yield Ask(f"front/{n}", value.values[loss].mean, value))):
            break
    assert value is not None
    return _confirmed(params, value, curve, full)


def _confirm_best(plan: Plan, genome: Genome, params: Params, seeds: Sequence[int]) -> Evaluation:
    """Full budget, one seed after another, as long as the mean loss is the best of the run; then its curve.

    Of the seconds to the target of any other child that reaches it only a bound is known, the full budget: it is
    censored there. The second training is the audit, as in `_confirm`.
    """
    assert plan.target is not None
    loss, target = plan.objectives[0].name, plan.target
    full: list[Outcome] = []
    best = True
    while best and len(full) < FRONT_SEEDS:
        below, at_full = CONFIRMING[len(full)]
        full += yield from _run(plan, genome, params, [(1.0, seeds[len(full)])], below, at_full)
        best = bool((yield Ask(f"front/{len(full)}", fmean(_metric(full, loss)))))
    curve = {1.0: _metric(full, loss)}
    timed = best and any(o.name == SECONDS_TO_TARGET for o in plan.objectives)
    while timed and (jobs := lacking(curve, {}, target)):
        yield from _below(plan, genome, params, jobs, seeds, "rung", curve)
    value = fitness(plan.objectives, curve, partial(_metric, full), target, plan.budget)
    return _confirmed(params, value, curve, full)


def _below(
    plan: Plan,
    genome: Genome,
    params: Params,
    jobs: Sequence[tuple[float, int]],
    seeds: Sequence[int],
    purpose: Purpose,
    curve: dict[float, list[float]],
) -> Generator[Run | Ask, list[Outcome] | bool, None]:
    """Run (rung, number of the seed) jobs, and add their losses to `curve`."""
    outcomes = yield from _run(plan, genome, params, [(rung, seeds[i]) for rung, i in jobs], purpose)
    for (rung, _), outcome in zip(jobs, outcomes, strict=True):
        curve.setdefault(rung, []).append(outcome.metrics[plan.objectives[0].name])


def _confirmed(params: Params, value: Fitness, curve: Curve, full: Sequence[Outcome]) -> Result:
    checks = full[min(1, len(full) - 1)].checks  # of the audit, if there was one
    return Result("ok", params, "", 1.0, value, _losses(curve), _means(full), checks=checks)


def _name(rung: float) -> str:
    return f"{rung:g}"


def _losses(curve: Curve) -> dict[str, tuple[float, ...]]:
    return {_name(rung): tuple(values) for rung, values in sorted(curve.items())}


def _metric(outcomes: Sequence[Outcome], name: str) -> list[float]:
    return [o.metrics[name] for o in outcomes]


def _means(outcomes: Sequence[Outcome]) -> dict[str, float]:
    names = set.intersection(*(set(o.metrics) for o in outcomes))
    return {name: fmean(_metric(outcomes, name)) for name in sorted(names)}
