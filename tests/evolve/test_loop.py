"""The loop on the toy target: finds what there is to find, and survives being cut off at any point."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from statistics import mean

import pytest

from evolve import evaluation, records, tuner
from evolve.config import Limits
from evolve.executors import local
from evolve.executors.inline import InlineExecutor
from evolve.executors.local import LocalExecutor
from evolve.judges import Slot
from evolve.model import Briefing, Mating, Outcome, Rejected, Trial
from evolve.stopping import awaits_front
from evolve.store import Event, StoreError
from tests.contracts import fake_judge
from tests.evolve import toy
from tests.evolve.runs import cut_off, replayed, run

JUDGE = fake_judge.__file__


def test_a_run_finds_the_useful_lines_and_better_numbers(tmp_path: Path) -> None:
    reason, loop = run(tmp_path, 20)
    assert reason == "20 generations done"
    best = loop.history.front[0]
    found = set(best.genome.source.split()) & set(toy.USEFUL)
    assert len(found) >= 3
    assert best.params["lr"] > 1.5
    assert best.confirmed and best.fitness and best.fitness.values["seconds_to_target"].mean < 1.0


@pytest.mark.parametrize("slots", [1, 3])
def test_children_are_made_as_late_as_slots_allow(tmp_path: Path, slots: int) -> None:
    """Each is asked of a search that knows all but those in evaluation; who is quick to make is not made ahead."""
    executor = InlineExecutor(toy.run_trial, slots)
    loop = toy.make_loop(tmp_path, 3, executor)
    with closing(executor), closing(loop.store):
        loop.run(toy.SEED)
        under_way, most = 0, 0
        for event in loop.store.events():
            under_way += (event.kind == "ask") - (event.kind == "tell" and event.key != "ask/0/tell")
            most = max(most, under_way)
    assert most == slots


def test_a_generation_counts_candidates_that_finished_the_low_rung(tmp_path: Path) -> None:
    _, loop = run(tmp_path, 3)
    told = [c for c in loop.history.candidates.values() if c.index > 0]
    assert sum(c.rung > 0 for c in told) == 12
    assert all(c.rung == 0 for c in told if c.verdict in ("rejected", "duplicate"))


def test_who_would_enter_the_front_is_confirmed_before_the_end(tmp_path: Path) -> None:
    def slow_to_confirm(trial: Trial) -> Outcome:
        time.sleep(0.05 if trial.purpose in ("confirm", "audit") else 0)
        return toy.run_trial(trial)

    executor = InlineExecutor(slow_to_confirm, 4)
    for seed in range(4):
        loop = toy.make_loop(tmp_path / str(seed), 99, executor, seed, stale_generations=2)
        loop.run(toy.SEED)
        loop.store.close()
        assert loop.history.confirming == []
    executor.close()


def test_nobody_is_confirmed_at_more_cost_than_a_run_may_have(tmp_path: Path) -> None:
    _, loop = run(tmp_path, 2)
    loop.history.answers["ask/999", "front/1"] = True
    assert awaits_front(loop.history, Limits(generations=2, total=1e6))
    assert not awaits_front(loop.history, Limits(generations=2, total=1.0))


def test_crashes_are_failures_without_fitness(tmp_path: Path) -> None:
    _, loop = run(tmp_path, 10)
    failed = [c for c in loop.history.candidates.values() if c.verdict == "failed"]
    assert failed and all("t12" in c.genome.source and c.fitness is None for c in failed)
    assert all("ZeroDivisionError in line 12" in c.reason for c in failed)


def test_everything_is_charged(tmp_path: Path) -> None:
    _, loop = run(tmp_path, 3)
    assert loop.history.charged == pytest.approx(sum(o.seconds for o in loop.history.outcomes.values()))
    told = sum(c.seconds for c in loop.history.candidates.values()) + sum(o.seconds for o in loop.history.controls)
    assert loop.history.charged == pytest.approx(told)


def test_replay_gives_the_same_population_front_and_next_ask(tmp_path: Path) -> None:
    _, loop = run(tmp_path, 8)
    history = replayed(tmp_path)
    assert [c.id for c in history.search.population] == [c.id for c in loop.history.search.population]
    assert history.front == loop.history.front
    for index in range(500, 510):
        assert history.search.ask(index) == loop.history.search.ask(index)


@pytest.mark.parametrize("after", [3, 11, 12, 13, 30, 57, 58, 59, 60, 61, 90, 121])
def test_cut_off_after_any_event_and_continued(tmp_path: Path, after: int) -> None:
    """The same command continues, and the trials that were finished are not run again."""
    with cut_off(after):
        run(tmp_path / "cut", 4)
    finished = set(replayed(tmp_path / "cut").outcomes)
    ran: list[Trial] = []

    def counted(trial: Trial) -> Outcome:
        ran.append(trial)
        return toy.run_trial(trial)

    reason, loop = run(tmp_path / "cut", 4, counted)
    assert reason == "4 generations done"
    assert finished <= set(loop.history.outcomes)
    assert len(ran) == len(loop.history.outcomes) - len(finished)
    assert set(loop.history.candidates) >= {str(i) for i in loop.history.matings}


def other_seeds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(evaluation, "tune_seed", lambda rung: 7)


def other_numbers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tuner, "STEP", 0.2)


@pytest.mark.parametrize("change", [other_seeds, other_numbers])
def test_what_was_begun_by_a_version_that_trains_other_things_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Its outcomes would be taken for those of other trainings."""
    with cut_off(103):
        run(tmp_path, 4)
    change(monkeypatch)
    with pytest.raises(StoreError, match="trains other things: choose another --run-dir"):
        run(tmp_path, 4)


def test_a_spoiled_trial_is_repeated_and_charged(tmp_path: Path) -> None:
    calls = 0

    def spoiled(trial: Trial) -> Outcome:
        nonlocal calls
        calls += 1
        return Outcome("infrastructure", seconds=0.5, reason="clock drift") if calls % 5 == 0 else toy.run_trial(trial)

    _, loop = run(tmp_path, 2, spoiled)
    assert loop.history.statuses["infrastructure"] > 5
    assert not any("infrastructure" in c.reason for c in loop.history.candidates.values())
    assert loop.history.charged > sum(o.seconds for o in loop.history.outcomes.values())


def spoiling(after: int, reason: str) -> Callable[[Trial], Outcome]:
    """The toy on a machine that spoils every trial after so many."""
    calls = count(1)

    def function(trial: Trial) -> Outcome:
        return Outcome("infrastructure", reason=reason) if next(calls) > after else toy.run_trial(trial)

    return function


def test_a_machine_that_spoils_the_seed_ends_the_process_and_not_the_run(tmp_path: Path) -> None:
    reason, loop = run(tmp_path, 1, spoiling(after=3, reason="no space in /tmp"))
    assert "the machine or the judge spoils every trial (no space in /tmp)" in reason
    assert loop.history.seed is None and len(loop.history.outcomes) == 3
    assert run(tmp_path, 1)[0] == "1 generations done"


def test_a_machine_that_spoils_everything_ends_the_process_and_no_structure_is_lost(tmp_path: Path) -> None:
    reason, loop = run(tmp_path, 20, spoiling(after=60, reason="device lost"))
    assert "the machine or the judge spoils every trial (device lost)" in reason
    given_up = [c for c in loop.history.candidates.values() if c.reason.startswith("infrastructure")]
    assert not {c.id for c in given_up} & set(loop.history.first_of.values())
    assert run(tmp_path, 20)[0] == "20 generations done"


def test_without_any_slot_the_process_ends_and_nobody_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real executor, with judges that speak the protocol: after some trials both devices are lost."""
    monkeypatch.setattr(local, "HOPELESS", 2)  # on both devices together less than a trial has attempts
    monkeypatch.setattr(local, "PAUSE", 0.01)
    executor = LocalExecutor([JUDGE, "--dies-after", "20"], [Slot((0,)), Slot((1,))], lambda trial: "1.0 0.0")
    loop = toy.make_loop(tmp_path, 20, executor)  # type: ignore[arg-type]
    try:
        reason = loop.run(toy.SEED)
    finally:
        executor.close()
        loop.store.close()
    assert "the machine or the judge spoils every trial (no slot is left" in reason or "device lost" in reason
    assert executor.slots == 0 and loop.trouble
    assert not [c for c in loop.history.candidates.values() if c.reason.startswith("infrastructure")]
    assert run(tmp_path, 2)[0] == "2 generations done"


@pytest.mark.parametrize(
    ("reason", "known"), [("infrastructure at smoke: device lost", False), ("oom at smoke: 9 GB", True)]
)
def test_what_the_machine_spoiled_may_be_proposed_again(tmp_path: Path, reason: str, known: bool) -> None:
    history = run(tmp_path, 3)[1].history
    first = next(c for c in history.candidates.values() if c.index and history.first_of[c.genome.key] == c.id)
    told = replace(first, verdict="failed", reason=reason, fitness=None, rung=0.0)
    history.apply(Event(10**6, "again", "tell", 0.0, records.candidate_record(told)))
    assert (first.genome.key in history.first_of) == known


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_a_failure(tmp_path: Path, value: float) -> None:
    def broken(trial: Trial) -> Outcome:
        outcome = toy.run_trial(trial)
        grown = trial.genome != toy.SEED and outcome.status == "ok"
        return replace(outcome, metrics={**outcome.metrics, "loss": value}) if grown else outcome

    _, loop = run(tmp_path, 1, broken)
    assert loop.history.statuses["invalid"] > 0
    grown = [c for c in loop.history.candidates.values() if c.genome != toy.SEED]
    assert grown and all(c.fitness is None for c in grown)
    assert any(f"loss = {value}" in c.reason for c in grown)
    assert replayed(tmp_path).candidates == loop.history.candidates


def test_an_operator_that_breaks_costs_one_child_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def propose(self: toy.Tune, mating: Mating, briefing: Briefing) -> Rejected:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(toy.Tune, "propose", propose)
    reason, loop = run(tmp_path, 2)
    assert reason == "2 generations done"
    broken = [c for c in loop.history.candidates.values() if c.operator == "tune"]
    assert broken and {c.reason for c in broken} == {"tune broke: ZeroDivisionError: by zero"}


@pytest.mark.parametrize("nonsense", [None, "a program", {"lr": 1.0}])
def test_an_operator_that_returns_nonsense_costs_one_child_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nonsense: object
) -> None:
    monkeypatch.setattr(toy.Tune, "propose", lambda self, mating, briefing: nonsense)
    reason, loop = run(tmp_path, 2)
    assert reason == "2 generations done"
    broken = [c for c in loop.history.candidates.values() if c.operator == "tune"]
    assert broken and all(f"returned a {type(nonsense).__name__}" in c.reason for c in broken)


def test_a_study_is_continued_at_its_own_rung_only(tmp_path: Path) -> None:
    """Once the low rung is raised, losses at the old one would make every new trial look like a record."""
    _, loop = run(tmp_path, 4)
    history = loop.history
    parent = next(c for c in history.candidates.values() if c.verdict == "ok" and c.index > 0)
    owner = f"ask/{parent.index}"
    trials = history.studies[owner]
    assert trials and history.study_of_lineage(parent, 0.25).trials[-len(trials) :] == tuple(trials)
    assert history.study_of_lineage(parent, 0.5).trials == ()
    history.rungs_of[owner] = (0.5, 1.0)
    assert history.study_of_lineage(parent, 0.5).trials == tuple(trials)


def test_a_child_with_other_numbers_alone_is_one_training_at_the_full_budget(tmp_path: Path) -> None:
    _, loop = run(tmp_path, 12)
    history = loop.history
    tuned = [c for c in history.candidates.values() if c.operator == "tune" and c.verdict == "ok"]
    assert len(tuned) > 3
    for child in tuned:
        trials = [history.trials[f"ask/{child.index}", n] for n in range(child.trials)]
        assert (trials[0].purpose, trials[0].rung) == ("rung", 1.0)
        assert child.params != history.candidates[child.parents[0]].params
        assert child.confirmed or {t.rung for t in trials} == {1.0}, "lower rungs are for the best of the run"


def test_what_is_known_of_numbers_at_the_full_budget_is_a_mean_over_trainings(tmp_path: Path) -> None:
    _, loop = run(tmp_path, 8)
    history = loop.history
    for candidate in history.front:
        owner = f"ask/{candidate.index}"
        places = [place for place in history.outcomes if place[0] == owner and history.trials[place].rung == 1.0]
        losses = [history.outcomes[place].metrics["loss"] for place in places]
        assert history.study_of_lineage(candidate, 1.0).trials[-1] == (candidate.params, pytest.approx(mean(losses)))


def test_a_smoke_test_is_no_training_at_the_full_budget_where_that_is_the_only_rung(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = replace(toy.plan(), rungs=(1.0,), tune_trials=0)
    monkeypatch.setattr(toy, "plan", lambda: alone)

    def function(trial: Trial) -> Outcome:
        return Outcome("ok") if trial.purpose == "smoke" else toy.run_trial(trial)

    _, loop = run(tmp_path, 3, function)
    history = loop.history
    smoked = [t for t in history.trials.values() if t.purpose == "smoke" and t.rung == 1.0]
    assert len(smoked) > 5
    assert {t.purpose for t in history.trials.values() if t.rung == 1.0} > {"smoke"}
    measured = [c for c in history.candidates.values() if c.verdict == "ok"]
    known = [loss for c in measured for _, loss in history.study_of_lineage(c, 1.0).trials]
    assert len(known) > 5 and None not in known


def test_a_finished_run_does_nothing_when_it_is_started_again(tmp_path: Path) -> None:
    reason, first = run(tmp_path, 2)
    again, second = run(tmp_path, 2, lambda trial: pytest.fail("a trial was run"))
    assert again == reason
    assert second.history.charged == first.history.charged and second.history.candidates == first.history.candidates


def test_trials_taken_back_at_the_end_are_not_charged(tmp_path: Path) -> None:
    """Interrupted again and again, always with trials waiting: what is charged is what was run."""
    spent = 0.0

    def counted(trial: Trial) -> Outcome:
        nonlocal spent
        outcome = toy.run_trial(trial)
        spent += outcome.seconds
        return outcome

    for _ in range(8):
        executor = InlineExecutor(counted)
        loop = toy.make_loop(tmp_path, 2, executor)
        loop._watch = lambda loop: setattr(loop, "interrupted", len(loop.history.candidates) % 2 == 1)
        assert loop.run(toy.SEED) in ("interrupted", "2 generations done")
        executor.close()
        loop.store.close()
    run(tmp_path, 2, counted)
    history = replayed(tmp_path)
    assert history.finished >= 8 and history.charged == pytest.approx(spent)
    assert history.statuses["lost"] == 0


def test_a_seed_that_crashes_ends_the_run(tmp_path: Path) -> None:
    reason, _ = run(tmp_path, 2, lambda trial: Outcome("crashed", reason="NameError in line 3"))
    assert "the seed program failed" in reason and "NameError in line 3" in reason


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"total": 30.0}, "30 charged seconds used"),
        ({"target_loss": 2.2}, "loss 2.2 reached"),
        ({"stale_generations": 3}, "no confirmed gain in 3 generations"),
    ],
)
def test_stopping_criteria(tmp_path: Path, limits: dict[str, float], reason: str) -> None:
    assert reason in run(tmp_path, 60, **limits)[0]


def test_refusals_in_a_row_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for operator in (toy.Grow, toy.Merge, toy.Tune):
        monkeypatch.setattr(operator, "propose", lambda self, mating, briefing: Rejected("no idea"))
    assert "refusals or repeats in a row" in run(tmp_path, 2)[0]


def test_more_generations_continue_a_finished_run(tmp_path: Path) -> None:
    _, first = run(tmp_path, 2)
    _, second = run(tmp_path, 3)
    assert second.history.finished == 12
    assert list(second.history.candidates)[: len(first.history.candidates)] == list(first.history.candidates)


@pytest.mark.parametrize("misleading", [False, True])
def test_a_low_rung_that_misleads_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, misleading: bool) -> None:
    monkeypatch.setattr("evolve.history.ENOUGH_PAIRS", 15)

    def function(trial: Trial) -> Outcome:
        outcome = toy.run_trial(trial)
        if misleading and trial.rung == 0.25 and outcome.status == "ok":
            drawn = random.Random(f"{trial.genome.id}{sorted(trial.params.items())}").random()
            return replace(outcome, metrics=outcome.metrics | {"loss": 4.0 + drawn - 0.4 * outcome.metrics["loss"]})
        return outcome

    _, loop = run(tmp_path, 20, function)
    rungs = [len(rungs) for rungs in loop.history.rungs_of.values() if len(rungs) > 1]
    assert loop.history.raised == misleading and rungs[0] == 3
    assert rungs[-1] == (2 if misleading else 3)
    assert replayed(tmp_path).raised == misleading
    both = [c for c in loop.history.candidates.values() if c.rung == 1.0 and "0.25" in loop.history.rung_losses(c)]
    assert 15 <= loop.history.at_both_ends == len(both) < loop.history.finished, "children of `tune` are at one end"


def test_the_seed_is_compared_by_the_trial_that_children_have_too(tmp_path: Path) -> None:
    """Its other low-rung losses are of other seeds, and of more text."""
    _, loop = run(tmp_path, 1)
    first = loop.history.studies["ask/0"][0][1]
    assert loop.history.seen_losses["0.25"][0] == first
    assert first not in loop.history.candidates["0"].losses["0.25"]


def test_a_candidate_goes_on_if_it_is_in_the_better_half_of_the_last_ones(tmp_path: Path) -> None:
    history = toy.new_history()
    assert history.goes_on("0.25", 9.0), "the first one has nobody to be worse than"
    history.seen_losses["0.25"] = [9.0] * 30 + [1.0 + i / 10 for i in range(16)]
    assert history.goes_on("0.25", 1.75) and not history.goes_on("0.25", 1.85)
    assert not history.goes_on("0.25", 5.0), "better than most of all, worse than all of the last"
    history.seen_losses["0.25"].append(1.0)
    assert history.goes_on("0.25", 99.0), "every eighth goes on regardless"
