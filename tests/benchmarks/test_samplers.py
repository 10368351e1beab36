"""What a sampler draws, what it is told, and that both follow from the log; the promotions of ASHA and Hyperband."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import count
from math import inf
from pathlib import Path
from statistics import mean

import optuna
import pytest

from benchmarks.baselines.asha import Asha
from benchmarks.baselines.hyperband import Hyperband, brackets
from benchmarks.comparison.halving import Halving, levels
from benchmarks.comparison.method import load
from benchmarks.comparison.numbers import OPERATOR
from benchmarks.comparison.runner import place_of, run
from benchmarks.comparison.samplers import constrained, constrained_or_pruned, pruned, worst
from benchmarks.tasks.synthetic import BUDGET, OBJECTIVES, SEED, TASK
from evolve.history import History
from evolve.model import Briefing, Candidate, Estimate, Fitness, Mating, Params, Proposal, Rejected
from evolve.reports.open import open_history, read_events

SAMPLED = ("random", "tpe", "motpe", "cmaes", "gp", "nsga2_knobs")
HALVING = ("asha", "hyperband")
CHILDREN = (
    {"gp": 24} | dict.fromkeys(("cmaes", "nsga2_knobs"), 160) | dict.fromkeys(("random", "tpe", "motpe", *HALVING), 60)
)
WIDTH = 4  # of them under way
Events = list[Mating | Candidate]
START: Params = {k.address: k.default for k in SEED.knobs}


def fitness(loss: float) -> Fitness:
    """Whoever is below 2 reaches the target, the earlier the lower its loss."""
    reached = {OBJECTIVES[1].name: Estimate(BUDGET * loss / 2, 1)} if loss <= 2 else {}
    return Fitness({OBJECTIVES[0].name: Estimate(loss, 1)} | reached, max(0.0, loss - 2))


def bowl(params: Params) -> float | None:
    """Best at a depth of 6, widths of 128 and a beta of 0.9; a large decay fails."""
    if params["DECAY"] > 0.05:
        return None
    steps = [16, 32, 64, 128, 256, 512].index(int(params["WIDTH"]))
    return 1 + ((params["DEPTH"] - 6) / 4) ** 2 + ((steps - 3) / 2) ** 2 + (5 * (params["BETA"] - 0.9)) ** 2


class Driven:
    """A run by hand, of which a log is kept; a process that goes on with it begins with that of the one before."""

    def __init__(self, name: str, log: Sequence[Mating | Candidate] = ()) -> None:
        self.setup = load(name).setup(TASK.given(), 1)
        self.log: Events = []
        for event in log:
            self.write(event)

    def write(self, event: Mating | Candidate) -> None:
        self.log.append(event)
        if isinstance(event, Mating):
            self.setup.search.asked(event)
        else:
            self.setup.search.tell(event)

    def propose(self, mating: Mating) -> Params:
        made = self.setup.operators[mating.operator].propose(mating, Briefing())
        assert isinstance(made, Proposal)
        return made.anchor


def told(index: int, params: Params, loss: float | None, rung: float = 1.0) -> Candidate:
    """What became of a child that was trained at `rung`."""
    if loss is None:
        return Candidate(str(index), index, SEED, params, ("0",), OPERATOR, "failed")
    losses = {f"{rung:g}": (loss,)}
    value, verdict = (fitness(loss), "ok") if rung == 1.0 else (None, "pruned")
    return Candidate(
        str(index), index, SEED, params, ("0",), OPERATOR, verdict, rung=rung, fitness=value, losses=losses
    )  # type: ignore[arg-type]


@cache
def drive(name: str) -> tuple[Events, list[Params]]:
    """The log of a run, and the numbers of its children."""
    process = Driven(name)
    process.write(told(0, START, 1.9))
    made: list[Params] = []
    for index in range(1, CHILDREN[name] + 1):
        if index > WIDTH:
            ended = oldest(process) if index % 3 else index - 1  # not in the order of the asks
            process.write(told(ended, made[ended - 1], bowl(made[ended - 1]), rung_of(process, ended)))
        mating = process.setup.search.ask(index)
        process.write(mating)
        made.append(process.propose(mating))
    return process.log, made


def oldest(process: Driven) -> int:
    """The first child that is under way."""
    return next(index for index in count(1) if str(index) not in process.setup.search.archive)


def rung_of(process: Driven, index: int) -> float:
    mating = next(event for event in process.log if isinstance(event, Mating) and event.index == index)
    return process.setup.search.rungs(mating, (1.0,))[0]


@pytest.mark.parametrize("name", [*SAMPLED, *HALVING])
def test_a_process_that_goes_on_with_a_run_draws_what_the_one_before_would_have(name: str) -> None:
    log, made = drive(name)
    later = Driven(name, log)
    matings = [event for event in log if isinstance(event, Mating)]
    assert [later.propose(mating) for mating in matings[-6:]] == made[-6:]  # those before were drawn and are told
    assert len({str(params) for params in made}) > len(made) / 2


@pytest.mark.parametrize("name", [*SAMPLED, *HALVING])
def test_every_draw_of_a_run_that_was_cut_follows_from_its_log(name: str, tmp_path: Path) -> None:
    run(name, TASK, 1, 150.0, tmp_path)
    run(name, TASK, 1, 300.0, tmp_path)
    setup = load(name).setup(TASK.given(), 1)
    history = History(setup.search)
    history.replay(read_events(place_of(name, TASK, 1, tmp_path)))
    assert len(history.sessions) == 2 and len(history.proposals) > 10
    for index, proposal in history.proposals.items():
        mating = history.matings[index]
        again = setup.operators[mating.operator].propose(mating, Briefing())
        assert not isinstance(proposal, Rejected) and not isinstance(again, Rejected)
        assert again.anchor == proposal.anchor


def test_what_is_told_after_an_ask_does_not_change_its_numbers() -> None:
    process = Driven("cmaes")
    process.write(told(0, START, 1.9))
    matings = [process.setup.search.ask(1), process.setup.search.ask(2)]
    for mating in matings:
        process.write(mating)
    first = process.propose(matings[0])
    late = Driven("cmaes", [*process.log, told(1, first, 1.0)])
    assert late.propose(matings[1]) == process.propose(matings[1]) != first


@pytest.mark.parametrize("name", SAMPLED)
def test_every_number_is_one_that_its_knob_allows_and_choices_are_tried(name: str) -> None:
    _, drawn = drive(name)
    for knob in SEED.knobs:
        values = [params[knob.address] for params in drawn]
        if knob.kind == "choice":
            assert set(values) <= set(knob.values) and len(set(values)) > 2
        else:
            assert all(knob.low <= v <= knob.high for v in values)
            assert all(isinstance(v, int) for v in values) == (knob.kind == "int")


@pytest.mark.parametrize("name", ["tpe", "motpe", "cmaes", "nsga2_knobs", "gp"])
def test_a_sampler_learns_from_losses_and_from_failures(name: str) -> None:
    """Its last draws are better, and fail less, than random ones."""

    def of(draws: Sequence[Params]) -> tuple[float, float]:
        losses = [bowl(params) for params in draws]
        return mean(loss for loss in losses if loss is not None), losses.count(None) / len(losses)

    blind, (_, drawn) = drive("random")[1], drive(name)
    (loss, failures), (blind_loss, blind_failures) = of(drawn[-len(drawn) // 4 :]), of(blind)
    assert loss < 0.75 * blind_loss and failures < blind_failures


def study_of(
    tell: Callable[..., None], *losses: float | None, directions: Sequence[str] = ("minimize",)
) -> optuna.Study:
    study = optuna.create_study(directions=list(directions), sampler=optuna.samplers.RandomSampler(0))
    for loss in losses:
        tell(study, study.ask(), None if loss is None else fitness(loss), OBJECTIVES)
    return study


def test_a_failure_is_pruned_or_has_the_worst_loss_told_before_it() -> None:
    assert [t.state.name for t in study_of(pruned, 1.5, None).trials] == ["COMPLETE", "PRUNED"]
    assert [t.value for t in study_of(worst, 1.5, 7.0, None, 9.0).trials] == [1.5, 7.0, 7.0, 9.0]


def test_what_does_not_reach_the_target_is_infeasible_and_what_fails_is_no_solution() -> None:
    study = study_of(constrained, 1.9, 2.5, None, 1.5, directions=("minimize", "minimize"))
    assert [t.state.name for t in study.trials] == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    assert [list(t.constraints.values()) for t in study.trials] == [[0.0], [0.5], [], [0.0]]
    assert study.trials[1].values == [2.5, study.trials[0].values[1]] and study.best_trials == [study.trials[3]]


def test_to_motpe_a_failure_is_farther_from_feasible_than_whatever_misses_the_target() -> None:
    study = study_of(constrained_or_pruned, 1.9, 2.5, None, directions=("minimize", "minimize"))
    assert [t.state.name for t in study.trials] == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert [list(t.constraints.values()) for t in study.trials] == [[0.0], [0.5], [inf]]


@cache
def last_depths(name: str, deep_is_fast: bool) -> float:
    """The mean over the last twenty of eighty children whose loss depends on beta, and whose seconds on the depth."""
    process = Driven(name)
    process.write(told(0, START, 1.9))
    depths = []
    for index in range(1, 81):
        process.write(mating := process.setup.search.ask(index))
        params = process.propose(mating)
        share = params["DEPTH"] / 8
        means = 1 + (params["BETA"] - 0.9) ** 2, BUDGET * (1.125 - share if deep_is_fast else share)
        values = {o.name: Estimate(value, 1) for o, value in zip(OBJECTIVES, means, strict=True)}
        process.write(replace(told(index, params, 1.0), fitness=Fitness(values)))
        depths.append(params["DEPTH"])
    return mean(depths[-20:])


def test_motpe_learns_of_the_seconds_and_tpe_does_not() -> None:
    assert last_depths("motpe", False) < 3 < 6 < last_depths("motpe", True)
    assert last_depths("tpe", False) == last_depths("tpe", True)


def jobs_of(search: Halving, loss: Callable[[int, int], float | None], jobs: int) -> list[tuple[int, int]]:
    """The jobs that one slot is given, as (number of the draw, level); `loss` is of these."""
    search.tell(told(0, START, 1.9))
    names: dict[int, int] = {}
    given = []
    for index in range(1, jobs + 1):
        job = asked(search, index)
        number = names.setdefault(job[0], len(names) + 1)
        given.append((number, job[1]))
        search.tell(told(index, START, loss(number, job[1]), search.levels[job[1]]))
    return given


def asked(search: Halving, index: int) -> tuple[int, int]:
    search.asked(search.ask(index))
    job = search.jobs[index]
    return job.draw, job.level


def test_rungs_are_powers_of_eta_down_to_a_sixteenth() -> None:
    assert levels(4) == (1 / 16, 1 / 4, 1.0) and levels(2) == (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
    assert levels(3) == (1 / 9, 1 / 3, 1.0) and levels(4, 1 / 4) == (1 / 4, 1.0)


@pytest.mark.parametrize("name", HALVING)
def test_early_stopping_has_its_own_rungs_and_pays_for_a_smoke_test_above_the_lowest_once(
    name: str, tmp_path: Path
) -> None:
    run(name, TASK, 1, 600.0, tmp_path)
    history = open_history(place_of(name, TASK, 1, tmp_path))
    reached = Counter[tuple[bool, float]]()
    for index, mating in history.matings.items():
        own = [trial for (owner, _), trial in history.trials.items() if owner == f"ask/{index}"]
        if own:
            (rung,) = history.rungs_of[f"ask/{index}"]
            draw = mating.operator == OPERATOR
            reached[draw, rung] += 1
            assert [t.purpose == "smoke" for t in own[:2]] == [draw and rung > 1 / 16, False][: len(own)]
    assert {rung for _, rung in reached} == {1 / 16, 1 / 4, 1.0}
    assert 0 < reached[False, 1.0] < reached[False, 1 / 4] <= reached[True, 1 / 16] / 4
    assert reached[True, 1 / 16] > reached[True, 1 / 4] + reached[True, 1.0]


def test_asha_promotes_from_the_highest_rung_who_is_in_its_top_half_and_later_who_was_not_at_first() -> None:
    losses = {1: 5.0, 2: 4.0, 3: 6.0, 4: 3.0, 5: 7.0, 6: 4.5, 7: 1.0, 8: 9.0, 9: 9.5, 10: 9.6, 11: 9.7}
    given = jobs_of(Asha(OBJECTIVES, 8, (0.25, 0.5, 1.0), 0, eta=2), lambda draw, level: losses[draw], 18)
    assert given == [
        *[(1, 0), (2, 0), (2, 1)],  # 2 is the better of two
        *[(3, 0), (4, 0), (4, 1), (4, 2)],  # 4 is the better of two at the next rung too
        *[(5, 0), (6, 0), (6, 1)],  # the third of six
        *[(7, 0), (7, 1), (7, 2)],  # the best of four at the next rung; the second of them, 4, went on before
        *[(8, 0), (9, 0), (10, 0), (1, 1)],  # 1 is the fifth of ten
        (11, 0),
    ]


def test_asha_counts_no_failure_and_does_not_wait() -> None:
    search = Asha(OBJECTIVES, 8, (0.25, 0.5, 1.0), 0, eta=2)
    search.tell(told(0, START, 1.9))
    assert [asked(search, index) for index in (1, 2, 3, 4)] == [(1, 0), (2, 0), (3, 0), (4, 0)]
    search.tell(told(1, START, None))
    search.tell(told(3, START, 2.0, 0.25))
    assert asked(search, 5) == (5, 0)  # one that ended and one that failed are not two
    search.tell(told(2, START, 3.0, 0.25))
    assert asked(search, 6) == (3, 1) and asked(search, 7) == (7, 0)


def test_the_brackets_of_hyperband_are_those_of_algorithm_1() -> None:
    assert brackets(4, 3) == [(0, 81), (1, 34), (2, 15), (3, 8), (4, 5)]
    assert brackets(2, 4) == [(0, 16), (1, 6), (2, 3)]


def test_hyperband_halves_each_bracket_to_the_end_and_begins_again() -> None:
    first = dict(enumerate([5.0, 1.0, 8.0, 2.0, 9.0, 0.5, 7.0, 3.0, 6.0, 4.0, 3.0, 0.1, 2.0, 9.0], 1))
    search = Hyperband(OBJECTIVES, 8, (1 / 9, 1 / 3, 1.0), 0, eta=3)
    given = jobs_of(search, lambda draw, level: first.get(draw, 1.0) if draw != 12 else None, 23)
    assert given == [
        *[(draw, 0) for draw in range(1, 10)],  # s = 2: nine, three, one
        *[(6, 1), (2, 1), (4, 1), (6, 2)],
        *[(draw, 1) for draw in range(10, 15)],  # s = 1: five, one; 12 failed
        (13, 2),
        *[(15, 2), (16, 2), (17, 2)],  # s = 0: three
        (18, 0),
    ]


def test_a_rung_of_hyperband_waits_for_all_of_it_while_slots_go_on_with_the_next_bracket() -> None:
    search = Hyperband(OBJECTIVES, 8, (0.5, 1.0), 0, eta=2)
    search.tell(told(0, START, 1.9))
    assert [asked(search, index) for index in (1, 2)] == [(1, 0), (2, 0)]
    search.tell(told(1, START, 1.0, 0.5))
    assert asked(search, 3) == (3, 1)
    search.tell(told(2, START, None))
    assert asked(search, 4) == (1, 1) and asked(search, 5) == (5, 1) and asked(search, 6) == (6, 0)


def test_a_bracket_of_failures_promotes_nobody() -> None:
    search = Hyperband(OBJECTIVES, 8, (0.5, 1.0), 0, eta=2)
    given = jobs_of(search, lambda draw, level: None if draw < 3 else float(draw), 6)
    assert given == [(1, 0), (2, 0), (3, 1), (4, 1), (5, 0), (6, 0)]
    assert search.losses[search.jobs[1]] == inf
