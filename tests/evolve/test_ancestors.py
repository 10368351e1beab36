"""Who descends from whom, and the front over time."""

from __future__ import annotations

from dataclasses import replace

from evolve.gains import fronts
from evolve.lineage import with_ancestors
from tests.evolve.individuals import TWO, individual


def test_ancestors_come_after_the_ends_the_nearest_first() -> None:
    made = [
        individual(0, 9, 9),
        individual(1, 8, 8, parents=(0,)),
        individual(2, 7, 7, parents=(0,)),
        individual(3, 6, 6, parents=(1, 2)),
        individual(4, 5, 5, parents=(3, 99)),  # a parent of which nothing is known
        individual(5, 5, 5, parents=(2,)),
    ]
    known = {c.id: c for c in made}
    assert list(with_ancestors(known, [made[4]])) == ["4", "3", "1", "2", "0"]
    assert list(with_ancestors(known, [made[5], made[4]])) == ["5", "4", "2", "0", "3", "1"]
    assert with_ancestors(known, []) == {}


def test_the_front_after_each_candidate() -> None:
    told = [
        individual(0, 9, 9),
        individual(1, 5, 10, n=1),  # not confirmed
        individual(2, 6, 10),
        replace(individual(3, 1, 1), quarantined="cheats"),
        individual(4, verdict="failed"),
        individual(5, 5, 5),
    ]
    found = [(c.id, [member.id for member in members]) for c, members in fronts(told, TWO)]
    assert found == [("0", ["0"]), ("1", ["0"]), ("2", ["2", "0"]), ("3", ["2", "0"]), ("4", ["2", "0"]), ("5", ["5"])]
