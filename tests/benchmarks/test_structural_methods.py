"""The methods that search structures without evolving them, and ours without the filter of what was seen before."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.baselines.independent import SHARE, TUNED
from benchmarks.baselines.local_search import DRAWN, NEIGHBOURS, STARTS, Climbing
from benchmarks.baselines.regularised_evolution import POPULATION
from benchmarks.comparison.drawn import MOST_EDITS
from benchmarks.comparison.method import Given, Method, Setup, load
from benchmarks.comparison.runner import place_of, run
from benchmarks.comparison.trace import FILE
from benchmarks.tasks.synthetic import BLOCKS, TASK, blocks_of
from evolve import records
from evolve.briefing import briefing
from evolve.config import ConfigError
from evolve.history import History
from evolve.model import Candidate, Mating, Verdict
from evolve.proposals import identities
from evolve.reports.open import open_history, read_events
from evolve.tuner import first_parameters
from tests.evolve.individuals import individual

TOTAL = 1000.0
NAMES = ("local_search", "random_structure", "independent", "no_seen_before", "greedy", "regularised_evolution")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    for name in NAMES:
        run(name, TASK, 1, TOTAL, folder)
    return {name: place_of(name, TASK, 1, folder) for name in NAMES}


def told(history: History) -> list[Candidate]:
    return list(history.candidates.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_is_cut_anywhere_would_ask_and_propose_what_it_did(runs: dict[str, Path], name: str) -> None:
    setup = load(name).setup(replace(TASK.given(), total=TOTAL), 1)
    history = History(setup.search)
    expected = open_history(runs[name]).proposals
    asked = 0
    for event in read_events(runs[name]):
        if event.kind == "ask":
            mating = records.mating_from(event.body, history.candidates)
            assert setup.search.ask(mating.index) == mating
        history.replay([event])
        if event.kind == "ask" and mating.index in expected:  # the last may have had no time
            made = setup.operators[mating.operator].propose(mating, briefing(history, mating))
            assert made == replace(expected[mating.index], cost=made.cost)
            asked += 1
    assert asked == len(expected) > 10


def climbing(*after: tuple[float, int, Verdict], starts: Sequence[float] = ()) -> Climbing:
    """A climb whose candidates have this loss, parent and verdict; `starts` are points at random before them."""
    search = load("local_search").setup(TASK.given(), 1).search
    assert isinstance(search, Climbing)
    search.tell(individual(0, 5.0, 5.0))
    for index, (loss, parent, verdict) in enumerate(after, 1):
        search.tell(individual(index, loss, 5.0, parents=(parent,), verdict=verdict))
    return search


def place(search: Climbing) -> str:
    found = search.place()
    return found.id if found else "none"


def test_a_climb_goes_to_the_first_child_that_is_better_than_where_it_stands() -> None:
    assert place(climbing((6.0, 0, "ok"), (4.0, 0, "ok"), (4.5, 0, "ok"))) == "2"
    assert place(climbing((4.0, 0, "ok"), (3.0, 1, "ok"), (3.5, 0, "ok"))) == "2"
    assert place(climbing((4.0, 0, "ok"), (3.0, 0, "ok"))) == "2"  # of a place that was left, and still better
    assert place(climbing((4.0, 0, "failed"), (3.0, 0, "rejected"))) == "0"


def test_a_climb_asks_for_children_of_where_it_stands() -> None:
    search = climbing((4.0, 0, "ok"))
    assert {search.ask(index).parents[0].id for index in range(2, 30)} == {"1"}
    assert {search.ask(index).operator for index in range(2, 30)} == {"catalogue", "step"}


def test_at_a_local_optimum_it_begins_anew_from_the_best_of_points_at_random() -> None:
    search = climbing((4.0, 0, "ok"), *[(4.5, 1, "ok")] * (NEIGHBOURS - 1))
    assert place(search) == "1"
    search.tell(individual(NEIGHBOURS + 1, 4.5, 5.0, parents=(1,), verdict="failed"))
    assert place(search) == "none" and search.ask(99).operator == DRAWN and search.ask(99).parents[0].id == "0"
    late = individual(100, 3.0, 5.0, parents=(1,))
    search.tell(late)
    for index in range(101, 101 + STARTS):
        assert place(search) == "none"
        start = individual(index, 9.0 - index / 100, 5.0, parents=(0,), verdict="ok" if index < 105 else "failed")
        search.tell(replace(start, operator=DRAWN))
    assert place(search) == "104"  # whatever the climb before reached
    search.tell(individual(200, 7.0, 5.0, parents=(104,)))
    search.tell(individual(201, 2.0, 5.0, parents=(100,)))
    assert place(search) == "200"


def test_who_is_quarantined_is_no_place() -> None:
    search = climbing((4.0, 0, "ok"), (3.0, 1, "ok"))
    search.quarantine({"2": "causality"})
    assert place(search) == "1"


def test_points_at_random_have_any_blocks_and_numbers_within_their_ranges(runs: dict[str, Path]) -> None:
    children = [c for c in told(open_history(runs["random_structure"])) if c.index]
    assert {c.parents for c in children} == {("0",)}
    used = Counter(block for c in children for block in blocks_of(c.genome.source))
    assert set(used) == set(BLOCKS) and max(len(blocks_of(c.genome.source)) for c in children) <= MOST_EDITS
    for child in children:
        assert first_parameters(child.genome.knobs, child.params) == child.params
    widths = {c.params["WIDTH"] for c in children}
    rates = sorted(float(c.params["LEARNING_RATE"]) for c in children)
    assert len(widths) >= 4 and rates[0] < 1e-3 < 1e-2 < rates[-1]


def test_independent_samples_take_half_of_the_total_and_tuning_the_rest(runs: dict[str, Path]) -> None:
    history = open_history(runs["independent"])
    samples = [c for c in told(history) if c.index and c.operator != TUNED]
    tuned = [c for c in told(history) if c.operator == TUNED]
    assert {c.parents for c in samples} == {("0",)} and all(c.edits for c in samples if c.verdict != "rejected")
    parents = [history.candidates[c.parents[0]] for c in tuned]
    assert all(c.genome == parent.genome and parent.id != "0" for c, parent in zip(tuned, parents, strict=True))
    spent = [sum(c.seconds for c in group) for group in ([history.candidates["0"], *samples], tuned)]
    assert spent[0] > 0.8 * SHARE * TOTAL and spent[1] > 0  # at so small a total much is under way


def test_the_best_independent_sample_is_tuned_once_half_of_the_total_is_charged_or_under_way() -> None:
    search = load("independent").setup(replace(TASK.given(), total=100.0), 1).search
    search.tell(replace(individual(0, 5.0, 5.0), seconds=10.0))
    assert {search.ask(index).operator for index in range(1, 9)} == {DRAWN}  # nobody knows what a child costs
    for index, loss in enumerate((4.0, 3.0, 3.5), 1):
        search.tell(replace(individual(index, loss, 5.0, parents=(0,)), seconds=10.0))
    assert [search.ask(index).operator for index in (4, 5)] == [DRAWN, TUNED]  # 40 charged, then one more under way
    assert search.ask(5).parents[0].id == "2"
    search.tell(replace(individual(4, 2.0, 5.0, parents=(0,)), seconds=10.0))
    assert search.ask(6).parents[0].id == "4"


def test_regularised_evolution_begins_with_a_population_of_random_structures(runs: dict[str, Path]) -> None:
    children = [c for c in told(open_history(runs["regularised_evolution"])) if c.index]
    drawn = [c for c in children if c.operator == DRAWN]
    assert {c.index for c in drawn} == set(range(1, POPULATION)) and {c.parents for c in drawn} == {("0",)}
    sizes = {len(blocks_of(c.genome.source)) for c in drawn}
    assert len(sizes) > 3 and max(sizes) <= MOST_EDITS and all(c.edits for c in drawn)
    assert all(c.params == first_parameters(c.genome.knobs, {}) for c in drawn if c.verdict == "ok")  # the seed's
    later = [c for c in children if c.index >= POPULATION]
    assert later and DRAWN not in {c.operator for c in later} and {c.parents for c in later} != {("0",)}


def test_a_run_that_divides_its_total_does_not_go_on_with_another(tmp_path: Path) -> None:
    run("independent", TASK, 1, 150.0, tmp_path)
    directory = place_of("independent", TASK, 1, tmp_path)
    before = read_events(directory)
    for total in (300.0, 100.0):  # neither as if it had ended, nor as the same run
        with pytest.raises(ConfigError, match=f"holds a run of 150 charged seconds.* cannot go on to {total:g}"):
            run("independent", TASK, 1, total, tmp_path)
    (directory / FILE).unlink()  # as if it had been cut before its end
    with pytest.raises(ConfigError, match="cannot go on to 300. Give it --budget 150"):
        run("independent", TASK, 1, 300.0, tmp_path)
    assert run("independent", TASK, 1, 150.0, tmp_path) and (directory / FILE).exists()
    assert [e.key for e in read_events(directory)][: len(before)] == [e.key for e in before]


def test_only_who_says_so_knows_the_total(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known: dict[str, float] = {}
    for name in ("greedy", "independent"):
        method = load(name)

        def setup(given: Given, seed: int, method: Method = method) -> Setup:
            known[method.name] = given.total
            return method.setup(given, seed)

        monkeypatch.setattr(f"benchmarks.baselines.{name}.METHOD", replace(method, setup=setup))
        run(name, TASK, 1, 100.0, tmp_path)
    assert known == {"greedy": math.inf, "independent": 100.0}


def test_without_the_filter_a_known_structure_is_measured_again(runs: dict[str, Path]) -> None:
    children = [c for c in told(open_history(runs["no_seen_before"])) if c.edits and c.verdict != "rejected"]
    assert "duplicate" not in {c.verdict for c in children}
    assert len({c.genome.key for c in children}) < len(children)


@pytest.mark.parametrize("name", ["greedy", "local_search"])
def test_without_tuning_a_known_structure_with_other_numbers_is_something_new(runs: dict[str, Path], name: str) -> None:
    history = open_history(runs[name])
    new = [c for c in told(history) if c.edits and c.verdict in ("ok", "failed")]
    points = [identities(c.genome, c.params)["numbers"] for c in new if c.verdict == "ok"]
    assert len(set(points)) == len(points)
    assert len({c.genome.key for c in new}) < len(new)
    refused = [c for c in told(history) if c.verdict == "duplicate"]
    assert refused and all(history.first_of[identities(c.genome, c.params)["numbers"]] != c.id for c in refused)


def test_a_mating_says_who_has_a_child(runs: dict[str, Path]) -> None:
    search = load("independent").setup(replace(TASK.given(), total=TOTAL), 1).search
    with pytest.raises(ValueError, match="seed program"):
        search.ask(1)
    search.tell(individual(0, 5.0, 5.0))
    assert isinstance(search.ask(1), Mating)
