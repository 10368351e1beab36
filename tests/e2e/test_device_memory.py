"""A run on a device whose memory is small: what cannot fit is not begun, and everybody is told why."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolve import plugins
from evolve.cli import main
from evolve.executors.sparing import Estimates
from evolve.history import History
from evolve.journal import entry
from evolve.memory import refused
from evolve.reports.open import history_of, open_history, read_events
from tests.e2e.conftest import make_target, small_run
from tests.e2e.fake_judge import peak_mb

LIMIT = 3000.0  # MiB; the seed program has 2,712
SIZE = ["--generations", "4", "--offspring", "4", "--population", "6", "--tune-trials", "6", "--budget", "0.004"]
LARGER = {"DEPTH = 2": "DEPTH = 6", "DIM = 64": "DIM = 256", "BATCH_SIZE = 16": "BATCH_SIZE = 64", "F.gelu": "F.relu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The target, and a run that was ended and resumed with a program that a person brought, far too large."""
    folder = tmp_path_factory.mktemp("memory")
    target, run = make_target(folder / "target"), folder / "run"
    (target / "memory").write_text(str(LIMIT))
    assert main([*SIZE, "--target", str(target), "--run-dir", str(run)]) == 0
    source = (target / "train.py").read_text()
    for old, new in LARGER.items():
        assert old in source
        source = source.replace(old, new)
    (folder / "mine.py").write_text(source)
    assert main(["inject", str(folder / "mine.py"), "-m", "larger is better", "--run-dir", str(run)]) == 0
    assert main(["resume", "--generations", "5", "--run-dir", str(run)]) == 0
    return folder


@pytest.fixture(scope="module")
def history(folder: Path) -> History:
    return open_history(folder / "run")


def test_who_is_refused_would_not_have_fitted_and_was_not_begun(folder: Path, history: History) -> None:
    reader = plugins.reader_for(history.header)
    peaks = {place: peak_mb(reader.bind(t.genome, t.params)) for place, t in history.trials.items()}
    spared = {place for place, outcome in history.outcomes.items() if refused(outcome)}
    assert len(spared) > 1 and all(peaks[place] > LIMIT for place in spared)
    assert any(history.trials[place].purpose == "tune" for place in spared)
    assert history.charged == pytest.approx(sum(o.seconds for p, o in history.outcomes.items() if p not in spared))
    begun = sorted((folder / "target" / "begun").read_text().split())
    assert begun == sorted(f"{peaks[place]:.3f}" for place in history.outcomes if place not in spared)


def test_every_refusal_follows_from_the_log_before_it(folder: Path, history: History) -> None:
    """So a run that is resumed anywhere decides as one that was not interrupted."""
    first, *events = read_events(folder / "run")
    again = history_of([first])
    estimates, said = Estimates(again), {}
    for event in events:
        again.apply(event)
        if event.kind == "trial":
            said[again.submitted] = estimates.refusal(again.trials[again.submitted])
    assert said == {place: o.reason if refused(o) else "" for place, o in history.outcomes.items()}


def test_a_candidate_that_is_refused_at_once_failed_and_language_models_are_told_why(
    folder: Path, history: History, capfd: pytest.CaptureFixture[str]
) -> None:
    (mine,) = [c for c in history.candidates.values() if c.operator == "person"]
    assert (mine.verdict, mine.rung, mine.seconds, mine.trials) == ("failed", 0.0, 0.0, 1)
    said = entry(mine)
    assert (
        'dead end, "oom at smoke: estimated' in said and "of device memory, the limit is 2.9 GiB: not started" in said
    )
    assert "instead of 64" in said or "instead of 256" in said
    assert main(["failures", "--run-dir", str(folder / "run")]) == 0
    assert "oom: estimated # GiB (# %: # to #) of device memory" in " ".join(capfd.readouterr().out.split())


def test_the_cost_says_how_many_were_spared(folder: Path, history: History, capfd: pytest.CaptureFixture[str]) -> None:
    spared = [owner for (owner, _), outcome in history.outcomes.items() if refused(outcome)]
    assert main(["cost", "--run-dir", str(folder / "run")]) == 0
    told = f"Not started, estimated above the device's memory: {len(spared)} trials of {len(set(spared))} candidates."
    assert told in capfd.readouterr().out


def test_a_device_that_is_not_exclusive_is_told_at_the_start_and_in_the_end(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = make_target(tmp_path / "target")
    (target / "beside").write_text("others hold 20,480 MiB of fake (GPU 0): pid 7 (python, 20,480 MiB)")
    assert (
        main(small_run(target, tmp_path / "run", "--operator", "catalogue", "--tune-trials", "1", "--generations", "4"))
        == 0
    )
    told = "Not exclusive: others hold 20,480 MiB of fake (GPU 0): pid 7 (python, 20,480 MiB); speeds and losses"
    out = " ".join(capfd.readouterr().out.split())
    trainings = len(open_history(tmp_path / "run").outcomes)
    assert told in out
    assert (
        f"On a device that was not exclusive: {trainings} of {trainings} trainings, beside others that held up" in out
    )
    child = next(c.id for c in open_history(tmp_path / "run").candidates.values() if c.index and c.fitness)
    assert main(["promote", child, "--budget", "1x", "--seeds", "1", "--run-dir", str(tmp_path / "run")]) == 0
    assert told in " ".join(capfd.readouterr().out.split())
