"""Who mates: draws depend on the number of the ask and on what was told, and on nothing else."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from evolve.arms import Arm
from evolve.model import Effect, Mating
from evolve.search import INSPIRATIONS, ParetoSearch
from tests.evolve.individuals import TWO, individual

OPERATORS = {"grow": Arm(1, 0.5), "merge": Arm(2, 0.5)}


def searching(*told, operators=OPERATORS, size: int = 8, seed: int = 0) -> ParetoSearch:  # type: ignore[no-untyped-def]
    search = ParetoSearch(TWO, size, operators, seed)
    for candidate in told:
        search.tell(candidate)
    return search


SEED = individual(0, 5.0, 5.0)


def asks(search: ParetoSearch, count: int = 60) -> list[Mating]:
    return [search.ask(i) for i in range(1, count + 1)]


def test_nobody_can_mate_before_the_seed_was_told() -> None:
    with pytest.raises(ValueError, match="seed program"):
        searching().ask(1)
    with pytest.raises(ValueError, match="seed program"):
        searching(individual(0, verdict="failed")).ask(1)


def test_an_infeasible_candidate_may_be_a_parent_but_is_never_on_the_front() -> None:
    search = searching(SEED, individual(1, 5.5, violation=0.5, parents=(0,)))
    assert {m.parents[0].id for m in asks(search)} == {"0", "1"}
    assert [c.id for c in search.front] == ["0"]


def test_an_ask_changes_nothing() -> None:
    search = searching(SEED, *(individual(i, 5.0 - i / 10, 5.0 + i / 10, parents=(0,)) for i in range(1, 6)))
    first = asks(search)
    assert asks(search) == first
    assert search.ask(3) == first[2]  # in any order


def test_the_run_seed_matters_and_so_does_the_number() -> None:
    told = [SEED, *(individual(i, 5.0 - i / 10, 5.0 + i / 10, parents=(0,)) for i in range(1, 6))]
    first = asks(searching(*told))
    assert first != asks(searching(*told, seed=1))
    assert len({m.seed for m in first}) == len(first)
    state = random.getstate()
    asks(searching(*told))
    assert random.getstate() == state


def test_telling_again_in_the_same_order_gives_the_same_population_and_asks() -> None:
    rng = random.Random(3)
    told = [SEED]
    for i in range(1, 80):
        infeasible = rng.random() < 0.2
        means = [5.5] if infeasible else [rng.uniform(1, 5), rng.uniform(1, 5)]
        told.append(
            individual(
                i,
                *means,
                n=rng.choice((1, 3)),
                violation=0.5 if infeasible else 0.0,
                parents=(rng.randrange(i),),
                skeleton=f"s{rng.randrange(20)}",
                verdict=rng.choice(("ok", "ok", "pruned", "failed", "duplicate")),
            )
        )
    one, other = searching(*told), searching(*told)
    assert one.population == other.population and one.front == other.front
    assert asks(one) == asks(other)


def test_better_parents_have_more_children() -> None:
    told = [SEED, *(individual(i, 5.0 - i, 5.0 - i, parents=(0,)) for i in range(1, 5))]
    counted = Counter(m.parents[0].id for m in asks(searching(*told, operators={"grow": Arm(1, 1.0)}), 400))
    assert [counted[str(i)] for i in range(5)] == sorted(counted[str(i)] for i in range(5))
    assert counted["0"] > 0


@pytest.mark.parametrize("order", [1, -1])
def test_the_newer_half_of_the_front_has_most_children_and_one_in_eight_is_of_the_population(order: int) -> None:
    """Of a front of four, the newest of three draws is one of the last two seven times in eight, better or not."""
    front = [individual(i, 4.0 + order * i / 10, 4.5 - order * i / 10, parents=(0,)) for i in range(1, 5)]
    others = [individual(i, 5.5, 6.5, n=1, parents=(0,)) for i in range(5, 9)]
    search = searching(SEED, *front, *others, operators={"grow": Arm(1, 1.0)}, size=12)
    assert [c.id for c in search.front] == ["1", "2", "3", "4"][::order]
    counted = Counter(m.parents[0].id for m in asks(search, 4000))
    explored = sum(counted[str(i)] for i in (0, 5, 6, 7, 8)) / 4000
    assert explored == pytest.approx((5 / 9) ** 2 / 8, abs=0.008)  # both draws of a tournament are not of the front
    assert (counted["3"] + counted["4"]) / sum(counted[str(i)] for i in range(1, 5)) == pytest.approx(0.85, abs=0.05)
    assert counted["4"] > counted["3"] > counted["2"] > counted["1"] > 0


def test_operators_are_drawn_by_weight() -> None:
    search = searching(SEED, operators={"a": Arm(1, 3.0), "b": Arm(1, 1.0)})
    counted = Counter(m.operator for m in asks(search, 400))
    assert counted["a"] == pytest.approx(300, abs=40)


def test_without_a_mate_an_operator_with_one_parent_takes_over() -> None:
    assert {m.operator for m in asks(searching(SEED))} == {"grow"}
    child = individual(1, 4.0, 4.0, parents=(0,))
    assert {m.operator for m in asks(searching(SEED, child))} == {"grow"}  # a merge with an ancestor is the child


def test_two_children_of_the_seed_merge_over_it_once() -> None:
    left, right = individual(1, 4.0, 6.0, parents=(0,)), individual(2, 6.0, 4.0, parents=(0,))
    search = searching(SEED, left, right)
    merges = [m for m in asks(search) if m.operator == "merge"]
    assert merges and all(m.base == SEED and {p.id for p in m.parents} == {"1", "2"} for m in merges)
    search.tell(individual(3, 4.5, 4.5, parents=(2, 1), verdict="failed"))
    assert not [m for m in asks(search) if m.operator == "merge"]


def test_the_base_is_the_nearest_common_ancestor() -> None:
    told = [
        SEED,
        individual(1, 4.9, 4.9, parents=(0,)),
        individual(2, 3.0, 6.0, parents=(1,)),
        individual(3, 6.0, 3.0, parents=(1,), edits=5),
    ]
    merges = [m for m in asks(searching(*told), 200) if {p.id for p in m.parents} == {"2", "3"}]
    assert merges and all(m.base and m.base.id == "1" for m in merges)


def test_a_merged_child_and_its_grandchild_have_ancestors_on_both_sides() -> None:
    told = [
        SEED,
        individual(1, 4.0, 6.0, parents=(0,)),
        individual(2, 6.0, 4.0, parents=(0,)),
        individual(3, 3.0, 5.0, parents=(1, 2)),
        individual(4, 5.0, 3.0, parents=(2,)),
    ]
    pairs = {tuple(sorted(p.id for p in m.parents)): m.base for m in asks(searching(*told), 400) if len(m.parents) == 2}
    assert pairs[("3", "4")] and pairs[("3", "4")].id == "2"
    assert ("2", "3") not in pairs and ("2", "4") not in pairs  # nothing new can come of an ancestor


def test_a_common_ancestor_that_did_not_survive_serves_all_the_same() -> None:
    told = [individual(0, 9.0, 9.0), *(individual(i, float(i), 10.0 - i, parents=(0,)) for i in range(1, 9))]
    search = searching(*told, size=4)
    assert "0" not in {c.id for c in search.population}
    assert any(m.base and m.base.id == "0" for m in asks(search))


def test_inspirations_are_of_other_families() -> None:
    told = [SEED, *(individual(i, 5.0 - i / 10, 5.0 + i / 10, parents=(0,), skeleton=f"s{i % 3}") for i in range(1, 9))]
    for mating in asks(searching(*told)):
        families = {p.genome.skeleton for p in mating.parents}
        assert len(mating.inspirations) <= INSPIRATIONS
        assert not families & {c.genome.skeleton for c in mating.inspirations}
        assert len({c.id for c in mating.inspirations}) == len(mating.inspirations)


def test_the_front_is_taken_over_the_whole_archive() -> None:
    """A confirmed member that lost its place in the population to its family stays on the front."""
    told = [SEED, *(individual(i, 5.0 - i / 10, 5.0 + i / 10, parents=(0,), skeleton="same") for i in range(1, 6))]
    search = searching(*told)
    assert len(search.population) == 3
    assert {c.id for c in search.front} == {"0", "1", "2", "3", "4", "5"}


@pytest.mark.parametrize(
    ("effect", "gain"), [(Effect(-0.2, 1.0, 0.05), 0.2), (Effect(0.2, 1.0, 0.05), 0.0), (None, 0.0)]
)
def test_an_operator_is_credited_with_the_effect_of_its_child(effect: Effect | None, gain: float) -> None:
    search = searching(SEED, replace(individual(1, 4.0, 4.0, parents=(0,)), effect=effect))
    assert sum(search.arms.tallies()["grow"].gains) == gain
