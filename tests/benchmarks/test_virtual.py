"""Trials in virtual time: the contract of an executor, the order of ends, what is charged, a whole run of the loop."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.comparison.virtual import VirtualExecutor, at_once
from evolve.config import Limits
from evolve.log import Log
from evolve.loop import Loop
from evolve.model import Outcome, Trial
from evolve.store import Store
from tests.contracts import fake_judge
from tests.contracts.suites import ExecutorContract
from tests.evolve import toy


def judge(trial: Trial) -> Outcome:
    """Charged `params["sleep"]` beyond the budget."""
    seconds = trial.budget + trial.params["sleep"]
    if trial.seed == fake_judge.CRASHED:
        return Outcome("crashed", seconds=seconds, reason="ValueError in line 1")
    return Outcome("ok", {"loss": trial.params["lr"]}, seconds=seconds)


class TestVirtualExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self) -> Iterator[VirtualExecutor]:
        made = VirtualExecutor(judge, slots=2)
        yield made
        made.close()


def trial(seconds: float, lr: float = 1.0) -> Trial:
    return replace(ExecutorContract.trial(lr), budget=seconds)


def finished(executor: VirtualExecutor, futures: list[Future[Outcome]]) -> list[tuple[int, float]]:
    """Which future ended when, in order."""
    ends = []
    while executor.step():
        done = [i for i, f in enumerate(futures) if f.done() and i not in dict(ends)]
        ends += [(i, executor.now) for i in done]
    return ends


def test_trials_end_in_the_order_of_virtual_time_and_what_waits_begins_when_a_slot_is_free() -> None:
    executor = VirtualExecutor(judge, slots=2)
    futures = [executor.submit(trial(seconds)) for seconds in (5.0, 1.0, 1.5, 4.0, 0.25)]
    assert not any(f.done() for f in futures) and executor.now == 0.0
    # slot 1: 0 until 5, then 4 from 5; slot 2: 1 until 1, 2 until 2.5, 3 until 6.5; 4 begins at 5
    assert finished(executor, futures) == [(1, 1.0), (2, 2.5), (0, 5.0), (4, 5.25), (3, 6.5)]
    assert executor.charged == 11.75 and not executor.step()


def test_of_equal_ends_the_first_begun_is_first() -> None:
    executor = VirtualExecutor(judge, slots=3)
    futures = [executor.submit(trial(2.0)) for _ in range(5)]
    assert [i for i, _ in finished(executor, futures)] == [0, 1, 2, 3, 4]


def test_what_is_submitted_at_an_end_begins_then() -> None:
    executor = VirtualExecutor(judge, slots=2)
    long, short = executor.submit(trial(3.0)), executor.submit(trial(1.0))
    executor.step()
    assert short.done() and not long.done()
    answer = executor.submit(trial(1.0))
    executor.step()
    assert answer.done() and executor.now == 2.0 and not long.done()


def test_waiting_for_one_lets_time_pass_until_it_ends_and_no_further() -> None:
    executor = VirtualExecutor(judge, slots=2)
    futures = [executor.submit(trial(seconds)) for seconds in (1.0, 2.0, 3.0)]
    assert futures[1].result().status == "ok"
    assert executor.now == 2.0 and futures[0].done() and not futures[2].done()


def test_one_that_is_cancelled_is_charged_until_then_and_gives_up_its_slot() -> None:
    executor = VirtualExecutor(judge, slots=2)
    first, long, waiting = (executor.submit(trial(seconds)) for seconds in (1.0, 9.0, 9.0))
    executor.cancel(waiting)
    executor.step()
    executor.cancel(long)
    assert waiting.cancelled() and first.done()
    assert (long.result().status, long.result().seconds) == ("infrastructure", 1.0)
    last = executor.submit(trial(0.5))
    executor.step()
    assert last.done() and executor.now == 1.5 and executor.charged == 2.5


def test_an_executor_without_a_slot_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a slot"):
        VirtualExecutor(judge, slots=0)


def make_run(directory: Path) -> tuple[Loop, VirtualExecutor]:
    """The toy task with four slots."""
    executor = VirtualExecutor(toy.run_trial, slots=4)
    history, store = toy.new_history(), Store.open(directory, durable=False)
    header = {
        "settings": {"seed": 0, "offspring": 4, "population": 8, "budget": 1.0, "operators": {}, "corpus": ""},
        "rungs": [0.25, 0.5, 1.0],
        "objectives": [{"name": o.name, "direction": o.direction} for o in toy.OBJECTIVES],
    }
    history.apply(store.append("run", "run", header))
    return Loop(
        Log(store, history),
        executor,
        toy.operators(),
        toy.plan(),
        Limits(0, total=60.0),
        executor.watch,
        making=at_once,
    ), executor


def test_a_run_of_the_loop_spends_virtual_time_as_slots_would(tmp_path: Path) -> None:
    loop, executor = make_run(tmp_path)
    reason = loop.run(toy.SEED)
    loop.store.close()
    history = loop.history
    assert "60" in reason and history.charged >= 60
    assert executor.charged == pytest.approx(history.charged)
    assert executor.charged / 4 <= executor.now <= executor.charged / 2, "no slot stands empty for long"
    assert history.front and min(c.fitness.values["loss"].mean for c in history.front if c.fitness) < 2.9
