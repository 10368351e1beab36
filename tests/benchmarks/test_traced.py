"""The trace of a run says what its log says."""

from __future__ import annotations

import math
from itertools import count
from pathlib import Path

import pytest

from benchmarks.comparison.anytime import claimed_members
from benchmarks.comparison.trace import Trace, read, write
from benchmarks.comparison.traced import trace_of
from evolve import records
from evolve.executors.inline import InlineExecutor
from evolve.history import History
from evolve.model import Outcome, Trial
from evolve.reports.open import open_history, read_events
from tests.benchmarks.made_up import Axis, Problem
from tests.evolve import test_quarantine as quarantine
from tests.evolve import toy


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, History, Trace]:
    directory = tmp_path_factory.mktemp("run")
    number = count()

    def trial(trial: Trial) -> Outcome:
        crashes = next(number) == 40  # long after those of the seed program
        return Outcome("crashed", reason="ZeroDivisionError", device="toy") if crashes else toy.run_trial(trial)

    executor = InlineExecutor(trial)
    loop = toy.make_loop(directory, 4, executor, seed=3)
    loop.run(toy.SEED)
    loop.store.close()
    executor.close()
    return directory, open_history(directory), trace_of(directory, "ours", "toy", 3, 100.0)


def test_every_candidate_that_was_told_is_a_point_in_its_order(run: tuple[Path, History, Trace]) -> None:
    _, history, trace = run
    assert [p.candidate for p in trace.points] == list(history.candidates)
    assert [p.status for p in trace.points] == [c.verdict for c in history.candidates.values()]
    assert [p.candidate for p in trace.points if p.confirmed] == [
        c.id for c in history.candidates.values() if c.confirmed
    ]
    charged = [p.charged for p in trace.points]
    assert charged == sorted(charged) and 0 < charged[0] < charged[-1] <= history.charged


def test_the_confirmed_points_have_the_losses_of_the_progress(run: tuple[Path, History, Trace]) -> None:
    _, history, trace = run
    best, found = math.inf, {}
    gains = {charged: loss for charged, loss, _ in history.progress}
    for point in trace.points:
        if point.confirmed:
            best = min(best, point.values["loss"])
            if point.charged in gains:
                found[point.charged] = best
    assert found == pytest.approx(gains) and len(found) > 1


def test_failed_trials_are_counted_and_have_no_values(run: tuple[Path, History, Trace]) -> None:
    _, history, trace = run
    crashed = sum(outcome.status != "ok" for outcome in history.outcomes.values())
    assert trace.failures == crashed > 0
    assert trace.trials == len(history.outcomes)
    assert all(not p.values for p in trace.points if p.status in ("failed", "duplicate", "rejected"))


def test_a_trace_is_read_as_it_was_written(run: tuple[Path, History, Trace], tmp_path: Path) -> None:
    write(run[2], tmp_path / "trace.json")
    assert read(tmp_path / "trace.json") == run[2]


def test_a_cheat_that_was_proven_after_it_had_entered_the_front_claims_nothing(tmp_path: Path) -> None:
    trained: set[str] = set()

    def caught(trial: Trial) -> bool:
        trained.update({trial.genome.id} if trial.rung == 1.0 else ())
        return len(trained) > 3

    _, loop = quarantine.run(tmp_path, 12, quarantine.cheating(caught))
    told = [records.candidate_from(e.body, loop.history.genomes) for e in read_events(tmp_path) if e.kind == "tell"]
    late = {c.id for c in told if c.confirmed and not c.quarantined} & {
        c.id for c in loop.history.candidates.values() if c.quarantined
    }
    found = trace_of(tmp_path, "ours", "toy", 0, math.inf)
    out = {p.candidate: p for p in found.points if p.status == "quarantined"}
    assert late and late <= out.keys() == {c.id for c in loop.history.candidates.values() if c.quarantined}
    assert [p.candidate for p in found.points] == [c.id for c in told], "what it cost is still there"
    assert not any(p.values or p.confirmed for p in out.values())
    problem = Problem(
        objectives=(Axis("loss"), Axis("seconds_to_target", log=True)),
        reference={"loss": 9.0, "seconds_to_target": 9.0},
        seed={"loss": 9.0, "seconds_to_target": 9.0},
    )
    assert {name for name, _ in claimed_members(found, problem)} == {c.id for c in loop.history.front}
