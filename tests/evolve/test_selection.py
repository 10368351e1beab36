"""Who is better: properties of the order, the survivors, the front and its hypervolume."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.model import Candidate, Estimate, Fitness, Objective, Outcome, Trial
from evolve.reports.open import open_history
from evolve.selection import FAMILY_LIMIT, front, hypervolume, ranked, survivors, would_enter
from tests.evolve import toy
from tests.evolve.individuals import TWO, individual
from tests.evolve.runs import run


def ids(candidates: list[Candidate]) -> list[int]:
    return [c.index for c in candidates]


def dominates(a: Candidate, b: Candidate) -> bool:
    assert a.fitness and b.fitness
    pairs = [(a.fitness.values[o.name].mean, b.fitness.values[o.name].mean) for o in TWO]
    return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)


grid = st.tuples(st.integers(1, 6), st.integers(1, 6))  # coarse, so that there are many duplicates and ties
pools = st.lists(grid, min_size=1, max_size=24).map(
    lambda xs: [individual(i, *map(float, x)) for i, x in enumerate(xs)]
)


def test_rank_before_crowding_before_children_before_age() -> None:
    pool = [
        individual(1, 5.0, 5.0),  # rank 2
        individual(2, 2.0, 3.0),  # rank 1, in the middle
        individual(3, 1.0, 4.0),  # rank 1, an end
        individual(4, 4.0, 1.0),  # rank 1, an end with children
    ]
    assert ids(ranked(pool, TWO, {"4": 3})) == [3, 4, 2, 1]
    assert ids(ranked(pool, TWO, {"3": 4, "4": 3})) == [4, 3, 2, 1]


def test_debs_rule() -> None:
    pool = [
        individual(1, 0.1, violation=0.2),  # best loss, but infeasible
        individual(2, 0.2, violation=0.1),
        individual(3, 9.0, 9.0),
        individual(4, 0.2, violation=0.1),
    ]
    assert ids(ranked(pool, TWO, {})) == [3, 2, 4, 1]


def test_a_failed_candidate_is_nowhere() -> None:
    failed = individual(1, verdict="failed")
    assert ranked([failed], TWO, {}) == [] and survivors([failed], TWO, {}, 4) == [] and front([failed], TWO) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_fitness_that_is_not_finite_is_an_error_not_a_winner(value: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        ranked([individual(1, value, 1.0), individual(2, 2.0, 2.0)], TWO, {})


@given(pools)
@settings(max_examples=50, deadline=None)
def test_nobody_stands_behind_one_it_dominates(pool: list[Candidate]) -> None:
    order = ranked(pool, TWO, {})
    assert sorted(ids(order)) == ids(pool)
    assert not any(dominates(b, a) for i, a in enumerate(order) for b in order[i + 1 :])


@given(pools, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_front_does_not_depend_on_the_order_of_arrival(pool: list[Candidate], rng) -> None:  # type: ignore[no-untyped-def]
    members = front(pool, TWO)
    assert set(ids(members)) == {c.index for c in pool if not any(dominates(o, c) for o in pool)}
    assert [c.fitness.values["loss"].mean for c in members if c.fitness] == sorted(
        c.fitness.values["loss"].mean for c in members if c.fitness
    )
    shuffled = list(pool)
    rng.shuffle(shuffled)
    step_by_step: list[Candidate] = []
    for candidate in shuffled:
        step_by_step = front([*step_by_step, candidate], TWO)
    assert set(ids(step_by_step)) == set(ids(members))


def test_a_front_of_one_and_equals_on_it() -> None:
    best, worse = individual(1, 1.0, 1.0), individual(2, 2.0, 2.0)
    assert front([best, worse], TWO) == [best]
    assert ids(front([best, individual(3, 1.0, 1.0), worse], TWO)) == [1, 3]
    assert front([], TWO) == []


def test_only_the_confirmed_and_feasible_are_on_the_front() -> None:
    lucky, short, slow = individual(1, 0.1, 0.1, n=1), individual(2, 0.2, 0.2, n=2), individual(3, 0.1, violation=0.1)
    sound = individual(4, 2.0, 2.0)
    assert front([lucky, short, slow, sound], TWO) == [sound]


@pytest.mark.parametrize(
    ("point", "enters"),
    [
        ((1.0, 1.0), True),  # better in both
        ((1.5, 3.0), True),  # between
        ((2.0, 2.0), False),  # equal
        ((2.5, 2.5), False),
        ((2.0, 3.0), False),  # equal in one, worse in the other
        ((0.5, 99.0), True),
    ],
)
def test_would_enter(point: tuple[float, float], enters: bool) -> None:
    member = individual(1, 2.0, 2.0)
    newcomer = individual(2, *point, n=1)
    assert newcomer.fitness
    assert would_enter(newcomer.fitness, [member], TWO, 0.0) is enters
    assert would_enter(newcomer.fitness, [], TWO, 0.0)


@pytest.mark.parametrize(
    ("point", "enters"),
    [
        ((1.985, 9.0), False),
        ((1.975, 9.0), True),
        ((9.0, 1.985), False),  # of seconds noise is relative: 0.01, of 2
        ((9.0, 1.975), True),
        ((1.985, 1.985), False),  # ahead in both, in neither by enough
        ((2.5, 2.5), False),
    ],
)
def test_ahead_by_more_than_noise(point: tuple[float, float], enters: bool) -> None:
    """A member's three trainings have a standard error of 0.01: from one training its mean differs by 0.02."""
    newcomer = individual(2, *point, n=1)
    assert newcomer.fitness
    assert would_enter(newcomer.fitness, [individual(1, 2.0, 2.0)], TWO, 1.0) is enters


def test_an_infeasible_one_never_would_enter() -> None:
    assert not would_enter(Fitness({"loss": Estimate(0.1, 3)}, 0.1), [], TWO, 0.0)


def test_at_most_two_of_a_family_survive() -> None:
    family = [individual(i, 1.0 + i / 10, 1.0 + i / 10, skeleton="same") for i in range(5)]
    others = [individual(10 + i, 5.0 + i, 5.0 + i) for i in range(3)]
    assert ids(survivors([*others, *family], TWO, {}, 4)) == [0, 1, 10, 11]
    assert ids(survivors(family, TWO, {}, 4)) == [0, 1] and FAMILY_LIMIT == 2


@given(pools, st.integers(1, 8), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_survivors_are_the_first_and_do_not_depend_on_the_order_up_to_ties(  # type: ignore[no-untyped-def]
    pool: list[Candidate], size: int, rng
) -> None:
    kept = survivors(pool, TWO, {}, size)
    assert kept == ranked(pool, TWO, {})[:size]
    points = {(c.fitness.values["loss"].mean, c.fitness.values["seconds_to_target"].mean) for c in pool if c.fitness}
    if len(points) == len(pool):
        shuffled = list(pool)
        rng.shuffle(shuffled)
        assert {c.id for c in survivors(shuffled, TWO, {}, size)} == {c.id for c in kept}


def test_more_can_be_better() -> None:
    objectives = (Objective("loss"), Objective("tokens_per_second", "maximize"))
    names = ("loss", "tokens_per_second")
    slow, fast = individual(1, 2.0, 100.0, names=names), individual(2, 2.0, 200.0, names=names)
    assert front([slow, fast], objectives) == [fast]
    assert fast.fitness and would_enter(fast.fitness, [slow], objectives, 0.0)
    assert ids(ranked([slow, fast], objectives, {})) == [2, 1]


NAMES = ("loss", "memory", "lines")


def several(points: list[tuple[int, ...]], count: int) -> tuple[list[Candidate], tuple[Objective, ...]]:
    """Candidates of which the first `count` coordinates are objectives, to be minimised."""
    made = [individual(i, *map(float, point[:count]), names=NAMES[:count]) for i, point in enumerate(points)]
    return made, tuple(map(Objective, NAMES[:count]))


@pytest.mark.parametrize("count", [1, 2, 3])
@given(points=st.lists(st.tuples(*[st.integers(1, 5)] * 3), min_size=1, max_size=24))
@settings(max_examples=30, deadline=None)
def test_any_number_of_objectives(count: int, points: list[tuple[int, ...]]) -> None:
    """Against the definition: rank by rank, nobody of a rank is dominated by one of it or of a later one."""
    pool, objectives = several(points, count)
    left, ranks = dict(enumerate(p[:count] for p in points)), []
    while left:
        best = [i for i, p in left.items() if not any(q != p and all(map(int.__le__, q, p)) for q in left.values())]
        ranks.append(set(best))
        left = {i: p for i, p in left.items() if i not in best}
    order = ids(ranked(pool, objectives, {}))
    assert [set(order[sum(map(len, ranks[:i])) :][: len(rank)]) for i, rank in enumerate(ranks)] == ranks
    members = front(pool, objectives)
    assert set(ids(members)) == ranks[0]
    for candidate in pool:
        assert candidate.fitness
        rivals = [m for m in members if m is not candidate]
        dominated_or_equal = any(all(map(int.__le__, points[m.index][:count], points[candidate.index])) for m in rivals)
        assert would_enter(candidate.fitness, rivals, objectives, 0.0) is not dominated_or_equal


def test_with_one_objective_equals_are_ordered_by_children_and_age() -> None:
    pool, objectives = several([(2, 0, 0), (1, 0, 0), (1, 0, 0), (1, 0, 0), (3, 0, 0), (4, 0, 0), (5, 0, 0)], 1)
    assert ids(ranked(pool, objectives, {"1": 2})) == [2, 3, 1, 0, 4, 5, 6]
    assert ids(survivors(pool, objectives, {}, 2)) == [1, 2]
    assert ids(front(pool, objectives)) == [1, 2, 3]


@pytest.mark.parametrize(("count", "volume"), [(1, 2.0), (2, 4.0), (3, 8.0)])
def test_hypervolume_of_a_cube(count: int, volume: float) -> None:
    (good, seed), objectives = several([(1, 1, 1), (3, 3, 3)], count)
    assert seed.fitness
    assert hypervolume([good], objectives, seed.fitness) == pytest.approx(volume)


@pytest.mark.parametrize("count", [1, 3])
def test_a_run_with_another_number_of_objectives(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objectives = (Objective("loss"), Objective("seconds_to_target"), Objective("tokens_per_second", "maximize"))
    monkeypatch.setattr(toy, "OBJECTIVES", objectives[:count])

    def longer_is_faster(trial: Trial) -> Outcome:
        outcome = toy.run_trial(trial)
        speed = {"tokens_per_second": 100.0 + len(trial.genome.source)} if outcome.metrics else {}
        return replace(outcome, metrics={**outcome.metrics, **speed})

    reason, loop = run(tmp_path, 6, longer_is_faster)
    assert reason == "6 generations done"
    history = open_history(tmp_path)
    best, seed = history.front[0], history.seed
    assert best.fitness and seed and seed.fitness and len(best.fitness.values) == count
    assert best.fitness.values["loss"].mean < seed.fitness.values["loss"].mean
    assert history.hypervolume() == pytest.approx(loop.history.hypervolume()) and history.hypervolume() > 0
    assert [c.id for c in history.front] == [c.id for c in loop.history.front]


def test_hypervolume_by_hand() -> None:
    seed = individual(0, 3.0, math.e**2)
    assert seed.fitness
    assert hypervolume([], TWO, seed.fitness) == 0.0
    assert hypervolume([seed], TWO, seed.fitness) == 0.0
    one, two = individual(1, 2.0, math.e), individual(2, 1.0, math.e**1.5)
    assert hypervolume([one], TWO, seed.fitness) == pytest.approx(1.0)
    assert hypervolume([one, two], TWO, seed.fitness) == pytest.approx(1.5)
    assert hypervolume([one, individual(3, 4.0, 1.0)], TWO, seed.fitness) == pytest.approx(1.0)
