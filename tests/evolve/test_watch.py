"""The state of a run, and following one in another process."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections import deque
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from threading import Timer

import pytest
from rich.console import Console

from evolve import records
from evolve.config import ConfigError
from evolve.executors.inline import InlineExecutor
from evolve.history import History
from evolve.loop import Loop
from evolve.model import Mating
from evolve.reports import watch as watching
from evolve.reports.open import open_history
from evolve.reports.state import holder, state_of
from evolve.reports.watch import Follower, facts, look_once, panel, watch
from evolve.store import FILE, Event, Store, StoreError
from tests.evolve import toy


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    """A run of two generations that has not begun; whoever has it may run it."""
    executor = InlineExecutor(toy.run_trial)
    made = toy.make_loop(tmp_path / "run", 2, executor)
    limits = {"generations": 2, "total": 0.0, "wall": 0.0}
    made.history.apply(made.store.append("session", "session/1", {"slots": 1, "limits": limits}))
    yield made
    executor.close()
    made.store.close()


def again(directory: Path) -> History:
    return open_history(directory)


def test_a_run_is_on_while_its_lock_is_held_and_then_stopped(loop: Loop) -> None:
    directory = loop.store.directory
    state = state_of(directory, again(directory))
    assert state.on and state.sentence.startswith(f"Running (pid {os.getpid()} since ")
    assert state.sentence.endswith("the seed program has not been measured yet.")
    loop.run(toy.SEED)
    assert state_of(directory, again(directory)).on, "it may be starting again"
    loop.store.close()
    state = state_of(directory, again(directory))
    assert (state.name, state.on) == ("stopped", False)
    assert state.sentence.startswith(f"Stopped: 2 generations done; {loop.history.finished} candidates measured, ")


def test_a_run_that_was_interrupted_by_a_signal_or_died(loop: Loop) -> None:
    directory = loop.store.directory
    loop.interrupted = True
    loop.run(toy.SEED)
    loop.store.close()
    state = state_of(directory, again(directory))
    assert state.name == "interrupted" and state.sentence.startswith("Interrupted (by a signal): ")
    assert state.sentence.endswith(f"To continue: python -m evolve resume --run-dir {directory}")
    store = Store.open(directory)
    store.append("session", "session/2", {"slots": 1})  # a process that goes on, and is killed
    store.close()
    assert "its process ended before the run did" in state_of(directory, again(directory)).sentence


def test_a_run_whose_seed_was_never_measured_failed(loop: Loop) -> None:
    directory = loop.store.directory
    loop.history.apply(loop.store.append("stop", "stop/1", {"reason": "the seed \x1b[31mfailed", "waited": 0.0}))
    loop.store.close()
    assert state_of(directory, again(directory)).sentence == "Failed: the seed [31mfailed."


def test_asking_who_works_on_a_run_is_in_nobodys_way(tmp_path: Path) -> None:
    assert holder(tmp_path) == ""
    (tmp_path / "lock").touch()
    assert holder(tmp_path) == ""
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert holder(tmp_path) == "another process"
    store = Store.open(tmp_path)
    assert holder(tmp_path).startswith(f"pid {os.getpid()} since ")
    store.close()


def test_a_follower_reads_each_event_once(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    events = Store.events

    def counted(self: Store, after: int = 0) -> Iterator[Event]:
        for event in events(self, after):
            read.append(event.seq)
            yield event

    monkeypatch.setattr(Store, "events", counted)
    follower = Follower(loop.store.directory)
    first = follower.look()
    assert first and first.state.on and first.history.seed is None
    assert [line.split(maxsplit=1)[1] for line in first.news] == ["a process begins, on 1 slots"]
    loop.run(toy.SEED)
    second, third = follower.look(), follower.look()
    assert second and third and third.news == []
    assert sorted(set(read)) == read == list(range(1, len(read) + 1)), "in order, and none twice"
    assert second.history.candidates == loop.history.candidates and second.history.front == loop.history.front
    told = [line.split()[1] for line in second.news if line.split()[1].isdecimal()]
    assert told == list(loop.history.candidates)
    assert second.news[-1].endswith("stopped: 2 generations done")
    entered = [line.split()[1] for line in second.news if line.endswith("; on the front")]
    assert {c.id for c in loop.history.front} <= set(entered)
    follower.close()


def test_a_follower_waits_for_a_run_and_says_what_is_damaged(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "run")
    assert follower.look() is None
    store = Store.open(tmp_path / "run")
    assert follower.look() is None, "nothing is recorded yet"
    header = {
        "settings": {"population": 4, "seed": 0, "offspring": 2},
        "rungs": [1.0],
        "objectives": [{"name": "loss"}],
    }
    store.append("run", "run", header)
    look = follower.look()
    assert look and look.history.header == header
    store.close()
    follower.close()
    (tmp_path / "run" / FILE).write_bytes(b"once upon a time" * 1000)
    with pytest.raises(StoreError, match="cannot be read"):
        follower.look()


def test_facts_of_a_run(loop: Loop) -> None:
    follower = Follower(loop.store.directory)
    look = follower.look()
    assert look
    shown = facts(look, time.time() + 100)
    assert shown["front"] == "nobody yet" and shown["remaining"] == "not known yet" and shown["elapsed"] == "0:01:40"
    loop.run(toy.SEED)
    look = follower.look()
    assert look
    history, shown = look.history, facts(look, time.time())
    assert shown["generation"] == "2/2, of 4 candidates each" and shown["running"] == "no trial"
    came_to_nothing = len(history.candidates) - 1 - history.finished
    assert shown["candidates"] == f"{history.finished} measured, {came_to_nothing} came to nothing, 0 under way"
    assert shown["best"].endswith(f" loss, {history.front[0].id}") and shown["seed"].endswith(" loss, 0")
    assert shown["hypervolume"] == f"{history.hypervolume():.4f}" and shown["remaining"] == "at most about 0:00:00"
    follower.close()


def test_the_pace_of_a_run_says_what_remains_of_its_nearest_limit(loop: Loop) -> None:
    loop.run(toy.SEED)
    history, finished = loop.history, loop.history.finished
    limits = history.harness["limits"]
    assert watching._remaining(history, 60.0 * finished) == "at most about 0:00:00"
    limits["generations"] = finished  # of four candidates each
    assert watching._remaining(history, 60.0 * finished) == f"at most about {watching.clock(60.0 * finished * 3)}"
    limits["wall"] = 60.0 * finished + 7
    assert watching._remaining(history, 60.0 * finished) == "at most about 0:00:07"
    limits.update(generations=0, wall=0.0)
    assert watching._remaining(history, 1.0) == "until a criterion is met"
    limits["total"] = history.charged * 2
    assert watching._remaining(history, 33.0) == "at most about 0:00:33"


def test_looking_once_shows_the_state_and_what_happened_last(loop: Loop) -> None:
    loop.run(toy.SEED)
    loop.store.close()
    out = StringIO()
    look_once(Console(file=out, width=80), str(loop.store.directory))
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("Stopped: 2 generations done") and lines[-1].endswith("stopped: 2 generations done")
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("kind", ["xterm", "dumb"])
def test_watching_ends_with_the_run(loop: Loop, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """On a terminal that can be written over there is a panel; a dumb one has lines."""
    monkeypatch.setenv("TERM", kind)
    loop.run(toy.SEED)
    out = StringIO()
    end = Timer(0.3, loop.store.close)
    end.start()
    watch(Console(file=out, force_terminal=True, width=100), str(loop.store.directory), 0.05)
    end.join()
    text = out.getvalue()
    assert "Stopped: 2 generations done" in text and ("\x1b[2K" in text) is (kind == "xterm")


def test_text_of_a_run_is_no_markup(loop: Loop) -> None:
    reason = {"reason": "[/bold] \x1b[31mno tag", "waited": 0.0}
    loop.history.apply(loop.store.append("stop", "stop/1", reason))
    follower = Follower(loop.store.directory)
    look = follower.look()
    assert look
    out = StringIO()
    Console(file=out, width=200).print(panel(look, deque(look.news), time.time()))
    assert "stopped: [/bold] [31mno tag" in out.getvalue() and "\x1b" not in out.getvalue()
    follower.close()


class Leaves(StringIO):
    """A terminal at which somebody leaves after the first line."""

    def write(self, text: str) -> int:
        super().write(text)
        if "Ctrl-C leaves" in text:
            raise KeyboardInterrupt
        return len(text)


@pytest.mark.parametrize("there", [True, False])
def test_that_a_folder_is_not_there_is_said_at_once(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "run").mkdir()
    out = Leaves()
    with pytest.raises(KeyboardInterrupt):
        watch(Console(file=out, width=60), str(tmp_path / "run"), 0.05)
    said = "" if there else ": there is no such folder yet, so see that it is spelt right"
    assert out.getvalue().startswith(f"Waiting for the run in {tmp_path / 'run'} to begin{said}. Ctrl-C leaves.")


def test_children_of_a_run_that_is_not_on_are_not_under_way(loop: Loop) -> None:
    loop.run(toy.SEED)
    child = loop.history.candidates["3"]
    loop.history.apply(loop.store.append("ask", "ask/99", records.mating_record(Mating(99, "grow", (child,), None, 1))))
    follower = Follower(loop.store.directory)
    look = follower.look()
    assert look and look.state.on and facts(look, time.time())["candidates"].endswith(", 1 under way")
    loop.store.close()
    look = follower.look()
    assert look and not look.state.on and facts(look, time.time())["candidates"].endswith(", 1 left unfinished")
    follower.close()


@pytest.mark.parametrize("every", [0.0, -1.0, float("nan"), float("inf")])
def test_a_pause_that_makes_no_sense(tmp_path: Path, every: float) -> None:
    with pytest.raises(ConfigError, match="--every must be a number of seconds above 0"):
        watch(Console(file=StringIO()), str(tmp_path), every)


def test_what_a_writer_leaves_is_in_one_file_though_somebody_reads(loop: Loop, tmp_path: Path) -> None:
    follower = Follower(loop.store.directory)
    assert follower.look()
    loop.run(toy.SEED)
    loop.store.close()
    (tmp_path / "copy").mkdir()
    shutil.copy(loop.store.directory / FILE, tmp_path / "copy" / FILE)
    assert open_history(tmp_path / "copy").stopped == "2 generations done"
    follower.close()
