"""The executors keep their contract; the local one also with judges that misbehave."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from evolve.executors import local
from evolve.executors.inline import InlineExecutor
from evolve.executors.local import JudgeError, LocalExecutor
from evolve.executors.spool import SpoolExecutor
from evolve.judges import Slot
from evolve.model import Outcome, Trial
from tests.contracts import fake_judge
from tests.contracts.suites import ExecutorContract
from tests.evolve.spooled import Bench

JUDGE = str(Path(fake_judge.__file__))


def scripted(trial: Trial) -> Outcome:
    time.sleep(trial.params["sleep"])
    if trial.seed == fake_judge.CRASHED:
        return Outcome("crashed", seconds=trial.budget, reason="ValueError in line 1")
    return Outcome("ok", {"loss": trial.params["lr"]}, seconds=trial.budget)


def bind(trial: Trial) -> str:
    if trial.params["lr"] < 0:
        raise ValueError("lr = -1 is outside 0..1")
    return f"{trial.params['lr']} {trial.params['sleep']}\n{trial.genome.source}"


class TestInlineExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self) -> Iterator[InlineExecutor]:
        made = InlineExecutor(scripted, slots=2)
        yield made
        made.close()


@pytest.fixture
def make() -> Iterator[Callable[[int], LocalExecutor]]:
    made: list[LocalExecutor] = []

    def start(slots: int) -> LocalExecutor:
        made.append(LocalExecutor([JUDGE], [Slot((core,)) for core in range(slots)], bind))
        return made[-1]

    yield start
    for executor in made:
        executor.close()


class TestLocalExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self, make: Callable[[int], LocalExecutor]) -> LocalExecutor:
        return make(2)


class TestSpoolExecutor(ExecutorContract):
    """The folder, with a worker that has two slots beside it."""

    @pytest.fixture
    def executor(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SpoolExecutor]:
        with Bench(tmp_path / "spool", monkeypatch) as bench:
            bench.work(slots=2)
            executor = bench.executor(bind, slots=2)
            yield executor
            executor.close()


def run(executor: LocalExecutor, seed: int = fake_judge.OK, lr: float = 1.0) -> Outcome:
    return executor.submit(ExecutorContract.trial(lr, seed)).result(30)


def judges() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [p for p in children if p.status() != psutil.STATUS_ZOMBIE and JUDGE in p.cmdline()]


def test_it_knows_what_the_judge_said_of_itself(make: Callable[[int], LocalExecutor]) -> None:
    assert make(1).hello == {"ready": True, "core": 0}


def test_a_judge_that_cannot_start_says_why_and_leaves_no_process(tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match="no text in here"):
        LocalExecutor([JUDGE, "--never-ready", "no text in here"], [Slot((0,)), Slot((1,))], bind)
    with pytest.raises(JudgeError, match="ended before it was ready"):
        LocalExecutor(["-c", "pass"], [Slot((0,))], bind)
    why = "ended before it was ready: ModuleNotFoundError: .*judge.log"
    with (tmp_path / "judge.log").open("w") as log, pytest.raises(JudgeError, match=why):
        LocalExecutor(["-c", "import no_such_module"], [Slot((0,))], bind, log)
    assert judges() == []


@pytest.mark.parametrize("seed", [fake_judge.DIES, fake_judge.RAMBLES, fake_judge.ODD_FIELDS])
def test_a_judge_that_breaks_the_protocol_spoils_one_trial_only(
    make: Callable[[int], LocalExecutor], seed: int
) -> None:
    """The next answers belong to the next questions, from a new judge."""
    executor = make(1)
    before = run(executor).device
    spoiled = run(executor, seed, lr=7.0)
    assert (spoiled.status, spoiled.metrics) == ("infrastructure", {}) and "judge" in spoiled.reason
    after = [run(executor, lr=lr) for lr in (2.0, 3.0)]
    assert [o.metrics["loss"] for o in after] == [2.0, 3.0]
    assert after[0].device == after[1].device != before
    assert len(judges()) == 1


def test_a_judge_that_was_killed_between_trials_is_started_again(make: Callable[[int], LocalExecutor]) -> None:
    executor = make(1)
    run(executor)
    (judge,) = judges()
    judge.kill()
    judge.wait(10)
    assert run(executor, lr=3.0).metrics == {"loss": 3.0}


def test_a_judge_that_hangs_spoils_its_trial_only(
    make: Callable[[int], LocalExecutor], monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = make(1)
    monkeypatch.setattr(local, "PATIENCE", 0.3)
    monkeypatch.setattr(local, "SLOWEST", 0.0)
    hung = executor.submit(ExecutorContract.trial(sleep=30.0)).result(30)
    assert hung.status == "infrastructure" and "did not answer" in hung.reason
    monkeypatch.undo()
    assert run(executor, lr=3.0).metrics == {"loss": 3.0}
    assert len(judges()) == 1


def test_a_judge_that_says_that_it_waits_is_not_taken_for_dead_and_the_wait_is_not_charged(
    make: Callable[[int], LocalExecutor], monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = make(1)
    monkeypatch.setattr(local, "PATIENCE", 0.5)
    monkeypatch.setattr(local, "SLOWEST", 0.0)
    assert run(executor, fake_judge.WAITS, lr=2.0).metrics == {"loss": 2.0}
    hung = executor.submit(ExecutorContract.trial(sleep=30.0, seed=fake_judge.WAITS)).result(30)
    assert hung.status == "infrastructure" and "did not answer" in hung.reason
    assert hung.seconds < 0.8, "it waited as long before it began"


def test_a_judge_may_wait_before_it_is_ready_and_is_told_its_cores_and_its_device() -> None:
    executor = LocalExecutor([JUDGE, "--waits-first"], [Slot((3, 4), "GPU-a")], bind)
    try:
        assert executor.hello == {"ready": True, "core": 3, "device": "GPU-a"}
        assert judges()[0].cmdline()[-4:] == ["--core", "3,4", "--device", "GPU-a"]
    finally:
        executor.close()


def test_a_metric_that_is_not_finite_is_passed_on_for_the_engine_to_refuse(
    make: Callable[[int], LocalExecutor],
) -> None:
    outcome = run(make(1), fake_judge.NOT_FINITE)
    assert outcome.status == "ok" and outcome.metrics["loss"] != outcome.metrics["loss"]


def test_a_long_log_arrives(make: Callable[[int], LocalExecutor]) -> None:
    assert len(run(make(1), fake_judge.BIG).log_tail) == 1_000_000


def test_numbers_that_do_not_fit_the_program_are_a_refusal(make: Callable[[int], LocalExecutor]) -> None:
    executor = make(1)
    assert run(executor, lr=-1.0) == Outcome("rejected", reason="lr = -1 is outside 0..1")
    assert run(executor).status == "ok"


def test_a_running_trial_can_be_cancelled(make: Callable[[int], LocalExecutor]) -> None:
    executor = make(1)
    running = executor.submit(ExecutorContract.trial(sleep=30.0))
    while not running.running():
        time.sleep(0.01)
    time.sleep(0.1)
    executor.cancel(running)
    outcome = running.result(10)
    assert outcome.status == "infrastructure" and 0.1 < outcome.seconds <= 2.0, "what it used is charged"
    assert run(executor).status == "ok"


def test_no_process_and_no_file_is_left(make: Callable[[int], LocalExecutor], tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    executor = make(2)
    run(executor)
    assert len(judges()) == 2
    executor.submit(ExecutorContract.trial(sleep=30.0))
    time.sleep(0.1)
    start = time.monotonic()
    executor.close()
    assert judges() == [] and os.listdir(tmp_path) == []
    assert time.monotonic() - start < 5


def test_a_judge_that_does_not_end_by_itself_is_killed(
    make: Callable[[int], LocalExecutor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "GRACE", 0.2)
    executor = make(1)
    run(executor, fake_judge.DEAF)
    executor.close()
    assert judges() == []


def test_what_was_proven_arrives_with_what_each_probe_found(make: Callable[[int], LocalExecutor]) -> None:
    outcome = run(make(1), fake_judge.PROVEN)
    assert (outcome.status, outcome.violation) == ("invalid", "causality")
    assert outcome.checks == {"suffix": "failed by 2 nats", "repeat": "ok"}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "PAUSE", 0.01)
    monkeypatch.setattr(local, "LONGEST_PAUSE", 0.02)


def test_a_slot_that_spoils_trial_after_trial_is_given_up_and_the_others_go_on(impatient: None) -> None:
    executor = LocalExecutor([JUDGE, "--lost", "1"], [Slot((0,)), Slot((1,))], bind)
    try:
        futures = [executor.submit(ExecutorContract.trial(sleep=0.01)) for _ in range(60)]
        outcomes = [f.result(60) for f in futures]
        spoiled = [o for o in outcomes if o.status == "infrastructure"]
        assert len(spoiled) == local.HOPELESS and {o.status for o in outcomes} == {"infrastructure", "ok"}
        assert executor.slots == 1 and executor.lost == {Slot((1,)): "device lost under the judge of core 1"}
        assert [p.cmdline()[-1] for p in judges()] == ["0"]
        assert run(executor, lr=3.0).metrics == {"loss": 3.0}
    finally:
        executor.close()


def test_without_any_slot_every_trial_is_infrastructure_at_once(impatient: None) -> None:
    executor = LocalExecutor([JUDGE, "--lost", "0"], [Slot((0,))], bind)
    try:
        outcomes = [f.result(30) for f in [executor.submit(ExecutorContract.trial()) for _ in range(30)]]
        outcomes.append(run(executor))
        assert executor.slots == 0 and {o.status for o in outcomes} == {"infrastructure"}
        assert "no slot is left: device lost" in outcomes[-1].reason
        assert judges() == []
    finally:
        executor.close()


def test_one_good_trial_in_between_keeps_a_slot(make: Callable[[int], LocalExecutor], impatient: None) -> None:
    executor = make(1)
    for _ in range(2):
        for _ in range(local.HOPELESS - 1):
            assert run(executor, fake_judge.LOST).status == "infrastructure"
        assert run(executor).status == "ok"
    assert executor.slots == 1 and executor.lost == {}


def test_a_judge_that_answers_twice_spoils_no_later_trial_with_its_old_number(
    make: Callable[[int], LocalExecutor],
) -> None:
    executor = make(1)
    run(executor, fake_judge.LATE)
    time.sleep(0.1)
    assert run(executor, lr=3.0).metrics == {"loss": 3.0}
