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

from evolve.history import History, Place
from evolve.model import Outcome
from evolve.store import Store
from tests.e2e import driver
from tests.e2e.conftest import Start, small_run
from tests.evolve import toy

KILLS = 20
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
    time.sleep(rng.uniform(0, 0.2))
    assert process.poll() is None, "the run was over before it could be killed"
    process.kill()
    process.wait()


def test_killed_twenty_times_nothing_is_lost_or_done_twice(tmp_path: Path, start: Start) -> None:
    directory, trace, rng = tmp_path / "run", tmp_path / "trace", random.Random(7)
    recorded: dict[Place, Outcome] = {}
    wasted = 0
    for _ in range(KILLS):
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
    assert 0 < wasted <= KILLS * driver.SLOTS * 2, "killed while trials were under way, and never more than those"
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
