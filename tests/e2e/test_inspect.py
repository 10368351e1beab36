"""Every command that reads a run, on runs in every state: something sensible, or one line that says why not."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from evolve.cli import main
from evolve.config import ConfigError
from evolve.reports.open import find_candidate, open_history
from evolve.reports.state import state_of
from evolve.store import Store, StoreError
from tests.e2e.conftest import ROOT, Start, make_target, small_run
from tests.evolve.runs import run

READERS = [  # one line a command; {out} is a path that may be written
    "front",
    "front --all --sort lines",
    "front --knee",
    "front --max-seconds 1000",
    "show seed",
    "show best",
    "lineage best",
    "lineage seed --children",
    "diff seed best",
    "diff seed best --plain",
    "proposals",
    "failures",
    "cost",
    "watch --once",
    "export best",
    "export best -o {out}",
    "export --format results -o {out}",
    "export --format csv -o {out}",
    "export --format trials -o {out}",
    "export --format jsonl -o {out}",
    "export --format optuna -o {out}",
    "plot front -o {out}.png",
    "plot progress -o {out}.svg",
    "plot lineage -o {out}.svg",
    "track tensorboard {out}",
]
SECONDS = 60.0  # that a run may take to be as far as a test needs it


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the run directories `empty`, `begun`, `running`, `interrupted` and `failed`."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "empty").mkdir()
    broken = make_target(folder / "broken")
    script = broken / "train.py"
    script.write_text(script.read_text() + "\n# CRASH\n")
    assert main(small_run(broken, folder / "failed")) == 1
    process = begin(make_target(folder / "target"), folder / "running")
    try:
        pause(process, folder / "running")
        shutil.copytree(folder / "running", folder / "interrupted")  # the disk as a kill at this moment would leave it
        keep_beginning(folder / "running", folder / "begun")
        yield folder
    finally:
        process.kill()
        process.wait()


def begin(target: Path, directory: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "evolve", *small_run(target, directory, "--generations", "500")]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def pause(process: subprocess.Popen[bytes], directory: Path) -> None:
    """Stop a run, without its end, once a child is on the front and others have come to nothing."""
    until = time.monotonic() + SECONDS
    while not advanced(directory):
        assert process.poll() is None and time.monotonic() < until, "the run did not come as far as that"
        time.sleep(0.2)
    process.send_signal(signal.SIGSTOP)


def advanced(directory: Path) -> bool:
    try:
        history = open_history(directory)
    except (StoreError, ConfigError):
        return False
    return bool(history.front and history.front[0].index) and len(history.candidates) > 6


def keep_beginning(source: Path, directory: Path) -> None:
    """A copy of the log up to the first trial: all that is known while the seed program is measured."""
    read, written = Store.read(source), Store.open(directory)
    for event in takewhile(lambda event: event.kind != "outcome", read.events()):
        written.append(event.kind, event.key, event.body)
    read.close()
    written.close()


def said(capsys: pytest.CaptureFixture[str], arguments: str, run: Path, out: Path) -> tuple[int, str, str]:
    """Exit code, standard output and errors of a command on a run. An exception, which would be a traceback, fails."""
    words = [word.format(out=out) for word in arguments.split()]
    capsys.readouterr()
    code = main([*words, "--run-dir", str(run)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize("arguments", READERS)
@pytest.mark.parametrize("state", ["running", "interrupted"])
def test_a_run_that_has_come_somewhere_can_be_read(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str, state: str
) -> None:
    code, out, errors = said(capsys, arguments, runs / state, tmp_path / "out")
    assert (code, errors) == (0, "") and out.strip()


@pytest.mark.parametrize("arguments", READERS)
@pytest.mark.parametrize("state", ["begun", "failed"])
def test_a_run_without_a_measured_seed_is_shown_or_it_is_said_that_there_is_nothing(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str, state: str
) -> None:
    code, out, errors = said(capsys, arguments, runs / state, tmp_path / "out")
    if code == 0:
        assert out.strip() and not errors
    else:
        assert code == 2 and errors.startswith("evolve: ") and len(errors.splitlines()) == 1
        assert not list(tmp_path.iterdir()), "what cannot be written is not begun"


@pytest.mark.parametrize("arguments", READERS)
@pytest.mark.parametrize("state", ["empty", "nowhere"])
def test_where_there_is_no_run_that_is_said(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str, state: str
) -> None:
    code, out, errors = said(capsys, arguments, runs / state, tmp_path / "out")
    assert (code, out) == (2, "") and errors.startswith("evolve: no run in ") and len(errors.splitlines()) == 1
    assert not (runs / "nowhere").exists() and not list((runs / "empty").iterdir())


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("running", "Running (pid "),
        ("interrupted", "Interrupted (its process ended before the run did): "),
        ("begun", "Interrupted (its process ended before the run did): the seed program has not been measured yet"),
        ("failed", "Failed: the seed program failed: crashed at smoke: RuntimeError: CRASH"),
    ],
)
@pytest.mark.parametrize("command", ["front", "watch --once"])
def test_the_state_of_a_run_is_said(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, state: str, sentence: str
) -> None:
    assert said(capsys, command, runs / state, tmp_path / "out")[1].startswith(sentence)


def test_a_failed_seed_is_among_the_failures(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, "failures", runs / "failed", tmp_path / "out")
    assert "Failed: 1 of 1 candidates" in out and "RuntimeError: CRASH" in out and "by seed 1" in out
    assert "0 at smoke in line 3 of train.py" in out and 'last printed "trained"' in out


@pytest.mark.skipif(shutil.which("patch") is None, reason="there is no patch on this machine")
def test_patch_makes_one_exported_program_of_another(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs / "interrupted"
    for name in ("seed", "best"):
        assert said(capsys, f"export {name} -o {{out}}", run, tmp_path / f"{name}.py")[0] == 0
    _, diff, _ = said(capsys, "diff seed best --plain", run, tmp_path)
    assert diff.startswith("--- a/train.py\tcandidate 0\n+++ b/train.py\tcandidate ")
    subprocess.run(["patch", "-s", str(tmp_path / "seed.py")], input=diff, text=True, check=True)
    assert (tmp_path / "seed.py").read_text() == (tmp_path / "best.py").read_text()
    assert find_candidate(open_history(run), "best").index


def test_a_run_is_watched_from_before_its_beginning_to_its_end(start: Start, tmp_path: Path) -> None:
    watching = start("evolve", "watch", "--every", "0.1", "--run-dir", tmp_path / "later")
    assert watching.stdout and "Waiting for the run in" in watching.stdout.readline()
    _, loop = run(tmp_path / "later", 2)
    out, errors = watching.communicate(timeout=SECONDS)
    assert (watching.returncode, errors) == (0, "")
    *_, last = out.splitlines()
    assert last.startswith("Stopped: 2 generations done; ") and "stopped: 2 generations done" in out
    told = [line.split()[1] for line in out.splitlines() if line[2:3] == ":" and line.split()[1].isdecimal()]
    assert len(told) == len(set(told)), "a candidate is spoken of once"
    assert set(list(loop.history.candidates)[-7:]) <= set(told)


def test_ctrl_c_leaves_a_run_alone_and_says_nothing(start: Start, runs: Path) -> None:
    watching = start("evolve", "watch", "--every", "0.1", "--run-dir", runs / "running")
    assert watching.stdout
    while not watching.stdout.readline().rpartition(" ")[0].startswith("generation "):
        assert watching.poll() is None
    watching.send_signal(signal.SIGINT)
    out, errors = watching.communicate(timeout=SECONDS)
    assert (watching.returncode, errors) == (0, "") and "Traceback" not in out
    assert state_of(runs / "running", open_history(runs / "running")).name == "running"
