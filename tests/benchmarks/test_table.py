"""The recorded table: programs as genes and back, its rows, the surrogate, and the command that records it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import pytest

from benchmarks import record
from benchmarks.comparison import runner
from benchmarks.comparison.trace import FILE, read
from benchmarks.comparison.virtual import VirtualExecutor
from benchmarks.recorded import genes as catalogue
from benchmarks.recorded import surrogate
from benchmarks.recorded.rows import GENES as FILE_OF_GENES
from benchmarks.recorded.rows import (
    HEADER,
    KINDS,
    ROWS,
    RUNGS,
    Design,
    Measured,
    Program,
    Row,
    genes_text,
    line_of,
    read_genes,
    read_rows,
)
from benchmarks.recorded.units import from_unit, unit
from benchmarks.recorded.world import World, read_surrogate
from benchmarks.tasks import table
from evolve import plugins
from evolve.assemble import read_seed
from evolve.config import ConfigError, load_target
from evolve.executors.local import JudgeError
from evolve.model import Genome, Knob, Outcome, Trial
from evolve.reports.open import open_history
from tests.e2e.conftest import TARGET, make_target

DESCRIBED = load_target(TARGET)
READER = plugins.load(plugins.READER)(DESCRIBED.rules_at("cpu"))
SEED = read_seed(READER, DESCRIBED, "cpu")
GENES = ("cooldown_linear", "muon", "rotary", "swiglu", "untie_head")
ALONE = {gene: catalogue.build(SEED, [gene], READER)[0] for gene in GENES}
BUDGET = 2.0


def true_loss(genes: tuple[str, ...], rate: float, rung: float) -> float:
    """What the made-up table measures: `rotary` helps, `swiglu` only with it, a rate of 3e-3 is best."""
    loss = 5 - 0.5 * np.log2(rung) - 0.8 * ("rotary" in genes) - 0.4 * ({"rotary", "swiglu"} <= set(genes))
    return float(loss + 0.6 * np.log10(rate / 3e-3) ** 2)


def measured(row_genes: tuple[str, ...], knobs: dict[str, float], rung: float, noise: Random) -> Measured:
    if knobs["BATCH_SIZE"] == 64:
        return Measured("timeout", None, 0.5 * BUDGET * rung)
    return Measured("ok", true_loss(row_genes, knobs["LEARNING_RATE"], rung) + noise.gauss(0, 0.02), BUDGET * rung)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 40 rows over five genes, with losses by `true_loss`."""
    made, noise, design = tmp_path_factory.mktemp("table"), Random(0), Design(SEED, GENES, READER, 0)
    header = {"program": SEED.id, "scale": "cpu", "budget": BUDGET, "seed": 0, "loss": "val_bpb", "genes": list(GENES)}
    (made / HEADER).write_text(json.dumps(header))
    (made / FILE_OF_GENES).write_text(genes_text(SEED, ALONE))
    with (made / ROWS).open("w") as file:
        for index in range(40):
            kind, _, genes, params, seed = design.program(index)
            rungs = {f"{rung:g}": measured(genes, dict(params), rung, noise) for rung in RUNGS}
            file.write(line_of(Row(index, kind, genes, params, seed, rungs)))
    return made


@pytest.fixture(scope="module")
def world(folder: Path) -> World:
    return World(folder, SEED)


@pytest.mark.parametrize("knob", SEED.knobs, ids=lambda knob: knob.address)
def test_a_number_goes_to_its_place_and_back(knob: Knob) -> None:
    assert [from_unit(knob, at) for at in (0.0, 1.0)] == [knob.low, knob.high]
    for at in (0.1, 0.37, 0.5, 0.93):
        value = from_unit(knob, at)
        assert knob.low <= value <= knob.high and (knob.kind != "choice" or value in knob.values)
        assert abs(unit(knob, value) - at) < (0.01 if knob.kind == "float" else 0.3)


def test_genes_are_read_from_programs_that_were_made_in_any_order() -> None:
    decoder = catalogue.Decoder(SEED, catalogue.changes(SEED, ALONE))
    exact, overlap = catalogue.agreement(SEED, decoder, GENES, READER, 6, most=3)
    assert exact >= 0.8 and overlap >= 0.9
    assert decoder.genes(SEED.source) == ()
    tuned = SEED.source.replace("LEARNING_RATE = 1e-3", "LEARNING_RATE = 0.02")
    assert tuned != SEED.source and decoder.genes(tuned) == ()
    assert decoder.genes(catalogue.build(SEED, ["rotary", "muon"], READER)[0].source) == ("muon", "rotary")


def test_rows_take_turns_and_depend_on_their_index_alone() -> None:
    design = Design(SEED, GENES, READER, 0)
    programs = [design.program(index) for index in range(12)]
    assert [kind for kind, *_ in programs] == list(KINDS) * 3
    assert Design(SEED, GENES, READER, 0).program(7) == programs[7]
    assert Design(SEED, GENES, READER, 1).program(7) != programs[7]
    first = programs[0]
    assert first.genes == GENES[:1] and first.params == {k.address: k.default for k in first.genome.knobs}
    for _, genome, _, params, _ in programs:
        READER.bind(genome, params)  # raises for a number that is not allowed


def test_space_filling_rows_cover_each_number_evenly() -> None:
    design = Design(SEED, GENES, READER, 0)
    rate = next(k for k in SEED.knobs if k.address == "LEARNING_RATE")
    places = [unit(rate, design.program(1 + 4 * turn)[3]["LEARNING_RATE"]) for turn in range(16)]
    assert sorted(int(16 * place) for place in places) == list(range(16)), "one in each sixteenth"


def test_a_recorded_trial_is_given_back_and_another_budget_is_charged_in_proportion(world: World) -> None:
    row = world.rows[0]
    genome = Design(SEED, GENES, READER, 0).program(0).genome
    trial = Trial(genome, row.knobs, BUDGET * 0.25, 0.25, "cpu", row.seed, "rung")
    outcome = world.judge(trial)
    assert (outcome.metrics["val_bpb"], outcome.seconds) == (row.rungs["0.25"].loss, row.rungs["0.25"].seconds)
    longer = Trial(genome, row.knobs, 4.0, 0.25, "cpu", row.seed, "rung")
    assert world.judge(longer).seconds == 4.0


@cache
def built(*genes: str) -> Genome:
    return catalogue.build(SEED, genes, READER)[0]


def judged(world: World, genes: list[str], rate: float, rung: float = 1.0, seed: int = 1, batch: int = 16) -> float:
    genome = built(*genes)
    params = {"LEARNING_RATE": rate, "BATCH_SIZE": batch}
    return world.judge(Trial(genome, params, BUDGET * rung, rung, "cpu", seed, "tune")).metrics["val_bpb"]


def test_what_was_not_recorded_is_predicted(world: World) -> None:
    for genes, rate, rung in (
        (["rotary"], 2e-3, 1.0),
        ([], 2e-3, 0.5),
        (["rotary", "swiglu"], 6e-3, 1.0),
        ([], 3e-4, 0.25),
    ):
        assert judged(world, genes, rate, rung) == pytest.approx(true_loss(tuple(genes), rate, rung), abs=0.5)
    assert judged(world, ["rotary"], 3e-3) < judged(world, [], 3e-3) - 0.5


def test_the_same_trial_gives_the_same_and_another_seed_another_loss(world: World) -> None:
    assert judged(world, ["rotary"], 2e-3) == judged(world, ["rotary"], 2e-3)
    losses = [judged(world, ["rotary"], 2e-3, seed=seed) for seed in range(30)]
    assert 0.002 < np.std(losses) < 0.1


def test_cross_validation_says_how_good_it_is_and_is_kept_beside_the_table(folder: Path, world: World) -> None:
    found = world.assess(READER, programs=2)
    assert json.loads((folder / "surrogate.json").read_text()) == found
    cross = found["cross_validation"]
    assert cross["trials"] == 200 and cross["rmse"] < 0.3 * cross["standard_deviation"]
    assert cross["spearman"]["1"] > 0.9
    assert cross["successes_mistaken"] < 0.2
    assert found["seed_loss"] == pytest.approx(judged(world, [], 1e-3), abs=0.2)
    again = World(folder, SEED)
    assert np.allclose(again.surrogate.hyper, world.surrogate.hyper, atol=1e-4), "not learnt anew"


def test_trials_end_in_virtual_time(world: World) -> None:
    executor = VirtualExecutor(world.judge, slots=2)
    trials = [Trial(SEED, {"LEARNING_RATE": rate}, 2.0, 1.0, "cpu", 5, "tune") for rate in (1e-3, 2e-3, 3e-3)]
    assert [executor.submit(t).result().status for t in trials] == ["ok"] * 3
    assert executor.charged == pytest.approx(6.0, rel=0.05)


def test_a_table_larger_than_what_is_inverted_is_predicted_nearly_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """All trials are learnt from by way of a few; with all of them it is the exact process."""
    rng = np.random.default_rng(0)
    inputs = rng.random((400, 3))
    logs = np.sin(4 * inputs[:, 0]) + inputs[:, 1] + rng.normal(0, 0.05, 400)
    ok, ones = np.full(400, "ok"), np.ones(400)
    table, groups = surrogate.Table(inputs, np.exp(logs), ones, ok, np.arange(400), ones), np.arange(3)
    exact = surrogate.Surrogate(table, groups)
    kernel = exact._kernel(inputs, inputs, exact.hyper)
    targets = (logs - logs.mean()) / logs.std()
    mean = kernel @ np.linalg.solve(kernel + np.exp(2 * exact.hyper[2]) * np.eye(400), targets)
    assert np.allclose(np.log(exact.losses(inputs)), logs.mean() + logs.std() * mean, atol=1e-3)
    errors = {}
    for few in (400, 100, 5):
        monkeypatch.setattr(surrogate, "INDUCING", few)
        errors[few] = surrogate.cross_validated(table, groups, exact.hyper)["rmse"]
    assert errors[100] < 1.05 * errors[400] < 1.2 * 0.05 * np.exp(logs).mean() * 1.2 and errors[5] > 1.2 * errors[400]


def test_a_world_is_one_draw_from_what_may_be_smooth_and_as_wide_as_the_error() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.random((120, 3))
    logs = np.sin(4 * inputs[:, 0]) + inputs[:, 1] * inputs[:, 2]
    ones = np.ones(120)
    known = surrogate.Table(inputs, np.exp(logs), ones, np.full(120, "ok"), np.arange(120), ones)
    fitted = surrogate.Surrogate(known, np.arange(3))
    there = np.log(fitted.losses(inputs, drawn=True) / fitted.losses(inputs))
    far = 1.0 + rng.random((120, 3))
    away = np.log(fitted.losses(far, drawn=True) / fitted.losses(far))
    beside = np.log(fitted.losses(far + 1e-3, drawn=True) / fitted.losses(far + 1e-3))
    assert np.abs(there).max() < 0.05 < 0.1 < np.std(away)
    assert np.abs(away - beside).max() < 0.05 * np.std(away)


def test_how_much_a_seed_does_is_taken_from_programs_with_several() -> None:
    rng = np.random.default_rng(0)
    inputs = np.repeat(rng.random((50, 3)), 2, axis=0)
    losses = np.repeat(rng.normal(0, 1.0, 50), 2) + rng.normal(0, 0.5, 100)
    ones = np.ones(100)
    table = surrogate.Table(inputs, losses, ones, np.full(100, "ok"), np.arange(100), ones)
    assert surrogate.by_seed(table, 1.25) == pytest.approx(0.2, abs=0.07)
    assert surrogate.by_seed(table.part(np.arange(0, 100, 2)), 1.25) == 1.0, "not known"


def test_the_table_that_is_kept_belongs_to_the_target() -> None:
    """Its rows are those of its design, its seed program, genes and what they do those of today."""
    header, rows = read_rows(table.FOLDER)
    assert header["program"] == SEED.id
    design = Design(SEED, header["genes"], READER, header["seed"])
    for row in rows[:3]:
        kind, _, genes, params, seed = design.program(row.row)
        assert (row.kind, row.genes, dict(row.knobs), row.seed) == (kind, genes, params, seed)
    changes, _ = read_genes(table.FOLDER)
    assert list(changes) == header["genes"]
    assert {gene: changes[gene] for gene in GENES} == catalogue.changes(SEED, ALONE)
    assert read_surrogate(table.FOLDER)["rows"] == len(rows)


def test_a_method_runs_on_the_table_that_is_kept(tmp_path: Path) -> None:
    runner.run("ours", table.TASK, 1, 120.0, tmp_path)
    trace = read(runner.place_of("ours", table.TASK, 1, tmp_path) / FILE)
    assert len(trace.points) > 4 and trace.points[0].values["seconds_to_target"] == table.TASK.seed["seconds_to_target"]
    assert trace.points[0].values["val_bpb"] == pytest.approx(table.TASK.seed["val_bpb"], rel=0.1)
    assert {c.operator for c in open_history(runner.place_of("ours", table.TASK, 1, tmp_path)).candidates.values()} > {
        "catalogue"
    }


def test_a_folder_without_a_table_or_with_anothers_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="benchmarks.record -o DIR"):
        World(tmp_path, SEED)
    with pytest.raises(ConfigError, match="another seed program"):
        World(folder, ALONE["rotary"])


class Trainer:
    """An executor of two slots. Full trials with the seed `SLOW` wait for `go`, those with `SPOILT` are spoilt."""

    SLOW, SPOILT = 7, 8

    def __init__(self) -> None:
        self.slots = 2
        self.go = threading.Event()
        self._pool = ThreadPoolExecutor(12)
        self.submitted = 0

    def submit(self, trial: Trial) -> Future[Outcome]:
        self.submitted += 1
        return self._pool.submit(self._train, trial)

    def _train(self, trial: Trial) -> Outcome:
        if trial.seed == self.SPOILT:
            return Outcome("infrastructure", reason="drift")
        if trial.seed == self.SLOW and trial.rung == 1.0:
            self.go.wait(20)
        return Outcome("ok", {"val_bpb": 4.0}, seconds=trial.budget)


def programs(seeds: Iterable[int]) -> Iterator[tuple[int, Program]]:
    return ((index, Program("near", SEED, (), {}, seed)) for index, seed in enumerate(seeds))


def recorder(trainer: Trainer) -> record.Recorder:
    return record.Recorder(trainer, 1.0, "cpu", "val_bpb")  # type: ignore[arg-type]


def test_a_row_is_given_out_when_it_ends_and_a_slow_one_keeps_no_other_back() -> None:
    trainer = Trainer()
    rows = recorder(trainer).rows(programs([Trainer.SLOW, 1]), math.inf)
    assert next(rows).row == 1
    trainer.go.set()
    (slow,) = rows
    assert slow.row == 0 and list(slow.rungs) == [f"{rung:g}" for rung in RUNGS]


def test_rows_begin_as_slots_become_free() -> None:
    trainer = Trainer()
    rows = recorder(trainer).rows(programs([1] * 50), math.inf)
    assert next(rows).row < 3 and trainer.submitted <= 3 * len(RUNGS)
    assert len(list(rows)) == 49


def test_no_row_begins_after_the_time_limit() -> None:
    trainer = Trainer()
    assert list(recorder(trainer).rows(programs([1]), time.monotonic() - 1)) == [] and trainer.submitted == 0


def test_a_row_that_the_machine_spoils_is_left_out_and_a_machine_that_spoils_all_ends_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = recorder(Spoiling(first=3)).rows(programs([1] * 9), math.inf)
    assert sorted(row.row for row in rows) == list(range(9))
    with pytest.raises(JudgeError, match="drift"):
        list(recorder(Trainer()).rows(programs([Trainer.SPOILT] * 2), math.inf))
    assert "is left for another time: drift" in capsys.readouterr().out


class Spoiling(Trainer):
    """The `first` trials are spoilt, each of them once."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self._left = first

    def submit(self, trial: Trial) -> Future[Outcome]:
        self._left -= 1
        return super().submit(replace(trial, seed=self.SPOILT) if self._left >= 0 else trial)


def test_parts_are_joined_by_index_and_lines_that_are_no_rows_are_missing(folder: Path, tmp_path: Path) -> None:
    lines = (folder / ROWS).read_text().splitlines(keepends=True)
    (tmp_path / HEADER).write_text((folder / HEADER).read_text())
    (tmp_path / ROWS).write_text(
        "".join([*lines[20:], lines[3][:40] + lines[0], *lines[1:6], lines[30], lines[7][:-9]])
    )
    assert [row.row for row in read_rows(tmp_path)[1]] == [1, 2, 3, 4, 5, *range(20, 40)]


Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command on a target whose judge makes its losses up, and a catalogue of four."""
    target = make_target(tmp_path / "target")
    few = {gene: ALONE[gene] for gene in GENES[:4]}
    monkeypatch.setattr(record, "alone", lambda seed, reader: few)

    def command(*more: str) -> int:
        small = ["--budget", "0.01", "--slots", "1", "--check", "2", "--target", str(target)]
        monkeypatch.setattr(sys, "argv", ["record", "-o", str(tmp_path / "out"), *small, *more])
        return record.main()

    return command


def test_recording_goes_on_where_it_was_cut_off_and_refuses_another_table(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--first", "1", "--rows", "5") == 0
    rows = tmp_path / "out" / ROWS
    whole = rows.read_text()
    assert "cross-validated on 20 trials" in capsys.readouterr().out
    rows.write_text(whole[: len(whole) - 30])
    assert run("--rows", "5") == 0
    assert "2 of 2" in capsys.readouterr().out, "the one that was left out, and the one that was cut"
    assert [row.row for row in read_rows(tmp_path / "out")[1]] == [0, 1, 2, 3, 4]
    assert rows.read_text().startswith(whole[: whole.rindex("{")][:200])
    assert run("--rows", "5", "--seed", "1") == 2
    assert "another table, with other seed" in capsys.readouterr().err
    assert run("--scale", "abacus") == 2


def test_programs_are_made_ahead_in_processes_that_end_with_the_recorder() -> None:
    """Killed without a chance to say so; a maker that went on would keep its end of the pipe open."""
    code = """if __name__ == "__main__":
        import multiprocessing, os, signal
        from benchmarks.recorded.ahead import makers
        from tests.benchmarks.toy_design import ToyDesign
        with makers(ToyDesign(), 16) as make:
            print([program for _, program in make(range(9))], flush=True)
            print(len(multiprocessing.active_children()), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:2] == [str([f"program {n}" for n in range(9)]), "2"]
