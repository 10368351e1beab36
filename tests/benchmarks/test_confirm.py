"""A confirmation: nothing is trained twice, no other run's results are taken, and scipy is for the report only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import confirm
from benchmarks.fresh import ABOUT
from evolve.config import ConfigError, Target
from evolve.executors.inline import InlineExecutor
from evolve.history import History
from evolve.model import Candidate, Outcome, Trial
from evolve.store import StoreError
from tests.evolve import toy
from tests.evolve.runs import run


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whom `confirm.confirm` was asked to train."""
    asked: list[str] = []

    def train(
        history: History, target: Target, candidate: Candidate, seeds: Sequence[int], path: Path
    ) -> dict[str, Any]:
        asked.append(candidate.id)
        rows = [{"loss": 1.0 + seed % 7} for seed in seeds]
        return {
            "id": candidate.id,
            "budget": 1.0,
            "runs": {"seed": rows, "candidate": rows},
            "curve": {},
            "machine": {},
        }

    monkeypatch.setattr(confirm, "confirm", train)
    monkeypatch.setattr(confirm.plugins, "target_of", lambda header, moved_to: Path("nowhere"))
    monkeypatch.setattr(confirm, "load_target", lambda folder: None)
    monkeypatch.setattr(confirm, "count_models", lambda history, target: {})
    return asked


def measured_child(history: History) -> Candidate:
    return next(c for c in history.candidates.values() if c.index and c.verdict == "ok")


def test_what_was_trained_is_not_trained_again(
    tmp_path: Path, trained: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    history, path = run(tmp_path / "run", 4)[1].history, tmp_path / "results.json"
    child = measured_child(history)
    first = confirm.measured(history, child, 5, path)
    assert confirm.measured(history, child, 5, path) == json.loads(json.dumps(first)) and trained == [child.id]
    assert f"Nothing is trained: {path} has it already." in capsys.readouterr().err


def test_the_results_of_another_run_candidate_or_number_of_seeds_are_not_taken(
    tmp_path: Path, trained: list[str]
) -> None:
    history, path = run(tmp_path / "run", 4)[1].history, tmp_path / "results.json"
    child = measured_child(history)
    confirm.measured(history, child, 5, path)
    with pytest.raises(ConfigError, match="of another candidate, run or number of seeds"):
        confirm.measured(history, child, 3, path)
    history.header = history.header | {"settings": history.header["settings"] | {"budget": 999.0}}
    with pytest.raises(ConfigError, match="of another candidate, run or number of seeds"):
        confirm.measured(history, child, 5, path)
    path.write_text(path.read_text()[:40])
    with pytest.raises(ConfigError, match="damaged: remove it"):
        confirm.measured(history, child, 5, path)
    assert trained == [child.id]


class Executor(InlineExecutor):
    """Trains in no time, says where, and is interrupted before the training `cut`."""

    hello = dict.fromkeys(ABOUT, "here")

    def __init__(self, cut: int) -> None:
        super().__init__(self.train)
        self.trained: list[Trial] = []
        self.cut = cut

    def train(self, trial: Trial) -> Outcome:
        if len(self.trained) == self.cut:
            raise KeyboardInterrupt
        self.trained.append(trial)
        return toy.run_trial(trial)


def test_one_that_was_interrupted_goes_on_with_what_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, path = run(tmp_path / "run", 4)[1].history, tmp_path / "results.json"
    history.header = history.header | {"settings": history.header["settings"] | {"scale": "toy"}}
    child = measured_child(history)
    monkeypatch.setattr(confirm.plugins, "target_of", lambda header, moved_to: Path("nowhere"))
    monkeypatch.setattr(confirm, "load_target", lambda folder: None)
    monkeypatch.setattr(confirm, "count_models", lambda history, target: {})
    executors = [Executor(7), Executor(100), Executor(100), Executor(100)]
    turns = iter(executors)
    monkeypatch.setattr(confirm, "executor_of", lambda history, target, log: next(turns))
    with pytest.raises(KeyboardInterrupt):
        confirm.measured(history, child, 5, path)
    found = confirm.measured(history, child, 5, path)
    (tmp_path / "other").mkdir()
    at_once = confirm.measured(history, child, 5, tmp_path / "other" / "results.json")
    assert found == at_once and len(executors[0].trained) == 7
    trials = executors[0].trained[:6] + executors[1].trained  # the pair that was cut off meets the machine together
    assert [(t.genome, t.seed, t.rung) for t in trials] == [(t.genome, t.seed, t.rung) for t in executors[2].trained]
    executors[3].hello = executors[3].hello | {"device": "elsewhere"}
    with pytest.raises(ConfigError, match="of another candidate, run, text or machine: choose another -o"):
        confirm.measured(history, child, 7, path.with_name("more.json"))
    with pytest.raises(ConfigError, match="the seed program is what others are compared with"):
        confirm.measured(history, history.candidates["0"], 5, path)


def test_trainings_of_another_candidate_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "trainings.jsonl"
    confirm.Kept(path, "one").add(("1", 1.0, 9), Outcome("ok", {"loss": 1.0}))
    assert confirm.Kept(path, "one").metrics == {("1", 1.0, 9): {"loss": 1.0}}
    with pytest.raises(ConfigError, match="choose another -o"):
        confirm.Kept(path, "another")
    path.write_text('{"id": "1"}\n')
    with pytest.raises(StoreError, match="a row of another kind"):
        confirm.Kept(path, "one")


def test_without_scipy_it_trains_and_says_what_the_report_needs(
    tmp_path: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    history = run(tmp_path / "run", 4)[1].history
    child = measured_child(history)
    monkeypatch.setattr(confirm, "open_history", lambda directory: history)
    monkeypatch.setattr(confirm, "find_spec", lambda name: None)
    arguments = ["confirm", str(tmp_path / "run"), "-o", str(tmp_path / "out"), "--id", child.id, "--seeds", "2"]
    monkeypatch.setattr("sys.argv", arguments)
    assert confirm.main() == 2 and trained == [child.id]
    assert "The report needs scipy: pip install" in capsys.readouterr().err
    assert (tmp_path / "out" / "results.json").is_file() and not (tmp_path / "out" / "results.md").exists()
