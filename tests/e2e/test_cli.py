"""One tiny run of the real target through the command line, and what a user then does with it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from evolve.cli import main
from evolve.config import ConfigError
from evolve.reports.open import find_candidate, open_history
from evolve.store import Store, StoreError
from operators.knobs import find
from tests.e2e.conftest import ROOT, TARGET, small_run


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two children with the real judge, killed without warning when it has done some trials, and continued.

    Minutes of thought are not its point, the way through all parts is.
    """
    directory = tmp_path_factory.mktemp("real") / "run"
    arguments = small_run(TARGET, directory, "--budget", "0.25")
    with subprocess.Popen([sys.executable, "-m", "evolve", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and outcomes(directory) < 4:
            time.sleep(0.05)
        assert process.poll() is None, "the run was over before it could be killed"
        process.kill()
    assert main(arguments) == 0
    return directory


def outcomes(directory: Path) -> int:
    """How many outcomes a run that may not have begun has recorded."""
    try:
        return len(open_history(directory).outcomes)
    except (StoreError, ConfigError):
        return 0


def output(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What a command that must succeed prints."""
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 0
    return capsys.readouterr().out


def test_everything_that_was_measured_is_in_the_log(run_dir: Path) -> None:
    history = open_history(run_dir)
    assert history.stopped == "1 generations done" and history.finished >= 2
    assert len(history.sessions) == 2 and not history.running
    store = Store.read(run_dir)
    kinds = [event.kind for event in store.events()]
    store.close()
    killed = kinds.index("session", kinds.index("session") + 1)
    open_then = kinds[:killed].count("trial") - kinds[:killed].count("outcome")
    assert history.statuses["lost"] == min(2, open_then), "two slots: the others had not begun"
    ended = kinds.count("outcome") + kinds.count("withdrawn") + open_then
    assert kinds.count("trial") == ended, "a trial was lost or run twice"
    assert history.seed and history.seed.confirmed
    assert all(o.metrics["val_bpb"] > 1 for p, o in history.outcomes.items() if history.trials[p].purpose == "rung")


def test_front_and_show(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    front = output(capsys, "front", "--run-dir", run_dir)
    assert "\nseed " in front and "bigram" in front
    assert "Nothing beats the seed by 2 standard errors" in front or "standard errors)." in front
    best = output(capsys, "show", "best", "--run-dir", run_dir)
    assert "val_bpb" in best and "charged" in best


def test_diff_names_what_the_child_changed(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    child = next(c for c in open_history(run_dir).candidates.values() if c.edits)
    shown = output(capsys, "diff", "seed", child.id, "--run-dir", run_dir)
    assert f"0 to {child.id}" in shown and "+++" in shown
    assert all(edit.target in shown for edit in child.edits)


def test_an_exported_program_stands_alone_with_its_tuned_numbers(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = open_history(run_dir)
    child = max(history.candidates.values(), key=lambda c: (len(c.params), c.index))
    for name in ("seed", "best", child.id):
        candidate = find_candidate(history, name)
        output(capsys, "export", name, "-o", tmp_path / "out.py", "--force", "--run-dir", run_dir)
        source = (tmp_path / "out.py").read_text()
        compile(source, "out.py", "exec")
        written = {knob.address: knob.default for knob in find(source)}
        assert candidate.params
        assert written.keys() >= candidate.params.keys()
        assert {a: written[a] for a in candidate.params} == pytest.approx(dict(candidate.params), rel=1e-3)
        assert output(capsys, "export", name, "--run-dir", run_dir) == source


@pytest.mark.slow
def test_resume_repeats_nothing(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = open_history(run_dir)
    said = output(capsys, "resume", "--generations", "1", "--run-dir", run_dir)
    assert f"Resumed: {len(before.outcomes)} trials" in said and f"{before.statuses['lost']} trials lost" in said
    after = open_history(run_dir)
    assert after.outcomes == before.outcomes and after.charged == before.charged
    assert list(after.candidates) == list(before.candidates)
