"""Runs whose trials are done by workers: killed, doubled, carried by hand; each trial counts once."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from evolve.cli import main
from evolve.history import History
from evolve.model import Outcome
from evolve.reports.open import open_history
from evolve.spool.folder import Spool
from tests.e2e.conftest import TARGET, Start, make_target, small_run
from tests.evolve.spooled import Bench, numbered, trial

WAITS = 4  # exit code
KILLS = 3


def measured(history: History) -> tuple[int, int]:
    """Candidates and trials that every run of this size has, whatever it finds, and no trial that was lost."""
    assert history.stopped == "1 generations done" and history.statuses["lost"] == 0
    assert history.charged == pytest.approx(sum(o.seconds for o in history.outcomes.values()))
    seeds = sum(owner == "ask/0" for owner, _ in history.outcomes)
    return history.finished, seeds


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, int]:
    """What a run on this machine measures."""
    folder = tmp_path_factory.mktemp("local")
    target = make_target(folder / "target")
    assert main(small_run(target, folder / "run")) == 0
    return measured(open_history(folder / "run"))


def jobs_once(spool: Spool, history: History) -> None:
    """Every outcome that lies there is of another trial, and those that were recorded are among them."""
    stems = Counter(name.rpartition("-")[0] for name in spool.names("outcomes"))
    assert set(stems.values()) == {1} and len(stems) >= len(history.outcomes)
    assert spool.names("jobs") == []


@pytest.mark.parametrize("slots", [1, 2])
def test_workers_that_are_killed_at_random_and_race_lose_and_double_nothing(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    trace, rng = tmp_path / "trace", random.Random(slots)

    def begin() -> subprocess.Popen[str]:
        process = start("tests.evolve.spooled", bench.spool.folder, trace, str(slots))
        assert process.stdout and process.stdout.readline() == "ready\n"
        return process

    with Bench(tmp_path / "spool", monkeypatch) as bench:
        executor = bench.executor(place=numbered(), slots=64)
        futures = [executor.submit(trial(lr=float(i), sleep=0.03)) for i in range(40)]
        survivor = begin()
        for _ in range(KILLS):
            process = begin()
            time.sleep(rng.uniform(0.0, 0.2))
            process.kill()
            process.wait()
        outcomes: list[Outcome] = [f.result(30) for f in futures]
        assert [o.metrics["loss"] for o in outcomes] == [float(i) for i in range(40)]
        assert survivor.poll() is None
        begun = Counter(trace.read_text().split())
        assert len(begun) == 40 and set(begun) == set(bench.spool.names("outcomes"))
        assert sum(begun.values()) - 40 <= KILLS * slots, "only what was killed under way was begun again"
        assert bench.spool.names("jobs") == []


@pytest.mark.slow
def test_a_run_and_its_worker_are_killed_and_go_on_as_a_run_on_one_machine_would(
    tmp_path: Path, target: Path, start: Start, local: tuple[int, int]
) -> None:
    directory, spool = tmp_path / "run", Spool(tmp_path / "spool")
    command = small_run(target, directory, "--executor", f"spool:{spool.folder}")
    working = ["worker", "--spool", str(spool.folder), "--target", str(target)]
    worker, engine = start("evolve", *working), start("evolve", *command)
    done = 0
    for at_worker in (False, True, False):
        while len(spool.names("outcomes")) < done + 3:
            assert engine.poll() is None and worker.poll() is None
            time.sleep(0.01)
        killed = worker if at_worker else engine
        killed.kill()
        killed.wait()
        done = len(spool.names("outcomes"))
        if at_worker:
            for name, who in spool.claims():  # as others do when it has given no sign of life for long enough
                spool.give_back(name, who)
            worker = start("evolve", *working)
        else:
            engine = start("evolve", *command)
    output, errors = engine.communicate(timeout=60)
    assert engine.returncode == 0, errors
    worker.send_signal(signal.SIGINT)
    assert worker.wait(20) == 130
    history = open_history(directory)
    assert measured(history) == local
    jobs_once(spool, history)
    assert history.began["outlived"] and "Stopped: 1 generations done" in output


@pytest.mark.slow
def test_a_run_that_is_carried_by_hand(
    tmp_path: Path,
    target: Path,
    local: tuple[int, int],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evolve.loop.TICK", 0.1)
    here, there, run = tmp_path / "here", tmp_path / "there", tmp_path / "run"
    command = small_run(target, run, "--executor", f"spool:{here}", "--wait", "0", "--slots", "2", "--offspring", "1")
    worker = ["worker", "--spool", str(there), "--target", str(target), "--once"]

    def carry(old: Path, new: Path) -> None:
        assert main(["spool", "pack", str(old), "-o", str(tmp_path / "carried.tgz")]) == 0
        assert main(["spool", "merge", str(tmp_path / "carried.tgz"), str(new)]) == 0

    assert main(command) == 2
    assert "has no worker yet: run `python -m evolve worker --spool" in capfd.readouterr().err
    assert main(worker) == 0
    carry(there, here)
    rounds = 0
    while (code := main(command)) == WAITS:
        said = capfd.readouterr().out
        assert f"its trials wait in a spool: {len(Spool(here).names('jobs'))} in {here}" in said
        assert f"python -m evolve spool pack {here} -o there.tgz" in said
        assert main(["front", "--run-dir", str(run)]) == 0
        assert capfd.readouterr().out.startswith("Interrupted (its trials wait in a spool")
        jobs = {name: Spool(here).path("jobs", name).stat().st_mtime_ns for name in Spool(here).names("jobs")}
        if rounds == 2:
            assert main(command) == WAITS, "once more without a new outcome"
            assert jobs == {n: Spool(here).path("jobs", n).stat().st_mtime_ns for n in Spool(here).names("jobs")}
        carry(here, there)
        assert main(worker) == 0
        carry(there, here)
        rounds += 1
        assert rounds < 40
    assert code == 0
    history = open_history(run)
    assert measured(history) == (1, local[1])
    assert len(Spool(here).names("outcomes")) >= len(history.outcomes)
    assert main(["resume", "--run-dir", str(run), "--generations", "1"]) == 0
    assert open_history(run).harness["executor"] == f"spool:{here}"


def test_a_worker_with_another_target_leaves_the_trials_alone_and_says_so(
    tmp_path: Path, target: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spool = tmp_path / "spool"
    worker = ["worker", "--spool", str(spool), "--target", str(target), "--once", "--slots", "1"]
    assert main(worker) == 0
    command = small_run(target, tmp_path / "run", "--executor", f"spool:{spool}", "--wait", "0")
    assert main(command) == WAITS
    (target / "extra.py").write_text("# another target now")
    capfd.readouterr()
    assert main(worker) == 2
    assert "none of the trials can be run here: the target differs" in capfd.readouterr().err
    assert main(command) == 2
    assert "holds another run: files of the target have changed since it began" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--executor", "cloud"], "write local or spool:DIR"),
        (["run", "--executor", "spool:{}/s", "--wait", "nan"], "--wait must be a number of seconds"),
        (["run", "--executor", "spool:{}/s", "--slots", "0"], "--slots must be between 1 and 1024 for a spool"),
        (["run", "--executor", "spool:{}/file"], "cannot use the spool"),
        (["worker", "--spool", "{}/s", "--time-limit", "-1"], "--time-limit must be a number"),
        (["worker", "--spool", "{}/s", "--scale", "moon"], "unknown scale 'moon'"),
        (["worker", "--spool", "{}/s", "--slots", "0"], "--slots must be between 1"),
        (["spool", "pack", "{}/nothing", "-o", "{}/x.tgz"], "no such spool"),
        (["spool", "merge", "{}/file", "{}/s"], "no packed spool"),
    ],
)
def test_bad_input_is_one_line_with_a_cure(
    tmp_path: Path, target: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    (tmp_path / "file").write_text("a file")
    command = [a.format(tmp_path) for a in arguments]
    if command[0] in ("run", "worker"):
        command += ["--target", str(target)]
    if command[0] == "run":
        command += ["--run-dir", str(tmp_path / "run")]
    assert main(command) == 2
    error = capfd.readouterr().err
    assert said in error and len(error.splitlines()) == 1


@pytest.mark.slow
def test_the_real_judge_measures_at_a_worker_what_it_measures_here(tmp_path: Path, start: Start) -> None:
    """A run of one generation over a folder, with the default target and its boxes."""
    spool, run = Spool(tmp_path / "spool"), tmp_path / "run"
    worker = start("evolve", "worker", "--spool", spool.folder, "--target", TARGET)
    command = ["--generations", "1", "--offspring", "1", "--population", "2", "--tune-trials", "1", "--budget", "1"]
    engine = start(
        "evolve", *command, "--target", TARGET, "--run-dir", run, "--executor", f"spool:{spool.folder}", "--wait", "300"
    )
    _, errors = engine.communicate(timeout=600)
    assert engine.returncode == 0, errors
    worker.send_signal(signal.SIGINT)
    assert worker.wait(60) == 130
    history = open_history(run)
    assert history.finished == 1 and history.seed and history.seed.verdict == "ok"
    assert history.harness["level"] in ("N", "L", "U") and history.statuses["infrastructure"] == 0
    assert {o.device for o in history.outcomes.values()} == {history.harness["device"]}
