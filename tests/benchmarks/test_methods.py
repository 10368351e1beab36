"""Every method runs in the loop on the task with a known optimum."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.comparison.method import load
from benchmarks.comparison.models import by_default
from benchmarks.comparison.runner import place_of, run
from benchmarks.comparison.trace import FILE, read, traces
from benchmarks.tasks.synthetic import SEED, TASK
from evolve.config import ConfigError
from evolve.history import History
from evolve.loop import CONTROL_EVERY
from evolve.reports.open import history_of, open_history, read_events
from evolve.search import ParetoSearch
from tests.contracts.suites import SearchContract
from tests.evolve.individuals import individual

TOTAL = 450.0
SEARCHES = ("tpe", "asha", "hyperband", "greedy", "regularised_evolution")
KINDS = ("asha", "no_tuning", "ours", "regularised_evolution", "tpe")  # one of each that decides in another way
SAMPLED = ("random", "tpe", "motpe", "cmaes", "gp", "nsga2_knobs")
BY_LOSS = ("random", "tpe", "cmaes", "gp", "asha", "hyperband", "greedy", "regularised_evolution", "local_search")
ON_NUMBERS = {*SAMPLED, "seed", "asha", "hyperband", "no_structure"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    for name in by_default(None):
        run(name, TASK, 1, TOTAL, folder)
    return {name: place_of(name, TASK, 1, folder) for name in by_default(None)}


def children(history: History) -> list[str]:
    return [f"{c.verdict} {c.genome.key} {sorted(c.params.items())}" for c in history.candidates.values()]


@pytest.mark.parametrize("name", by_default(None))
def test_a_method_uses_its_budget_and_measures_the_seed_program_first(runs: dict[str, Path], name: str) -> None:
    trace = read(runs[name] / FILE)
    most = 6 * 16.0 * 1.1  # what runs on four slots, the trial that ended last, and the one that used the rest
    assert (trace.method, trace.task, trace.seed, trace.total) == (name, "synthetic", 1, TOTAL)
    assert trace.points[0].candidate == "0" and trace.points[0].confirmed and len(trace.points) > 4
    history = open_history(runs[name])
    assert TOTAL <= history.charged <= TOTAL + most
    structures = {c.genome.key for c in history.candidates.values()}
    assert (structures == {SEED.key}) == (name in ON_NUMBERS)


@pytest.mark.parametrize("name", by_default(None))
def test_a_method_is_charged_for_the_seed_program_and_its_children_alone(runs: dict[str, Path], name: str) -> None:
    history = open_history(runs[name])
    assert len(history.outcomes) > CONTROL_EVERY and not history.controls
    assert {owner.partition("/")[0] for owner, _ in history.trials} == {"ask"}


@pytest.mark.parametrize("name", [*SAMPLED, "greedy", "regularised_evolution"])
def test_a_child_without_tuning_is_one_trial_at_the_full_budget_unless_it_may_enter_the_front(
    runs: dict[str, Path], name: str
) -> None:
    history = open_history(runs[name])
    measured = [c for c in history.candidates.values() if c.index and c.fitness]
    assert any(not c.confirmed for c in measured)
    for candidate in measured:
        own = [t for (owner, _), t in history.trials.items() if owner == f"ask/{candidate.index}"]
        assert "tune" not in {t.purpose for t in own}
        assert candidate.confirmed or sum(t.rung == 1.0 and t.purpose != "smoke" for t in own) <= 2


@pytest.mark.parametrize("name", BY_LOSS)
def test_a_method_of_the_loss_alone_pays_for_more_seeds_and_the_curve_of_a_new_best_only(
    runs: dict[str, Path], name: str
) -> None:
    events = read_events(runs[name])
    history = history_of(events[:1])
    curves, bests, beaten = set(), set(), 0
    for event in events[1:]:
        if event.kind == "answer":
            best = history.best_loss
            assert best and event.body["answer"] == (event.body["loss"] < best.mean)
            bests |= {event.body["owner"]} if event.body["answer"] and event.body["name"] == "front/3" else set()
            beaten += not event.body["answer"]
        if event.kind == "trial" and event.body["owner"] != "ask/0" and event.body["trial"]["purpose"] == "rung":
            lower = event.body["trial"]["rung"] < 1.0 and history.rungs_of[event.body["owner"]][-1] == 1.0
            curves |= {event.body["owner"]} if lower else set()
        history.replay([event])
    assert curves == bests and beaten > 0
    assert all(len(member.losses) > 1 for member in history.front if member.index)


@pytest.mark.parametrize("name", ["nsga2_knobs", "motpe"])
def test_a_method_of_all_objectives_pays_for_the_curve_of_whoever_reaches_the_target(name: str, tmp_path: Path) -> None:
    run(name, TASK, 1, 3 * TOTAL, tmp_path)
    history = open_history(place_of(name, TASK, 1, tmp_path))
    children = [c for c in history.candidates.values() if c.index and c.fitness]
    assert all((len(c.losses) > 1) == c.fitness.feasible for c in children if c.fitness)
    assert any(c.fitness and c.fitness.feasible and not c.confirmed for c in children)


@pytest.mark.parametrize("name", ["asha", "hyperband"])
def test_early_stopping_ends_some_children_before_the_full_budget(runs: dict[str, Path], name: str) -> None:
    reached = [c.rung for c in open_history(runs[name]).candidates.values() if c.index]
    assert any(0.0 < rung < 1.0 for rung in reached) and 1.0 in reached


def test_seeds_differ(runs: dict[str, Path], tmp_path: Path) -> None:
    run("random", TASK, 2, TOTAL, tmp_path)
    assert children(open_history(place_of("random", TASK, 2, tmp_path))) != children(open_history(runs["random"]))


@pytest.mark.parametrize("name", KINDS)
def test_a_run_is_the_same_again_to_the_last_digit(runs: dict[str, Path], name: str, tmp_path: Path) -> None:
    run(name, TASK, 1, TOTAL, tmp_path)
    assert read(place_of(name, TASK, 1, tmp_path) / FILE) == read(runs[name] / FILE)


@pytest.mark.parametrize("name", ["ours", "tpe"])
def test_so_is_one_that_was_cut_in_between(runs: dict[str, Path], name: str, tmp_path: Path) -> None:
    """A cut loses what was under way, so it is not the run without a cut; what it began with is."""
    found = []
    for folder in (tmp_path / "one", tmp_path / "other"):
        for total in (TOTAL / 2, TOTAL):
            run(name, TASK, 1, total, folder)
        found.append(read(place_of(name, TASK, 1, folder) / FILE))
    whole = read(runs[name] / FILE)
    assert found[0] == found[1] != whole
    begun = sum(point.charged < TOTAL / 2 for point in whole.points)
    assert begun > 2 and found[0].points[:begun] == whole.points[:begun]


def test_a_run_that_was_cut_goes_on_in_its_log(tmp_path: Path) -> None:
    run("greedy", TASK, 1, TOTAL / 2, tmp_path)
    directory = place_of("greedy", TASK, 1, tmp_path)
    before = [event.key for event in read_events(directory)]
    run("greedy", TASK, 1, TOTAL, tmp_path)
    after = [event.key for event in read_events(directory)]
    assert after[: len(before)] == before and len(after) > len(before)
    assert read(directory / FILE).total == TOTAL and open_history(directory).charged >= TOTAL


def test_a_run_that_ended_is_not_begun_again(runs: dict[str, Path]) -> None:
    before = read_events(runs["tpe"])
    run("tpe", TASK, 1, TOTAL, runs["tpe"].parents[2])
    assert read_events(runs["tpe"]) == before


def test_regularised_evolution_forgets_who_is_old_and_greedy_does_not() -> None:
    best_first = [individual(0, 5.0, 5.0)] + [individual(i, 1.0 + i / 100, 5.0, parents=("0",)) for i in range(1, 40)]
    parents = {}
    for name in ("regularised_evolution", "greedy"):
        search = load(name).setup(TASK.given(), 1).search
        for candidate in best_first:
            search.tell(candidate)
        parents[name] = {search.ask(i).parents[0].index for i in range(40, 240)}
    assert parents["greedy"] == {1} and min(parents["regularised_evolution"]) == 20


def test_with_a_population_of_one_all_children_are_of_its_survivor_and_have_no_mates() -> None:
    front = [individual(0, 5.0, 5.0)] + [individual(i, 4.0 - i / 10, 2.0 + i / 10, parents=(0,)) for i in range(1, 6)]
    matings = {}
    for name in ("no_population", "ours"):
        search = load(name).setup(TASK.given(), 1).search
        for candidate in front:
            search.tell(candidate)
        matings[name] = [search.ask(i).parents for i in range(6, 106)]
    assert len({parents[0].id for parents in matings["ours"]}) > 1
    assert len({parents[0].id for parents in matings["no_population"]}) == 1
    assert all(len(parents) == 1 for parents in matings["no_population"])


def test_a_method_that_there_is_not_is_named() -> None:
    with pytest.raises(ConfigError, match="no method 'best'; there are asha, centaur"):
        load("best")


def test_the_command_runs_reports_progress_and_leaves_what_has_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = f"run --methods random,greedy --tasks synthetic --seeds 1 --budget 150 --jobs 2 -o {tmp_path}".split()
    first = subprocess.run([sys.executable, "-m", "benchmarks", *command], capture_output=True, text=True, check=True)
    assert "2/2  synthetic" in first.stdout
    for name in ("random", "greedy"):
        run(name, TASK, 1, 150.0, tmp_path / "here")
    assert list(traces(tmp_path)) == list(traces(tmp_path / "here")), "the same in another process"
    assert main(command) == 0 and capsys.readouterr().out == "2 runs, seeds 1; 2 of them have ended\n"
    assert main([*command[:2], "nobody", *command[3:]]) == 2 and "no method 'nobody'" in capsys.readouterr().err


class TestSearches(SearchContract):
    @pytest.fixture(params=SEARCHES)
    def make(self, request: pytest.FixtureRequest) -> Callable[[], ParetoSearch]:
        return lambda: load(request.param).setup(TASK.given(), 0).search
