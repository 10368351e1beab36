"""Real trials in the benchmark's loop: judges and seats, what is cut goes on, fronts are trained again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import psutil
import pytest

from benchmarks.comparison import again
from benchmarks.comparison.again import LOWER_SEEDS, MEMBERS, SEEDS, chosen
from benchmarks.comparison.crew import Crew, Job, Member
from benchmarks.comparison.outcome import measured
from benchmarks.comparison.real import real_task
from benchmarks.comparison.runner import place_of, run
from benchmarks.comparison.several import free_seat, jobs_of, joined
from benchmarks.comparison.task import Task, load, names
from benchmarks.comparison.trace import FILE, Trace, read
from evolve.assemble import DEFAULT_OPERATORS, OFFSPRING, POPULATION, TUNE_TRIALS
from evolve.cli import main as evolve
from evolve.config import ConfigError
from evolve.executors.local import JudgeError
from evolve.judges import Slot
from evolve.lines import Lines
from evolve.model import Outcome
from evolve.reports.open import open_history
from evolve.store import StoreError
from tests.benchmarks.made_up import Problem
from tests.e2e.conftest import make_target

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BUDGET, TOTAL = 0.04, 4.0
DRIVER = """
import sys
from pathlib import Path
from benchmarks.comparison.runner import run
from tests.benchmarks.test_real import toy
run("ours", toy(Path(sys.argv[1])), 1, float(sys.argv[2]), Path(sys.argv[3]))
"""


def toy(folder: Path) -> Task:
    """The default target with a judge that sleeps the budget and makes up its scores."""
    task = real_task("toy", str(folder), "cpu", BUDGET, TOTAL, seed_loss=3.0)
    given = task.given()
    return replace(task, given=lambda: replace(given, plan=replace(given.plan, smoke_seconds=BUDGET / 4)))


def test_the_seed_program_s_loss_at_the_gpu_scale_is_the_one_that_was_measured() -> None:
    history, task = open_history(ROOT / "benchmarks/results/gpu/evolution"), load("gpu")
    rung = task.given().plan.budget / history.header["settings"]["budget"]
    losses = history.candidates["0"].losses[f"{rung:g}"]
    assert len(losses) >= 3 and abs(task.seed["val_bpb"] - fmean(losses)) < stdev(losses) / 2


def benchmark(*arguments: object) -> subprocess.Popen[str]:
    """`python -m benchmarks` as a group of processes of its own."""
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, cwd=ROOT, start_new_session=True, **pipes)  # type: ignore[call-overload,no-any-return]


def wait_for(there: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def processes_with(word: str) -> list[psutil.Process]:
    """Those whose command names `word`."""
    found = []
    for process in psutil.process_iter():
        try:
            found += [process] if word in " ".join(process.cmdline()) else []
        except psutil.Error:
            continue
    return found


def outcomes(place: Path) -> dict[tuple[str, int], Outcome]:
    """What the log of a run says so far, also before there is any."""
    try:
        return open_history(place).outcomes
    except (StoreError, ConfigError):
        return {}


def charged(place: Path) -> float:
    return sum(outcome.seconds for outcome in outcomes(place).values())


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_target(tmp_path_factory.mktemp("toy") / "target")


@pytest.fixture(scope="module")
def ended(target: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that has ended."""
    folder = tmp_path_factory.mktemp("runs")
    assert run("ours", toy(target), 1, TOTAL, folder)
    return place_of("ours", toy(target), 1, folder)


def test_a_run_is_one_of_the_engine_with_its_defaults(ended: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = open_history(ended)
    settings = history.header["settings"]
    assert (settings["population"], settings["offspring"]) == (POPULATION, OFFSPRING)
    assert (settings["tune_trials"], settings["operators"]) == (TUNE_TRIALS, DEFAULT_OPERATORS)
    assert settings["corpus"] and history.began["level"] == "N" and history.sessions[0][2] == 1
    assert history.charged >= TOTAL and len(history.candidates) > 2
    assert evolve(["front", "--run-dir", str(ended)]) == 0
    assert evolve(["show", "seed", "--run-dir", str(ended)]) == 0
    assert "val_bpb" in capsys.readouterr().out


def test_the_seed_program_and_the_claimed_front_are_trained_again_on_fresh_seeds(ended: Path, target: Path) -> None:
    trace = read(ended / FILE)
    seed, *members = trace.retrained
    assert seed.candidate == "0" and members and len(members) <= MEMBERS
    assert seed.metrics["seconds_to_target"] == [BUDGET]
    claims = {p.candidate: p.values["val_bpb"] for p in trace.points if p.confirmed}
    for member in trace.retrained:
        best = member.candidate == min(claims, key=claims.__getitem__)
        assert set(member.metrics) == {"val_bpb", "seconds_to_target"} | ({"test_bpb"} if best else set())
        assert all(len(member.metrics[name]) == len(SEEDS) for name in {"val_bpb", "test_bpb"} & member.metrics.keys())
    assert all(member.metrics["seconds_to_target"][0] < BUDGET for member in members)
    searched = {t.seed for t in open_history(ended).trials.values()}
    assert not searched & set(SEEDS)
    rows = [json.loads(line) for line in (ended / again.FILE).read_text().splitlines()]
    assert {row["seed"] for row in rows if row["rung"] < 1} == set(LOWER_SEEDS)
    assert measured(trace, toy(target)).values["confirmed_hypervolume"] > 0


def test_trainings_that_were_written_down_are_not_done_again(ended: Path, target: Path, tmp_path: Path) -> None:
    copied = place_of("ours", toy(target), 1, tmp_path)
    copied.mkdir(parents=True)
    (copied / "run.sqlite").write_bytes((ended / "run.sqlite").read_bytes())
    lines = (ended / again.FILE).read_text().splitlines(keepends=True)
    marked = [json.dumps(json.loads(line) | {"reason": "before"}) + "\n" for line in lines[:4]]
    (copied / again.FILE).write_text("".join(marked) + lines[4][:20])
    assert run("ours", toy(target), 1, TOTAL, tmp_path)
    assert Lines(copied / again.FILE).rows == [json.loads(line) for line in marked + lines[4:]]
    assert read(copied / FILE).retrained == read(ended / FILE).retrained


def test_what_is_no_training_is_not_read_as_one(ended: Path, target: Path, tmp_path: Path) -> None:
    copied = place_of("ours", toy(target), 1, tmp_path)
    copied.mkdir(parents=True)
    (copied / "run.sqlite").write_bytes((ended / "run.sqlite").read_bytes())
    (copied / again.FILE).write_text('{"candidate": "0"}\n')
    with pytest.raises(StoreError, match="retrained.jsonl has a row of another kind"):
        run("ours", toy(target), 1, TOTAL, tmp_path)


def test_killed_at_any_time_a_run_goes_on_where_it_was(target: Path, tmp_path: Path) -> None:
    place = place_of("ours", toy(target), 1, tmp_path)
    recorded: dict[object, object] = {}
    for share in (0.1, 0.5):
        command = [sys.executable, "-c", DRIVER, str(target), str(TOTAL), str(tmp_path)]
        process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        wait_for(lambda: charged(place) > share * TOTAL)  # noqa: B023
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        wait_for(lambda: not processes_with(str(target / "judge.py")), 10.0)
        before, recorded = recorded, outcomes(place)
        assert recorded.items() > before.items() and not (place / FILE).exists()
    assert run("ours", toy(target), 1, TOTAL, tmp_path)
    history = open_history(place)
    assert history.outcomes.items() >= recorded.items() and len(history.sessions) == 3
    assert history.statuses["lost"] <= 2, "more than what was under way"
    assert history.charged <= sum(o.seconds for o in history.outcomes.values()) + 2 * BUDGET + 1e-9
    assert read(place / FILE).retrained


def test_a_run_stops_in_time_and_goes_on(target: Path, tmp_path: Path) -> None:
    begin, place = time.monotonic(), place_of("ours", toy(target), 1, tmp_path)
    assert not run("ours", toy(target), 1, 1000.0, tmp_path, until=begin + 1.5)
    assert time.monotonic() - begin < 10 and not (place / FILE).exists()
    before = open_history(place)
    assert before.stopped == "the time is over" and not before.running and 0 < before.charged < 1000
    assert run("ours", toy(target), 1, before.charged + 1.0, tmp_path)
    assert open_history(place).statuses["lost"] == 0


def test_a_run_whose_total_is_too_small_for_the_seed_program_says_so(target: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="before the seed program was measured: give it a larger --budget"):
        run("ours", toy(target), 1, 0.1, tmp_path)


def test_a_judge_that_does_not_start_is_the_end_of_its_run(tmp_path: Path) -> None:
    folder = make_target(tmp_path / "target")
    (folder / "judge.py").write_text("raise SystemExit(1)")
    with pytest.raises(JudgeError, match="ended before it was ready"):
        run("ours", toy(folder), 1, TOTAL, tmp_path)


def test_a_target_that_changed_is_another_run(ended: Path, tmp_path: Path) -> None:
    folder = make_target(tmp_path / "target")
    run("ours", toy(folder), 1, 1.0, tmp_path)
    (folder / "train.py").write_text((folder / "train.py").read_text() + "# changed\n")
    with pytest.raises(ConfigError, match="a run with other settings: choose another -o"):
        run("ours", toy(folder), 1, 2.0, tmp_path)


def member(*cores: int, device: str = "") -> Member:
    return Member(Job("ours", "cpu", 1, 1.0), Slot(cores, device), None, None)  # type: ignore[arg-type]


def test_no_two_runs_have_a_core_or_a_gpu_in_common() -> None:
    cores = [Slot((core,)) for core in (2, 3, 7)]
    gpus = [Slot((2, 3), "A"), Slot((7, 8), "B")]
    seats = {"cpu": cores, "gpu": gpus, "synthetic": None}
    on_cpu, on_gpu, virtual = (Job("ours", name, 1, 1.0) for name in seats)
    assert free_seat(on_cpu, seats, [member(2), member(7)]) == (True, Slot((3,)))
    assert free_seat(on_cpu, seats, [member(2), member(3), member(7)]) == (False, None)
    assert free_seat(on_gpu, seats, [member(2, 3, device="A")]) == (True, gpus[1])
    assert free_seat(on_gpu, seats, [member(3)]) == (True, gpus[1])
    assert free_seat(on_gpu, seats, [member(9, device="A")]) == (True, gpus[1])
    assert free_seat(virtual, seats, []) == (True, None) and free_seat(virtual, seats, [member(2)]) == (False, None)
    nowhere = Member(virtual, None, None, None)  # type: ignore[arg-type]
    assert free_seat(virtual, seats, [nowhere]) == (True, None) and free_seat(on_cpu, seats, [nowhere])[0] is False


def test_more_runs_at_once_than_there_are_seats_are_refused() -> None:
    seats = {"cpu": [Slot((core,)) for core in (0, 1, 2)], "synthetic": None}
    assert jobs_of(None, seats) == min(3, len(os.sched_getaffinity(0))) and jobs_of(2, seats) == 2
    assert jobs_of(99, {"synthetic": None}) == 99
    with pytest.raises(ConfigError, match="--jobs 4, and there are 3 cores for runs of cpu"):
        jobs_of(4, seats)
    with pytest.raises(ConfigError, match="--jobs 2, and there are 1 GPUs for runs of gpu"):
        jobs_of(2, {"gpu": [Slot((0, 1), "A")]})


def test_a_run_with_slots_has_a_core_for_each_and_shares_none() -> None:
    cores, gpus = [Slot((core,)) for core in (2, 3, 5, 7, 8)], [Slot((2, 3), "A")]
    pairs = joined("cpu", cores, 2) or ()
    assert pairs == [Slot((2, 3)), Slot((5, 7))] and joined("gpu", gpus, 1) is gpus and joined("table", None, 1) is None
    assert jobs_of(None, {"cpu": pairs}) <= 2 and joined("cpu", cores, 5) == [Slot((2, 3, 5, 7, 8))]
    assert free_seat(Job("ours", "cpu", 1, 1.0), {"cpu": pairs}, [member(2, 3)]) == (True, Slot((5, 7)))
    for name, seats, slots, why in (
        ("cpu", cores, 6, "--slots 6, and there are 5 cores for runs of cpu"),
        ("gpu", gpus, 2, "--slots 2: a run of gpu has one GPU"),
        ("table", None, 2, "--slots 2: a run of table has no core"),
    ):
        with pytest.raises(ConfigError, match=why):
            joined(name, seats, slots)
    with pytest.raises(ConfigError, match="--jobs 3, and there are 2 sets of 2 cores for runs of cpu"):
        jobs_of(3, {"cpu": pairs})


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_seat_of_two_cores_has_a_judge_on_each(target: Path, tmp_path: Path) -> None:
    place = toy(target).place
    (seat,) = joined("toy", (place.seats() or ())[:2], 2) or ()
    with place.open(seat, tmp_path, {}) as opened:
        asked = [judge.cmdline() for judge in processes_with(str(target / "judge.py"))]
        assert opened.executor.slots == opened.settings["slots"] == 2
        assert sorted(words[words.index("--core") + 1] for words in asked) == sorted(map(str, seat.cores))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_run_goes_on_with_the_slots_that_it_began_with(target: Path, tmp_path: Path) -> None:
    seats = joined("toy", (toy(target).place.seats() or ())[:2], 2)
    assert seats and not run("random", toy(target), 1, TOTAL, tmp_path, seats[0], time.monotonic() + 1.0)
    with pytest.raises(ConfigError, match="a run with other settings"):
        run("random", toy(target), 1, TOTAL, tmp_path)
    assert run("random", toy(target), 1, TOTAL, tmp_path, seats[0])


def test_of_a_long_front_the_ends_and_what_keeps_most_hypervolume_are_trained_again() -> None:
    inner = {"a": (2.5, 1.0), "b": (2.51, 0.99), "c": (3.2, 0.2), "d": (3.3, 0.19)}
    front = [("best", (2.0, 2.0)), *inner.items(), ("fast", (3.9, 0.0))]
    assert chosen(front, Problem()) == ["best", "fast", "a", "c"]
    assert chosen(front[:3], Problem()) == ["best", "b", "a"] and chosen(front[:1], Problem()) == ["best"]
    assert chosen([], Problem()) == []


def test_a_run_that_dies_is_reported_and_costs_no_other(tmp_path: Path) -> None:
    crew = Crew(tmp_path, time.monotonic() + 600)
    crew.start(Job("random", "synthetic", 1, 1e6), None)
    crew.start(Job("random", "synthetic", 2, 60.0), None)
    dies, _ = crew.members
    wait_for(lambda: dies.listen() and dies.charged)
    assert dies.process.pid
    os.kill(dies.process.pid, signal.SIGKILL)
    gone: list[Member] = []
    wait_for(lambda: gone.extend(crew.listen(0.1)) or len(gone) == 2)
    assert {m.job.seed: m.ended for m in gone} == {1: False, 2: True}
    assert dies.failure.startswith("its process ended with exit code")
    crew.stop()


def test_the_command_reports_what_failed_and_ends_the_others(tmp_path: Path) -> None:
    command = ("run", "--methods", "random,greedy", "--tasks", "synthetic", "--seeds", 1, "--budget", 60, "--jobs", 1)
    spoiled = tmp_path / "synthetic" / "random" / "seed1"
    spoiled.mkdir(parents=True)
    (spoiled / "run.sqlite").write_text("no log")
    output, errors = (process := benchmark(*command, "-o", tmp_path)).communicate(timeout=120)
    assert process.returncode == 1
    assert "1 runs failed" in errors and "* synthetic random seed 1: " in errors and "cannot be read" in errors
    assert "1/2  synthetic greedy seed 1" in output and (tmp_path / "synthetic" / "greedy" / "seed1" / FILE).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupt_ends_all_runs_at_once_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    command = ("run", "--methods", "random", "--tasks", "synthetic", "--seeds", 3, "--budget", 1e6, "--jobs", 2)
    process = benchmark(*command, "-o", tmp_path)
    places = [tmp_path / "synthetic" / "random" / f"seed{seed}" for seed in (1, 2)]
    wait_for(lambda: all(outcomes(place) for place in places))
    begin = time.monotonic()
    os.killpg(process.pid, number)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "") and time.monotonic() - begin < 15
    assert output.endswith("Interrupted: 3 of 3 runs are left; the same command goes on with them\n")
    wait_for(lambda: not processes_with(str(tmp_path)), 5.0)
    assert all(open_history(place).charged > 0 for place in places)


def test_the_command_ends_in_time_and_says_what_is_left(tmp_path: Path) -> None:
    command = ("run", "--methods", "random", "--tasks", "synthetic", "--seeds", 3, "--budget", 1e6, "--jobs", 1)
    begin = time.monotonic()
    output, errors = (process := benchmark(*command, "-o", tmp_path, "--time-limit", 4)).communicate(timeout=120)
    assert (process.returncode, errors) == (0, "") and time.monotonic() - begin < 30
    assert output.endswith("The time is over: 3 of 3 runs are left; the same command goes on with them\n")


@pytest.mark.parametrize("name", sorted(set(names()) & {"cpu", "digits", "gpu"}))
def test_what_a_real_task_compares_with_is_fixed_in_its_file(name: str) -> None:
    task, given = load(name), load(name).given()
    assert [axis.name for axis in task.objectives] == [o.name for o in given.plan.objectives]
    assert task.seed["seconds_to_target"] == given.plan.budget and task.total >= 80 * given.plan.budget
    assert task.reference == {objective: 1.1 * value for objective, value in task.seed.items()}


def test_digits_are_run_in_real_boxes(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn: pip install -e '.[digits]'")
    task = real_task("digits", "digits_target", "cpu", budget=0.1, total=0.75, seed_loss=2.3, loss="val_nll")
    assert run("random", task, 1, task.total, tmp_path, seat=task.place.seats()[-1])  # type: ignore[index]
    trace: Trace = read(place_of("random", task, 1, tmp_path) / FILE)
    assert {"val_nll", "seconds_to_target"} <= set(trace.retrained[0].metrics)
    assert any("test_nll" in member.metrics for member in trace.retrained)
    assert open_history(place_of("random", task, 1, tmp_path)).began["level"] != "none"


@pytest.mark.slow
def test_real_runs_side_by_side_keep_to_their_cores_and_go_on_after_a_kill(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn: pip install -e '.[digits]'")
    command = ("run", "--methods", "random", "--tasks", "digits", "--seeds", 2, "--jobs", 2, "--budget", 12)
    first = benchmark(*command, "-o", tmp_path)
    places = [tmp_path / "digits" / "random" / f"seed{seed}" for seed in (1, 2)]
    wait_for(lambda: all(outcomes(place) for place in places), 240)
    judges = processes_with("digits_target/judge.py")
    assert sorted(core for judge in judges for core in judge.cpu_affinity()) == sorted(os.sched_getaffinity(0))[:2]
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    wait_for(lambda: not any(judge.is_running() for judge in judges), 20)
    again_, errors = (second := benchmark(*command, "-o", tmp_path)).communicate(timeout=600)
    assert second.returncode == 0, errors
    assert "2/2  digits random" in again_ and all(read(place / FILE).retrained for place in places)
    assert all(open_history(place).statuses["lost"] == 1 for place in places)
