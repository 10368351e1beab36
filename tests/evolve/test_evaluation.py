"""The measuring of one candidate, driven by hand: what it asks for, and what follows from the answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from evolve.evaluation import (
    Ask,
    Evaluation,
    Plan,
    Result,
    Run,
    admitted,
    control,
    evaluate,
    evaluate_seed,
    tune_seed,
)
from evolve.model import Genome, Knob, Objective, Outcome, Params, Trial

OBJECTIVES = (Objective("loss"), Objective("seconds_to_target"), Objective("memory"))
PLAN = Plan(OBJECTIVES, "toy", 8.0, (0.25, 0.5, 1.0), 4, 0.1, target=2.0)
GENOME = Genome("lr = 1", "s", (Knob("lr", "float", 0.0, 10.0, False, 1.0),))
ANCHOR = {"lr": 1.0}
SEEDS = (101, 102, 103)


class Listed:
    """A tuner that proposes a list."""

    def __init__(self, values: Sequence[float]) -> None:
        self._values = iter(values)
        self.told: list[tuple[Params, float | None]] = []

    def ask(self, knobs: Sequence[Knob]) -> Params:
        return {"lr": next(self._values)}

    def tell(self, params: Params, loss: float | None) -> None:
        self.told.append((params, loss))


Answer = Callable[[Ask], bool]


def ok(loss: float, memory: float = 5.0) -> Outcome:
    return Outcome("ok", {"loss": loss, "memory": memory}, seconds=1.0)


def falling(trial: Trial) -> Outcome:
    """1.5 at the full budget, 0.5 more for each halving; best at lr = 3."""
    return ok(1.5 - 0.5 * math.log2(trial.rung) + 0.01 * abs(trial.params.get("lr", 1.0) - 3.0))


def drive(
    evaluation: Evaluation, run: Callable[[Trial], Outcome] = falling, answer: Answer = lambda ask: True
) -> tuple[Result, list[Trial], list[Ask]]:
    trials: list[Trial] = []
    asks: list[Ask] = []
    reply: list[Outcome] | bool | None = None
    while True:
        try:
            request = evaluation.send(reply)  # type: ignore[arg-type]
        except StopIteration as end:
            return end.value, trials, asks
        if isinstance(request, Run):
            trials += request.trials
            reply = [run(trial) for trial in request.trials]
        else:
            asks.append(request)
            reply = answer(request)


def child(values: Sequence[float] = (1.0, 3.0, 5.0, 9.0), plan: Plan = PLAN) -> Evaluation:
    return evaluate(plan, GENOME, ANCHOR, Listed(values), SEEDS)


def shape(trials: Sequence[Trial]) -> list[tuple[str, float, float]]:
    return [(t.purpose, t.rung, t.params["lr"]) for t in trials]


def test_the_whole_way_of_a_good_child() -> None:
    result, trials, asks = drive(child())
    assert shape(trials) == [
        ("smoke", 0.25, 1.0),
        *[("tune", 0.25, lr) for lr in (1.0, 3.0, 5.0, 9.0)],
        ("tune", 0.5, 3.0),  # the best
        ("rung", 1.0, 3.0),  # the losses on the way say that the target lies between 0.25 and 0.5
        ("audit", 1.0, 3.0),
        *[("confirm", rung, 3.0) for rung in (0.5, 0.5, 0.25, 0.25)],  # of both seeds
        *[("confirm", rung, 3.0) for rung in (1.0, 0.5, 0.25)],
    ]
    assert [a.name for a in asks] == ["0.25", "0.5", "front/1", "front/2"]
    assert result.verdict == "ok" and result.params == {"lr": 3.0} and result.rung == 1.0
    assert {rung: len(losses) for rung, losses in result.losses.items()} == {"0.25": 3, "0.5": 3, "1": 3}
    assert result.fitness and result.fitness.values["seconds_to_target"].mean == pytest.approx(4.0)
    assert result.metrics == {"loss": pytest.approx(1.5), "memory": 5.0}


def test_without_a_smoke_test_the_first_trial_is_one_of_tuning() -> None:
    _, trials, _ = drive(child(plan=replace(PLAN, smoke_seconds=0.0)))
    _, usual, _ = drive(child())
    assert shape(trials) == shape(usual)[1:]
    _, trials, _ = drive(evaluate_seed(replace(PLAN, smoke_seconds=0.0, target=None), GENOME, ANCHOR, SEEDS))
    assert trials[0].purpose == "tune"


def test_budgets_and_seeds_of_the_trials() -> None:
    _, trials, _ = drive(child())
    assert trials[0].budget == PLAN.smoke_seconds
    assert all(t.budget == 8.0 * t.rung for t in trials[1:])
    compared = [t for t in trials if t.purpose == "tune"]
    assert {(t.rung, t.seed) for t in compared} == {(0.25, tune_seed(0.25)), (0.5, tune_seed(0.5))}
    counted = [t for t in trials if t.purpose in ("rung", "confirm", "audit")]
    assert [t.seed for t in counted if t.rung == 1.0] == list(SEEDS)
    assert not {t.seed for t in counted} & {t.seed for t in compared}


def test_the_best_numbers_of_the_low_rung_climb_alone() -> None:
    _, trials, _ = drive(child((9.0, 3.0, 4.0, 1.0)), answer=lambda ask: ask.name == "0.25")
    assert [t.params["lr"] for t in trials if t.rung == 0.5] == [3.0]


@pytest.mark.parametrize(("stop", "rung"), [("0.25", 0.25), ("0.5", 0.5)])
def test_pruned_at_a_rung(stop: str, rung: float) -> None:
    result, trials, _ = drive(child(), answer=lambda ask: ask.name != stop)
    assert (result.verdict, result.rung, result.fitness) == ("pruned", rung, None)
    assert list(result.losses) == [stop] and "better half" in result.reason
    assert not any(t.purpose == "rung" for t in trials)


@pytest.mark.parametrize("seeds", [1, 2])
def test_confirmation_ends_when_the_front_is_out_of_reach(seeds: int) -> None:
    result, _, asks = drive(child(), answer=lambda ask: ask.name != f"front/{seeds}")
    assert result.verdict == "ok" and result.fitness
    assert {v.n for v in result.fitness.values.values()} == {seeds}
    assert asks[-1].fitness == result.fitness


def test_one_that_misses_the_target_is_infeasible_and_not_confirmed() -> None:
    def slow(trial: Trial) -> Outcome:
        return ok(2.25) if trial.rung == 1.0 else falling(trial)

    result, trials, asks = drive(child(), slow)
    assert result.verdict == "ok" and result.fitness and result.fitness.violation == pytest.approx(0.25)
    assert sum(t.rung == 1.0 for t in trials) == 1 and "front/1" not in [a.name for a in asks]


def test_the_low_rung_is_halved_to_a_sixteenth_and_then_censored() -> None:
    result, trials, _ = drive(child(), lambda trial: ok(1.0))
    assert min(t.rung for t in trials) == 1 / 16
    assert result.fitness and result.fitness.values["seconds_to_target"].censored
    assert result.fitness.values["seconds_to_target"].mean == pytest.approx(0.5)


BY_LOSS = replace(PLAN, rungs=(1.0,), tune_trials=0, curve="best")


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_where_the_loss_alone_counts_no_lower_rung_is_trained_for_a_child_that_is_not_the_best(seeds: int) -> None:
    result, trials, asks = drive(child(plan=BY_LOSS), answer=lambda ask: ask.name != f"front/{seeds}")
    assert [t.purpose for t in trials] == ["smoke", "rung", "audit", "confirm"][: seeds + 1]
    assert {t.rung for t in trials[1:]} == {1.0} and all(ask.fitness is None for ask in asks)
    assert [ask.loss for ask in asks] == [pytest.approx(1.52)] * seeds
    assert result.verdict == "ok" and result.fitness and result.fitness.values["loss"].n == seeds
    seconds = result.fitness.values["seconds_to_target"]
    assert (seconds.mean, seconds.censored) == (PLAN.budget, True)  # it got there: that much was measured


def test_where_the_loss_alone_counts_the_best_child_has_the_curve_that_any_has() -> None:
    best, trials, _ = drive(child(plan=BY_LOSS))
    usual, others, _ = drive(child(plan=replace(BY_LOSS, curve="reached")))
    assert best == usual
    assert sorted((t.rung, t.seed) for t in trials) == sorted((t.rung, t.seed) for t in others)


def test_a_child_that_misses_the_target_is_infeasible_where_the_loss_alone_counts_too() -> None:
    result, trials, _ = drive(child(plan=BY_LOSS), lambda trial: ok(2.25), answer=lambda ask: False)
    assert result.fitness and result.fitness.violation == pytest.approx(0.25) and len(trials) == 2
    assert set(result.fitness.values) == {"loss", "memory"}


def test_no_lower_rung_is_trained_for_an_objective_that_is_none() -> None:
    plan = Plan((Objective("loss"),), "toy", 8.0, (0.25, 0.5, 1.0), 4, 0.1, target=2.0)
    result, trials, _ = drive(child(plan=plan))
    assert result.fitness and set(result.fitness.values) == {"loss"}
    assert {t.rung for t in trials if t.purpose in ("rung", "confirm", "audit")} == {1.0}


def crashing(where: Callable[[Trial], bool]) -> Callable[[Trial], Outcome]:
    return lambda trial: Outcome("crashed", reason="ValueError in line 3") if where(trial) else falling(trial)


@pytest.mark.parametrize("purpose", ["smoke", "tune", "rung", "confirm"])
def test_a_crash_where_it_counts_is_a_failure_with_its_reason(purpose: str) -> None:
    result, _, _ = drive(child(), crashing(lambda trial: trial.purpose == purpose))
    assert (result.verdict, result.fitness, result.params) == ("failed", None, ANCHOR)
    assert "crashed" in result.reason and "ValueError in line 3" in result.reason


def test_a_crash_of_some_numbers_is_told_to_the_tuner_and_no_failure() -> None:
    tuner = Listed((1.0, 3.0, 5.0, 9.0))
    evaluation = evaluate(PLAN, GENOME, ANCHOR, tuner, SEEDS)
    result, _, _ = drive(evaluation, crashing(lambda trial: trial.params["lr"] == 3.0))
    assert result.verdict == "ok" and result.params["lr"] in (1.0, 5.0)
    assert [loss is None for _, loss in tuner.told] == [False, True, False, False]


def test_numbers_that_were_tried_are_not_run_again() -> None:
    _, trials, _ = drive(child((1.0, 3.0, 1.0, 3.0)))
    assert [t.params["lr"] for t in trials if t.purpose == "tune" and t.rung == 0.25] == [1.0, 3.0]


def test_a_study_that_finds_nothing_better_than_known_numbers_ends_at_the_low_rung() -> None:
    """The tuner continues the parent's study and leaves out its numbers."""
    result, trials, asks = drive(evaluate(PLAN, GENOME, {"lr": 3.0}, Listed((7.0, 8.0, 9.0, 9.5)), SEEDS, 0.5))
    assert result.verdict == "pruned" and result.rung == 0.25 and "no better numbers" in result.reason
    assert not asks and {t.rung for t in trials} == {0.25}


def test_numbers_that_a_person_brings_to_a_known_program_climb_if_they_are_the_best() -> None:
    """The tuner tries them first, since nobody has: then they are no numbers of the parent that have to be beaten."""
    result, trials, _ = drive(evaluate(PLAN, GENOME, {"lr": 3.0}, Listed((3.0, 8.0, 9.0, 9.5)), SEEDS, 2.6))
    assert result.verdict == "ok" and result.params == {"lr": 3.0} and result.rung == 1.0


def test_an_anchor_that_failed_at_the_low_rung_is_not_tried_again() -> None:
    def first_fails(trial: Trial) -> Outcome:
        return Outcome("timeout", reason="slow") if trial.params == ANCHOR else falling(trial)

    result, trials, _ = drive(evaluate(PLAN, GENOME, ANCHOR, Listed([1.0, 2.0, 3.0, 4.0]), SEEDS), first_fails)
    assert result.verdict == "failed" and "smoke" in result.reason
    smoke_passes = lambda t: ok(9.0) if t.purpose == "smoke" else first_fails(t)  # noqa: E731
    result, trials, _ = drive(evaluate(PLAN, GENOME, ANCHOR, Listed([1.0, 2.0, 3.0, 4.0]), SEEDS), smoke_passes)
    assert result.verdict == "ok" and result.params == {"lr": 3.0}
    assert not [t for t in trials if t.params == ANCHOR and t.rung > 0.25]


@pytest.mark.parametrize(("bar", "verdict"), [(2.5, "pruned"), (2.6, "ok")])
def test_a_continued_study_has_to_beat_what_is_known(bar: float, verdict: str) -> None:
    """The best of these numbers is the optimum, with a loss of 2.5 at the low rung."""
    result, trials, _ = drive(evaluate(PLAN, GENOME, ANCHOR, Listed([2.0, 2.5, 3.0, 3.5]), SEEDS, bar))
    assert result.verdict == verdict
    assert result.rung == (0.25 if verdict == "pruned" else 1.0)
    assert {t.rung for t in trials} == ({0.25} if verdict == "pruned" else {0.25, 0.5, 1.0})


def test_a_program_without_knobs_is_run_once_a_rung() -> None:
    class Nothing(Listed):
        def ask(self, knobs: Sequence[Knob]) -> Params:
            return {}

    _, trials, _ = drive(evaluate(PLAN, Genome("pass"), {}, Nothing(()), SEEDS))
    assert [t.rung for t in trials if t.purpose == "tune"] == [0.25, 0.5]


def test_two_rungs_are_enough() -> None:
    plan = Plan(OBJECTIVES, "toy", 8.0, (0.5, 1.0), 2, 0.1, target=2.0)
    result, trials, asks = drive(child(plan=plan))
    assert result.verdict == "ok" and [a.name for a in asks][0] == "0.5"
    assert not any(t.purpose == "tune" and t.rung != 0.5 for t in trials)


def test_the_seed_is_measured_at_every_rung_with_three_seeds() -> None:
    result, trials, asks = drive(evaluate_seed(PLAN, GENOME, ANCHOR, SEEDS))
    assert asks == [] and result.verdict == "ok" and result.fitness and result.fitness.feasible
    counted = [(t.rung, t.seed) for t in trials if t.purpose == "rung"]
    assert sorted(counted) == sorted((r, s) for r in PLAN.rungs for s in SEEDS)
    assert result.fitness.values["seconds_to_target"].mean == PLAN.budget
    assert result.fitness.values["memory"].n == 3


def test_a_seed_that_fails_once_has_failed() -> None:
    result, _, _ = drive(evaluate_seed(PLAN, GENOME, ANCHOR, SEEDS), crashing(lambda trial: trial.seed == 103))
    assert result.verdict == "failed" and "ValueError in line 3" in result.reason


def test_a_control_is_the_first_tuning_trial_again() -> None:
    _, seed_trials, _ = drive(evaluate_seed(PLAN, GENOME, ANCHOR, SEEDS))
    _, (again,), _ = drive(control(PLAN, GENOME, ANCHOR))
    first = next(t for t in seed_trials if t.purpose == "tune")
    assert (again.rung, again.seed, again.budget, again.params) == (first.rung, first.seed, first.budget, first.params)


TRIAL = PLAN.trial(GENOME, ANCHOR, 0.5, 1, "tune")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["loss", "tokens_per_second"])
def test_a_metric_that_is_not_finite_makes_an_outcome_invalid(name: str, value: float) -> None:
    found = admitted(Outcome("ok", {"loss": 1.0, "memory": 1.0, name: value}, "log", 2.0), TRIAL, OBJECTIVES)
    assert (found.status, found.metrics, found.seconds, found.log_tail) == ("invalid", {}, 2.0, "log")
    assert f"{name} = {value}" in found.reason


def test_a_success_without_an_objective_is_invalid_but_not_for_a_smoke_test() -> None:
    bare = Outcome("ok", {"loss": 1.0})
    assert admitted(bare, TRIAL, OBJECTIVES).status == "invalid"
    reason = admitted(bare, TRIAL, OBJECTIVES).reason
    assert "no memory, an objective in target.toml; the metrics of its judge are loss" in reason
    smoke = PLAN.trial(GENOME, ANCHOR, 0.25, 0, "smoke")
    assert admitted(Outcome("ok"), smoke, OBJECTIVES) == Outcome("ok")


def test_a_failure_keeps_its_status_and_reason() -> None:
    crash = Outcome("crashed", {"loss": float("nan")}, reason="ValueError", seconds=1.0)
    found = admitted(crash, TRIAL, OBJECTIVES)
    assert (found.status, found.metrics, found.reason) == ("crashed", {}, "ValueError")
    assert admitted(ok(1.0), TRIAL, OBJECTIVES) == ok(1.0)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_a_charge_that_makes_no_sense_is_the_whole_budget(seconds: float) -> None:
    found = admitted(Outcome("ok", {"loss": 1.0, "memory": 1.0}, seconds=seconds), TRIAL, OBJECTIVES)
    assert found.status == "ok" and found.seconds == TRIAL.budget == 4.0


def test_without_tuning_trials_a_child_is_trained_as_it_was_made_at_the_full_budget() -> None:
    result, trials, asks = drive(child((), replace(PLAN, tune_trials=0)), answer=lambda ask: False)
    assert {t.params["lr"] for t in trials} == {1.0} and "tune" not in {t.purpose for t in trials}
    assert [t.rung for t in trials if t.purpose == "rung"][0] == 1.0
    assert [a.name for a in asks] == ["front/1"] and result.verdict == "ok" and result.fitness


def test_a_child_whose_last_rung_is_below_the_full_budget_is_one_training_there() -> None:
    result, trials, asks = drive(child((), replace(PLAN, rungs=(0.5,), tune_trials=0)))
    assert [(t.purpose, t.rung, t.seed) for t in trials] == [("smoke", 0.5, 0), ("rung", 0.5, tune_seed(0.5))]
    assert (result.verdict, result.rung, result.params, asks) == ("pruned", 0.5, ANCHOR, [])
    assert result.losses == {"0.5": (pytest.approx(2.02),)} and result.fitness is None
