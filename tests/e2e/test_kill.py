"""Real processes that are killed, doubled and interrupted: nothing finished is lost, nothing is done twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from evolve.config import ConfigError
from evolve.history import History, Place
from evolve.model import Outcome
from evolve.reports.open import open_history
from evolve.store import Store, StoreError
from tests.e2e import driver
from tests.e2e.conftest import Start, small_run
from tests.evolve import toy

GENERATIONS = 12


def replay(directory: Path) -> History:
    store = Store.read(directory)
    history = toy.new_history()
    history.replay(store.events())
    store.close()
    return history


def traced(trace: Path, what: str) -> Counter[Place]:
    """How often each trial began, or ended, by the executor's own account."""
    words = [line.split() for line in trace.read_text().splitlines()]
    return Counter((owner, int(n)) for kind, owner, n in words if kind == what)


def kill_at_random(start: Start, directory: Path, trace: Path, rng: random.Random) -> None:
    process = start("tests.e2e.driver", directory, trace, str(GENERATIONS))
    assert process.stdout and process.stdout.readline() == "ready\n"
    time.sleep(rng.uniform(0, 0.08))
    assert process.poll() is None, "the run was over before it could be killed"
    process.kill()
    process.wait()


@pytest.mark.parametrize("kills", [6, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments_nothing_is_lost_or_done_twice(tmp_path: Path, start: Start, kills: int) -> None:
    directory, trace, rng = tmp_path / "run", tmp_path / "trace", random.Random(7)
    recorded: dict[Place, Outcome] = {}
    wasted = 0
    for _ in range(kills):
        before = traced(trace, "begin") if trace.exists() else Counter[Place]()
        kill_at_random(start, directory, trace, rng)
        begun = traced(trace, "begin") - before
        assert not begun.keys() & recorded.keys(), "a recorded trial was run again"
        after = replay(directory).outcomes
        assert after.items() >= recorded.items(), "a recorded outcome was lost"
        wasted += len(begun.keys() - after.keys())
        recorded = dict(after)
    last = start("tests.e2e.driver", directory, trace, str(GENERATIONS))
    output, errors = last.communicate(timeout=30)
    assert last.returncode == 0, errors

    history = replay(directory)
    assert history.stopped == f"{GENERATIONS} generations done"
    assert history.outcomes.items() >= recorded.items()
    assert traced(trace, "end").keys() >= history.outcomes.keys(), "an outcome that no trial gave"
    assert 0 < wasted <= kills * driver.SLOTS * 2, "killed while trials were under way, and never more than those"
    assert history.statuses["lost"] >= 1 and history.charged > sum(o.seconds for o in history.outcomes.values())
    told = json.loads(output.splitlines()[-1])
    assert driver.state(history) == driver.state(replay(directory)) == told


def test_a_second_process_on_the_same_run_is_refused(tmp_path: Path, start: Start) -> None:
    first = start("tests.e2e.driver", tmp_path / "run", tmp_path / "trace", "1000")
    assert first.stdout and first.stdout.readline() == "ready\n"
    second = start("tests.e2e.driver", tmp_path / "run", tmp_path / "trace2", "1000")
    _, errors = second.communicate(timeout=30)
    assert second.returncode == 2
    assert f"in use by pid {first.pid}" in errors and len(errors.splitlines()) == 1
    assert first.poll() is None


def running(process: subprocess.Popen[str], directory: Path) -> set[Place]:
    """Wait until trials that last run below `process`, not just the smoke test; returns which."""
    while process.poll() is None:
        if (directory / "run.sqlite").exists():
            history = replay_of_target(directory)
            if open_trials := {p for p in history.running if history.trials[p].purpose != "smoke"}:
                return open_trials
        time.sleep(0.05)
    raise AssertionError(process.communicate())


def replay_of_target(directory: Path) -> History:
    try:
        return open_history(directory)
    except (StoreError, ConfigError):  # it begins just now
        return toy.new_history()


def interrupt(process: subprocess.Popen[str], times: int) -> tuple[str, str]:
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    return process.communicate(timeout=30)


def test_an_interrupt_finishes_running_trials_and_the_run_goes_on(tmp_path: Path, target: Path, start: Start) -> None:
    directory = tmp_path / "run"
    command = small_run(target, directory, "--budget", "0.2")
    process = start("evolve", *command)
    under_way = running(process, directory)
    output, errors = interrupt(process, 1)
    assert process.returncode == 130, errors
    assert "Finishing the running trials" in output and "Stopped: interrupted" in output
    history = open_history(directory)
    assert not history.running and history.statuses["lost"] == 0
    assert under_way & history.outcomes.keys(), "none of the running trials was finished"
    done = dict(history.outcomes)
    again = start("evolve", *command)
    assert again.wait(30) == 0
    resumed = open_history(directory)
    assert resumed.outcomes.items() >= done.items() and resumed.statuses["lost"] == 0


@pytest.mark.slow
def test_resume_keeps_the_limits_of_the_run(tmp_path: Path, target: Path, start: Start) -> None:
    directory = tmp_path / "run"
    command = ["--stale-generations", "7", "--target-loss", "0.1", "--total", "500", "--time-limit", "99"]
    process = start("evolve", *small_run(target, directory, "--budget", "0.2", *command))
    running(process, directory)
    interrupt(process, 1)
    before = open_history(directory).harness["limits"]
    assert start("evolve", "resume", "--run-dir", directory, "--total", "400").wait(30) == 0
    history = open_history(directory)
    assert history.stopped == "1 generations done" and history.harness["limits"] == before | {"total": 400.0}
    assert before["stale_generations"] == 7 and before["target_loss"] == 0.1 and before["wall"] == 99.0


def test_a_second_interrupt_stops_at_once_and_leaves_no_process(tmp_path: Path, target: Path, start: Start) -> None:
    process = start("evolve", *small_run(target, tmp_path / "run", "--budget", "100"))
    running(process, tmp_path / "run")
    judges = psutil.Process(process.pid).children(recursive=True)
    assert judges
    since = time.monotonic()
    _, errors = interrupt(process, 2)
    assert time.monotonic() - since < 5
    assert process.returncode == 130, errors
    assert errors == "evolve: stopped at once; the same command continues the run\n"
    assert psutil.wait_procs(judges, 2)[1] == []


def test_children_do_not_outlive_a_killed_driver(tmp_path: Path, target: Path, start: Start) -> None:
    process = start("evolve", *small_run(target, tmp_path / "run", "--budget", "0.4"))
    running(process, tmp_path / "run")
    judges = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    assert psutil.wait_procs(judges, 5)[1] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_the_judges_start_leaves_none_of_them(
    tmp_path: Path, target: Path, start: Start, number: signal.Signals
) -> None:
    """A judge that loads its text does not look at its input, so it has to be ended."""
    judge = target / "judge.py"
    judge.write_text(judge.read_text().replace("def main() -> None:\n", "def main() -> None:\n    time.sleep(60)\n"))
    process = start("evolve", *small_run(target, tmp_path / "run"))
    while not (judges := psutil.Process(process.pid).children(recursive=True)):
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(number)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 130, errors
    assert errors == "evolve: stopped at once; the same command continues the run\n"
    assert psutil.wait_procs(judges, 2)[1] == []


def test_under_nohup_a_run_outlives_its_terminal(tmp_path: Path, target: Path, start: Start) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does; a child inherits it
    try:
        process = start("evolve", *small_run(target, tmp_path / "run"))
    finally:
        signal.signal(signal.SIGHUP, before)
    running(process, tmp_path / "run")
    process.send_signal(signal.SIGHUP)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Stopped: 1 generations done" in output


SLOW = """
import time

class Slow:
    name, arity, mended_by = "slow", 1, ""

    def __init__(self, reader):
        pass

    def propose(self, mating, briefing):
        time.sleep(60)
"""


def test_an_interrupted_run_does_not_wait_for_an_operator(tmp_path: Path, target: Path, start: Start) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    process = start("evolve", *small_run(target, tmp_path / "run", "--operator", "slow:Slow"))
    while not ((tmp_path / "run" / "run.sqlite").exists() and replay_of_target(tmp_path / "run").matings):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=15)
    assert process.returncode == 130 and errors == ""
    assert output.startswith("Operators: slow:Slow. For an LLM "), "of an operator of the user's own nothing is claimed"
    assert "Stopped: interrupted" in output
