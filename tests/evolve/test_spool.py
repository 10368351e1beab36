"""A spool: what one end writes the other one does, once; whatever lies in it breaks neither end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evolve.config import ConfigError
from evolve.executors.spool import SpoolExecutor, meet, misfit, spool_of, wanted_of
from evolve.model import Outcome
from evolve.spool.attendance import Attendance
from evolve.spool.conditions import check, conditions_record
from evolve.spool.folder import LARGEST, Spool, encode
from evolve.spool.messages import (
    Introduction,
    introduction_from,
    introduction_record,
    job_from,
    job_record,
    outcome_record,
)
from tests.contracts import fake_judge
from tests.e2e.conftest import make_target
from tests.evolve.spooled import CONDITIONS, HELLO, INTRODUCTION, Bench, numbered, trial

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path / "spool", monkeypatch) as made:
        yield made


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def only_job(spool: Spool) -> str:
    until(lambda: bool(spool.names("jobs")))
    (name,) = spool.names("jobs")
    return name


def result(future: Future[Outcome]) -> Outcome:
    return future.result(10)


def test_a_job_holds_the_program_with_its_numbers_and_nothing_else_of_the_run(bench: Bench) -> None:
    bench.executor().submit(trial(lr=0.5))
    record = bench.spool.read("jobs", only_job(bench.spool))
    assert record == {
        "format": 1,
        "source": "0.5 0.0\nprogram",
        "trial": {"budget": 2.0, "rung": 0.25, "seed": 0, "purpose": "tune"},
        "conditions": conditions_record(CONDITIONS),
    }


def test_numbers_that_do_not_fit_the_program_are_a_refusal_and_no_job(bench: Bench) -> None:
    def refuses(_: object) -> str:
        raise ValueError("lr = -1 is outside 0..1")

    assert result(bench.executor(refuses).submit(trial())) == Outcome("rejected", reason="lr = -1 is outside 0..1")
    assert bench.spool.names("jobs") == []


def test_an_error_that_nobody_expected_is_heard_of(bench: Bench) -> None:
    def breaks(_: object) -> str:
        raise ZeroDivisionError("a defect")

    with pytest.raises(ZeroDivisionError, match="a defect"):
        result(bench.executor(breaks).submit(trial()))


def test_the_next_process_of_a_run_finds_its_outcomes_and_writes_no_job_anew(bench: Bench) -> None:
    before = bench.executor(place=numbered())
    trials = [trial(lr=i / 8) for i in range(4)]
    for each in trials:
        before.submit(each)
    until(lambda: len(bench.spool.names("jobs")) == 4)
    before.close()
    jobs = bench.spool.names("jobs")
    assert jobs == sorted(jobs), "in the order in which they were asked for"
    bench.spool.claim(jobs[3], "a" * 12)
    for i, job in enumerate(jobs[:2]):
        bench.answer(job, Outcome("ok", {"loss": i / 8}))

    def never(_: object) -> str:
        raise AssertionError("a job is there already, or its outcome is")

    after = bench.executor(never, place=numbered())
    futures = [after.submit(each) for each in trials]
    assert [result(f).metrics["loss"] for f in futures[:2]] == [0.0, 1 / 8]
    time.sleep(0.1)
    assert bench.spool.names("jobs") == [jobs[2]] and not futures[2].done() and not futures[3].done()
    bench.answer(jobs[3], Outcome("ok", {"loss": 3 / 8}))
    assert result(futures[3]).metrics == {"loss": 3 / 8}


def test_other_numbers_seeds_budgets_and_places_are_other_jobs(bench: Bench) -> None:
    executor = bench.executor(place=numbered())
    for each in (trial(), trial(), trial(lr=2.0), trial(seed=1), trial(budget=3.0)):
        executor.submit(each)
    until(lambda: len(bench.spool.names("jobs")) == 5)
    again = bench.executor(place=lambda _: ("ask/1", 0))
    again.submit(trial())
    time.sleep(0.1)
    assert len(bench.spool.names("jobs")) == 5
    again.submit(trial(lr=2.0))
    until(lambda: len(bench.spool.names("jobs")) == 6)


def test_what_the_machine_spoiled_or_nobody_asked_for_is_run_again_under_the_next_number(bench: Bench) -> None:
    executor = bench.executor(place=lambda _: ("ask/1", 0))
    first = only_job_of(executor, bench)
    bench.answer(first, Outcome("infrastructure", reason="the device is lost"))
    future = executor.submit(trial())
    second = only_job(bench.spool)
    assert (first.rpartition("-")[::2], second.rpartition("-")[2]) == ((second.rpartition("-")[0], "0"), "1")
    executor.cancel(future)
    until(lambda: bench.spool.names("jobs") == [])
    assert bench.spool.has("withdrawn", second) and future.cancelled()
    until(lambda: executor.waiting == 0)
    executor.submit(trial())
    assert only_job(bench.spool).endswith("-2")


def test_a_trial_that_is_taken_back_while_its_job_is_written_leaves_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor, write, written, taken_back = bench.executor(), bench.spool.write, threading.Event(), threading.Event()

    def slow(folder: str, name: str, content: bytes) -> None:
        write(folder, name, content)
        if folder == "jobs":
            written.set()
            assert taken_back.wait(10)

    monkeypatch.setattr(bench.spool, "write", slow)
    future = executor.submit(trial())
    assert written.wait(10)
    executor.cancel(future)
    taken_back.set()
    until(lambda: bench.spool.names("jobs") == [])


def only_job_of(executor: SpoolExecutor, bench: Bench) -> str:
    executor.submit(trial())
    return only_job(bench.spool)


def test_jobs_of_a_run_that_it_asks_for_no_longer_are_withdrawn_and_nobody_elses(bench: Bench) -> None:
    place = numbered()
    before = bench.executor(place=place)
    for _ in range(3):
        before.submit(trial())
    until(lambda: len(bench.spool.names("jobs")) == 3)
    before.close()
    jobs = bench.spool.names("jobs")
    others = "0" * 8 + jobs[0][8:]
    bench.spool.write("jobs", others, bench.spool.bytes_of("jobs", jobs[0]) or b"")
    bench.spool.claim(jobs[2], "a" * 12)
    after = bench.executor(place=numbered())
    after.submit(trial())
    after.withdraw(all_of_them=False)
    assert bench.spool.names("jobs") == [others, jobs[0]] and bench.spool.names("withdrawn") == jobs[1:]
    after.withdraw(all_of_them=True)
    assert bench.spool.names("jobs") == [others] and bench.spool.names("withdrawn") == jobs


def test_a_worker_passes_over_what_was_withdrawn_or_is_done(bench: Bench) -> None:
    executor = bench.executor()
    futures = [executor.submit(trial()) for _ in range(3)]
    until(lambda: len(bench.spool.names("jobs")) == 3)
    jobs = {name: bench.spool.bytes_of("jobs", name) or b"" for name in bench.spool.names("jobs")}
    withdrawn, done, wanted = jobs
    bench.spool.withdraw(withdrawn)
    bench.answer(done, Outcome("ok", {"loss": 9.0}))
    for name in (withdrawn, done):
        bench.spool.write("jobs", name, jobs[name])  # an old copy was carried in
    worker = bench.worker(once=True)
    assert worker.run() == "no job is left" and worker.done == 1
    assert [result(f).metrics["loss"] for f in futures[1:]] == [9.0, 1.0] and not futures[0].done()
    assert bench.spool.names("jobs") == []


ODD_OUTCOMES: dict[str, Any] = {
    "no JSON": b"{",
    "deep": b"[" * 100_000,
    "no object": b"[]",
    "not UTF-8": b"\xff\xfe",
    "huge": b" " * (LARGEST + 1),
    "a huge whole number": b'{"format": 1, "job": ' + b"9" * 5000 + b"}",
    "empty": {},
    "another job": {"job": "b" * 8 + "-000000-000-" + "c" * 16 + "-0"},
    "another format": {"format": 2},
    "an unknown status": {"outcome": {"status": "splendid"}},
    "a status that is a list": {"outcome": {"status": ["ok"]}},
    "metrics that are a list": {"outcome": {"metrics": [1.0]}},
    "a metric that is a word": {"outcome": {"metrics": {"loss": "low"}}},
    "a metric beyond floats": {"outcome": {"metrics": {"loss": 10**400}}},
    "thousands of metrics": {"outcome": {"metrics": {str(i): 0.0 for i in range(2000)}}},
    "a charge for years": {"outcome": {"seconds": 1e9}},
    "a log that is a number": {"outcome": {"log_tail": 7}},
    "checks that are numbers": {"outcome": {"checks": {"suffix": 1}}},
    "no conditions": {"conditions": None},
    "conditions that steer a terminal": {"conditions": {"corpus": "\x1b[2J"}},
    "a word of a million letters": {"outcome": {"seconds": "x" * 1_000_000}},
    "conditions with a list": {"conditions": {"versions": {"torch": [2]}}},
    "another text": {"conditions": {"corpus": "d" * 64}},
}


@pytest.mark.parametrize("what", ODD_OUTCOMES)
def test_an_outcome_that_is_none_spoils_its_trial_and_breaks_nothing(bench: Bench, what: str) -> None:
    executor = bench.executor()
    future = executor.submit(trial())
    job = only_job(bench.spool)
    odd = ODD_OUTCOMES[what]
    if isinstance(odd, dict):
        record = outcome_record(job, CONDITIONS, Outcome("ok", {"loss": 1.0}))
        odd = encode(_changed(record, odd) if odd else {})
    bench.spool.write("outcomes", job, odd)
    os.utime(bench.spool.path("outcomes", job), (time.time() - 60,) * 2)
    outcome = result(future)
    assert (outcome.status, outcome.metrics) == ("infrastructure", {}) and "was refused: " in outcome.reason
    assert outcome.reason.isprintable() and len(outcome.reason) < 500
    again = executor.submit(trial())
    bench.work()
    assert result(again).status == "ok"


def _changed(record: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    both = {k: (record.get(k), v) for k, v in changes.items()}
    return record | {
        k: _changed(old, new) if isinstance(old, dict) and isinstance(new, dict) and k != "metrics" else new
        for k, (old, new) in both.items()
    }


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_lies_where_an_outcome_belongs_is_not_followed(bench: Bench, tmp_path: Path, kind: str) -> None:
    future = bench.executor().submit(trial())
    job = only_job(bench.spool)
    path = bench.spool.path("outcomes", job)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(encode(outcome_record(job, CONDITIONS, Outcome("ok", {"loss": 1.0}))))
    {"link": lambda: path.symlink_to(elsewhere), "folder": path.mkdir, "pipe": lambda: os.mkfifo(path)}[kind]()
    assert result(future).status == "infrastructure"


def test_a_file_that_is_being_copied_is_waited_for(bench: Bench) -> None:
    future = bench.executor().submit(trial())
    job = only_job(bench.spool)
    whole = encode(outcome_record(job, CONDITIONS, Outcome("ok", {"loss": 1.0})))
    bench.spool.path("outcomes", job).write_bytes(whole[: len(whole) // 2])
    time.sleep(0.1)
    assert not future.done()
    bench.spool.path("outcomes", job).write_bytes(whole)
    assert result(future).metrics == {"loss": 1.0}


def test_a_number_that_is_not_finite_is_passed_on_for_the_engine_to_refuse(bench: Bench) -> None:
    executor = bench.executor()
    bench.work()
    loss = result(executor.submit(trial(seed=fake_judge.NOT_FINITE))).metrics["loss"]
    assert loss != loss


ODD_JOBS: dict[str, dict[str, Any]] = {
    "no source": {"source": None},
    "no purpose": {"trial": {"purpose": "fun"}},
    "an endless budget": {"trial": {"budget": float("inf")}},
    "a budget of nothing": {"trial": {"budget": 0}},
    "a seed that is a word": {"trial": {"seed": "7"}},
    "a rung above 1": {"trial": {"rung": 2.0}},
    "another format": {"format": 2},
    "no conditions": {"conditions": 7},
}


@pytest.mark.parametrize("what", ODD_JOBS)
def test_a_job_that_is_none_is_answered_for_and_breaks_no_worker(bench: Bench, what: str) -> None:
    executor = bench.executor()
    odd, good = executor.submit(trial()), executor.submit(trial(lr=3.0))
    until(lambda: len(bench.spool.names("jobs")) == 2)
    name = bench.spool.names("jobs")[0]
    record = _changed(bench.spool.read("jobs", name) or {}, ODD_JOBS[what])
    bench.spool.write("jobs", name, encode(record))
    assert bench.worker(once=True).run() == "no job is left"
    assert result(odd).status == "infrastructure" and "the job cannot be read: no job" in result(odd).reason.replace(
        "a job of format 2, and 1 is known here", "no job"
    )
    assert result(good).metrics == {"loss": 3.0}


def test_names_that_lead_elsewhere_are_no_names(bench: Bench) -> None:
    for name in ("..json", "a@b.json", "x.json", ".hidden.json"):
        (bench.spool.folder / "jobs" / name).write_text("{}")
    assert bench.spool.names("jobs") == [] and bench.worker(once=True).run() == "no job is left"


CHANGES = {
    "target": "copy the run's target folder",
    "scale": "give it --scale",
    "corpus": "the same packages",
    "device": "not compared across devices",
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_worker_leaves_alone_what_it_would_measure_under_other_conditions(bench: Bench, field: str) -> None:
    other = replace(INTRODUCTION, conditions=replace(CONDITIONS, **{field: "another"}))
    executor = bench.executor()
    future = executor.submit(trial())
    only_job(bench.spool)
    worker = bench.worker(introduction=other, once=True)
    assert worker.run() == "no job is left" and worker.done == 0
    (said,) = bench.said
    assert CHANGES[field] in said.lower() and not future.done()
    assert bench.spool.names("jobs") == list(worker.unfit)


def test_versions_and_isolation_are_conditions_too() -> None:
    for versions in ({"torch": "2.14", "python": "3.12.1"}, {"torch": "2.13", "python": "3.13.0"}):
        with pytest.raises(ConfigError, match="scores are not compared across versions"):
            check(CONDITIONS, replace(CONDITIONS, versions=versions))
    check(CONDITIONS, replace(CONDITIONS, versions={"torch": "2.13", "python": "3.12.9"}))
    with pytest.raises(ConfigError, match="isolates at level L, the run at N"):
        check(CONDITIONS, replace(CONDITIONS, level="L"))
    check(replace(CONDITIONS, level="U"), CONDITIONS)


def known(spool: Spool, *introductions: Introduction) -> None:
    for introduction in introductions:
        spool.write("judges", introduction.name, encode(introduction_record(introduction)))


def at(level: str, **more: Any) -> Introduction:
    return Introduction(HELLO | {"level": level} | more, replace(CONDITIONS, level=level))


def test_a_run_meets_the_judge_that_isolates_least_so_that_what_is_said_of_it_holds_for_all(bench: Bench) -> None:
    known(bench.spool, at("N"), at("U"), at("L"))
    assert meet(bench.spool, wanted_of(None, False), 0.0, print, "how").hello["level"] == "U"
    assert meet(bench.spool, wanted_of(replace(CONDITIONS, level="L"), False), 0.0, print, "how").hello["level"] == "L"
    bench.work()
    until(lambda: bool(bench.spool.names("workers")))
    assert meet(bench.spool, wanted_of(None, False), 0.0, print, "how").hello["level"] == "N", "who is at work first"


def test_without_a_judge_that_fits_it_is_said_what_there_is(bench: Bench) -> None:
    with pytest.raises(ConfigError, match=r"has no worker yet: run `how` where the device is\. .*merge\)\.$"):
        meet(bench.spool, wanted_of(None, False), 0.0, print, "how")
    known(bench.spool, at("L"), at("none", unsafe=True))
    (bench.spool.folder / "judges" / f"{'e' * 16}.json").write_text('{"hello": 7}')
    with pytest.raises(ConfigError, match="One that was there does not fit: programs have the rights of .*unsafe-no"):
        meet(bench.spool, wanted_of(CONDITIONS, False), 0.0, print, "how")
    assert meet(bench.spool, wanted_of(CONDITIONS, True), 0.0, print, "how").hello["level"] == "none"


def test_an_introduction_cannot_steer_a_terminal(bench: Bench) -> None:
    record = introduction_record(replace(INTRODUCTION, hello=HELLO | {"isolation": "N\x1b[2J", "core_speed": 1e999}))
    hello = introduction_from(json.loads(encode(record))).hello
    assert "\x1b" not in hello["isolation"] and hello["core_speed"] is None


def test_the_slots_are_those_of_the_workers_who_fit(bench: Bench) -> None:
    stranger = replace(INTRODUCTION, conditions=replace(CONDITIONS, corpus="d" * 64))
    assert misfit(stranger, CONDITIONS)
    known(bench.spool, replace(stranger, hello=HELLO | {"corpus": {"sha256": "d" * 64}}))
    executor = bench.executor()
    assert executor.slots == 16 and executor.unattended is not None
    bench.work(slots=1)
    until(lambda: executor.slots == 1)
    bench.work(slots=2)
    until(lambda: executor.slots == 3 and executor.unattended is None)
    assert bench.executor(slots=7).slots == 7


def test_a_worker_without_signs_of_life_is_gone_and_its_jobs_wait_again(bench: Bench) -> None:
    executor = bench.executor()
    future = executor.submit(trial())
    job = only_job(bench.spool)
    dead, fresh = "d" * 12, "e" * 12
    for worker in (dead, fresh):
        bench.spool.write("workers", worker, encode({"beat": 1, "slots": 1, "judge": INTRODUCTION.name}))
    bench.spool.claim(job, dead)
    attendance = Attendance(bench.spool)
    attendance.look()
    assert {attendance.state(w) for w in (dead, fresh)} == {"unknown"} and attendance.give_back() == 0
    bench.spool.write("workers", fresh, encode({"beat": 2, "slots": 1, "judge": INTRODUCTION.name}))
    attendance.look()
    assert attendance.state(fresh) == "alive"
    until(lambda: attendance.state(dead) == "gone")
    assert attendance.state("f" * 12) == "gone"
    assert attendance.give_back() == 1 and bench.spool.names("jobs") == [job]
    assert bench.worker(once=True).run() == "no job is left" and result(future).status == "ok"


def test_a_worker_that_is_to_end_waits_until_the_claims_of_a_dead_one_are_done(bench: Bench) -> None:
    future = bench.executor().submit(trial())
    bench.spool.claim(only_job(bench.spool), "d" * 12)
    bench.spool.write("workers", "d" * 12, encode({"beat": 1, "slots": 1, "judge": INTRODUCTION.name}))
    assert bench.worker(once=True).run() == "no job is left"
    assert result(future).status == "ok" and "their worker gives no sign of life" in bench.said[0]
    assert bench.spool.names("workers") == []


def test_of_two_outcomes_the_same_one_stays_in_any_order_and_no_score_decides(tmp_path: Path) -> None:
    job = "a" * 8 + "-000001-000-" + "b" * 16 + "-0"
    spoiled = encode(outcome_record(job, CONDITIONS, Outcome("infrastructure")))
    stayed = []
    for i in range(12):
        two = [encode(outcome_record(job, CONDITIONS, Outcome("ok", {"loss": float(i + k)}))) for k in (0, 1)]
        ends = set()
        for n, order in enumerate((two, two[::-1], [spoiled, *two], [*two, b"damaged", spoiled])):
            spool = Spool(tmp_path / f"{i}-{n}")
            for data in order:
                spool.keep(job, data)
            ends.add(spool.bytes_of("outcomes", job))
        (end,) = ends
        stayed.append(two.index(end or b""))
    assert {0, 1} == set(stayed), "neither the better nor the worse one always"


def test_a_time_limit_begins_nothing_that_would_not_end_and_gives_back_what_does_not(bench: Bench) -> None:
    executor = bench.executor()
    executor.submit(trial(budget=100.0))
    executor.submit(trial(budget=0.1, sleep=30.0))
    until(lambda: len(bench.spool.names("jobs")) == 2)
    worker = bench.worker(slots=2, limit=0.5)
    assert worker.run() == "the time limit is reached" and worker.done == 0
    assert len(bench.spool.names("jobs")) == 2 and bench.spool.claims() == []
    assert list(worker.unfit.values()) == ["the time limit leaves no room for it"]


def test_an_interrupted_worker_finishes_what_runs_and_takes_no_more(bench: Bench) -> None:
    executor = bench.executor()
    futures = [executor.submit(trial(sleep=0.3)) for _ in range(3)]
    worker = bench.work()
    until(lambda: bool(bench.spool.claims()))
    worker.interrupted = True
    assert result(futures[0]).status == "ok"
    until(lambda: bench.spool.names("workers") == [])
    assert len(bench.spool.names("jobs")) == 2 and worker.done == 1 and bench.spool.claims() == []


def test_a_worker_whose_slots_are_all_lost_gives_back_what_it_has(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"HOPELESS": 2, "PAUSE": 0.0, "LONGEST_PAUSE": 0.0}.items():
        monkeypatch.setattr(f"evolve.executors.local.{name}", value)
    executor = bench.executor()
    futures = [executor.submit(trial(seed=fake_judge.LOST)) for _ in range(5)]
    until(lambda: len(bench.spool.names("jobs")) == 5)
    assert bench.worker().run() == "no slot is left"
    until(lambda: sum(f.done() for f in futures) == 1)
    assert len(bench.spool.names("jobs")) == 4 and bench.spool.claims() == []


def test_a_folder_that_cannot_be_written_spoils_trials_and_not_the_run(bench: Bench) -> None:
    executor = bench.executor()
    (bench.spool.folder / "unfinished").rmdir()
    (bench.spool.folder / "unfinished").write_text("a file")
    outcome = result(executor.submit(trial()))
    assert outcome.status == "infrastructure" and "cannot be written" in outcome.reason
    with pytest.raises(ConfigError, match="cannot use the spool"):
        Spool(bench.spool.folder)


def test_a_source_with_half_a_character_becomes_one_that_can_be_written() -> None:
    record = job_record(trial(), "x", CONDITIONS) | {"source": "\ud800"}
    assert job_from(json.loads(encode(record))).trial.genome.source == "?"


@pytest.mark.parametrize("given", ["spool:", "spool", "cloud:x", ""])
def test_an_executor_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match=r"write local or spool:DIR"):
        spool_of(given)


def test_an_executor_is_named_by_its_folder() -> None:
    assert spool_of("local") is None and spool_of("spool:a:b") == Path("a:b")


WITHOUT_SEARCH = """
import sys
for name in ("deap", "moocore", "optuna", "libcst", "anthropic", "jinja2", "operators"):
    sys.modules[name] = None
from evolve.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_worker_needs_no_package_of_a_search(tmp_path: Path) -> None:
    target = make_target(tmp_path / "target")
    command = ["worker", "--spool", str(tmp_path / "spool"), "--target", str(target), "--once", "--slots", "1"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SEARCH, *command],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert "Ended: no job is left. 0 trials done" in done.stdout and len(Spool(tmp_path / "spool").names("judges")) == 1
