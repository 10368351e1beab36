"""Views of the log that no other test looks at."""

from __future__ import annotations

import copy
import pickle
from dataclasses import asdict, replace

import pytest

from evolve import records
from evolve.model import Candidate, Outcome
from evolve.store import Event
from tests.evolve import toy
from tests.evolve.individuals import individual
from tests.evolve.runs import told


def test_the_busy_share_counts_seconds_of_the_core_and_the_slots_of_each_process() -> None:
    """4 s on a core twice as fast as nominal, 2 slots for 2 s; then 3 s at nominal speed, 1 slot for 4 s."""
    history = toy.new_history()
    trial = records.trial_record(toy.plan().trial(toy.SEED, {}, 0.25, 0, "tune"))
    header = {"settings": {"budget": 1.0}, "rungs": [0.25, 1.0]}
    events = [("run", 0.0, header), ("genome", 0.0, records.genome_record(toy.SEED))]
    for n, start, slots, seconds, speed in ((0, 10.0, 2, 4.0, 2.0), (1, 90.0, 1, 3.0, 1.0)):
        place = {"owner": "ask/0", "n": n}
        outcome = asdict(Outcome("ok", {"loss": 2.0, "core_speed": speed}, seconds=seconds))
        events.append(("session", start, {"slots": slots}))
        events.append(("trial", start, place | {"trial": trial}))
        events.append(("outcome", start + 2.0 * (n + 1), place | {"final": True, "outcome": outcome}))
    history.replay(Event(i, str(i), kind, at, body) for i, (kind, at, body) in enumerate(events))
    assert history.wall == 6.0 and history.charged == 7.0
    assert history.busy == pytest.approx((4 / 2 + 3) / (2 * 2 + 1 * 4))


def test_a_process_that_died_had_begun_as_many_trials_as_it_had_slots_those_submitted_first() -> None:
    history = toy.new_history()
    outcome = asdict(Outcome("ok", {"loss": 2.0}, seconds=1.0))
    events = [("run", {"settings": {"budget": 1.0}, "rungs": [0.25, 1.0]}), ("genome", records.genome_record(toy.SEED))]
    events.append(("session", {"slots": 2}))
    for n, rung in ((3, 0.25), (1, 1.0), (2, 0.5), (0, 0.25)):
        trial = records.trial_record(toy.plan().trial(toy.SEED, {}, rung, 0, "rung"))
        events.append(("trial", {"owner": "ask/0", "n": n, "trial": trial}))
    events.append(("outcome", {"owner": "ask/0", "n": 3, "final": True, "outcome": outcome}))
    events.append(("session", {"slots": 2}))
    history.replay(Event(i, str(i), kind, float(i), body) for i, (kind, body) in enumerate(events))
    budget = toy.plan().budget
    assert history.charged == pytest.approx(1.0 + budget * (1.0 + 0.5)) and history.statuses["lost"] == 2
    assert not history.running


def measured(index: int, loss: float, *parents: int) -> Candidate:
    return replace(individual(index, loss, 9.0, parents=parents), losses={"1": (loss - 0.01, loss, loss + 0.01)})


FAMILY = measured(0, 4.0), measured(1, 3.9, 0), measured(2, 3.0, 0)


@pytest.mark.parametrize("parents", [(1, 2), (2, 1)])
def test_a_child_of_two_is_compared_with_the_better_one(parents: tuple[int, int]) -> None:
    found = told(*FAMILY).effect_of(measured(3, 3.05, *parents))
    assert found and found.delta == pytest.approx(0.05) and found.rung == 1.0


def test_a_mended_child_of_two_is_compared_with_the_better_of_those_before_it() -> None:
    broken = replace(individual(3, parents=(1, 2), verdict="failed"), losses={})
    history, mended = told(*FAMILY, broken), measured(4, 2.9, 3)
    found = history.effect_of(mended)
    assert found and found.delta == pytest.approx(-0.1)
    assert history.measured_ancestor(mended) == FAMILY[1], "its numbers are inherited along first parents"


def test_a_parent_with_no_rung_in_common_is_none_to_compare_with() -> None:
    history = told(*FAMILY[:2], replace(FAMILY[2], index=-2, losses={"0.25": (3.0,)}))
    found = history.effect_of(measured(3, 3.5, 1, 2))
    assert found and found.delta == pytest.approx(-0.4)


def test_the_seed_and_a_child_without_a_loss_have_no_effect() -> None:
    history = told(*FAMILY)
    assert history.effect_of(FAMILY[0]) is None
    assert history.effect_of(replace(individual(3, parents=(1, 2), verdict="rejected"), losses={})) is None


def test_the_key_of_a_genome_is_kept_and_changes_nothing_else() -> None:
    fresh, used = (toy.read("lr = 1.0\nt1 = 1.0") for _ in range(2))
    assert used.key == fresh.key and used.key is used.key
    other = replace(used, skeleton="another")
    assert other.key != used.key
    fresh = toy.read(used.source)
    assert used == fresh and hash(used) == hash(fresh) and asdict(used) == asdict(fresh)
    assert pickle.loads(pickle.dumps(used)) == fresh == copy.copy(used) and repr(used) == repr(fresh)
