"""The recorded table: programs as genes and back, its rows, the surrogate, and the command that records it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import pytest

from benchmarks import record
from benchmarks.comparison.virtual import VirtualExecutor
from benchmarks.recorded import genes as catalogue
from benchmarks.recorded.rows import HEADER, KINDS, ROWS, RUNGS, Design, Measured, Row, line_of, read_rows
from benchmarks.recorded.units import from_unit, unit
from benchmarks.recorded.world import World
from benchmarks.tasks import table
from evolve import plugins
from evolve.assemble import read_seed
from evolve.config import ConfigError, load_target
from evolve.model import Genome, Knob, Trial
from tests.e2e.conftest import TARGET, make_target

DESCRIBED = load_target(TARGET)
READER = plugins.load(plugins.READER)(DESCRIBED.rules_at("cpu"))
SEED = read_seed(READER, DESCRIBED, "cpu")
GENES = ("cooldown_linear", "muon", "rotary", "swiglu", "untie_head")
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
    with (made / ROWS).open("w") as file:
        for index in range(40):
            kind, _, genes, params, seed = design.program(index)
            rungs = {f"{rung:g}": measured(genes, dict(params), rung, noise) for rung in RUNGS}
            file.write(line_of(Row(index, kind, genes, params, seed, rungs)))
    return made


@pytest.fixture(scope="module")
def world(folder: Path) -> World:
    return World(folder, SEED, READER)


@pytest.mark.parametrize("knob", SEED.knobs, ids=lambda knob: knob.address)
def test_a_number_goes_to_its_place_and_back(knob: Knob) -> None:
    assert [from_unit(knob, at) for at in (0.0, 1.0)] == [knob.low, knob.high]
    for at in (0.1, 0.37, 0.5, 0.93):
        value = from_unit(knob, at)
        assert knob.low <= value <= knob.high and (knob.kind != "choice" or value in knob.values)
        assert abs(unit(knob, value) - at) < (0.01 if knob.kind == "float" else 0.3)


def test_genes_are_read_from_programs_that_were_made_in_any_order() -> None:
    exact, overlap = catalogue.agreement(SEED, GENES, READER, 6, most=3)
    assert exact >= 0.8 and overlap >= 0.9
    decoder = catalogue.Decoder(SEED, GENES, READER)
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
    kind, genome, genes, params, _ = programs[0]
    assert genes == GENES[:1] and params == {k.address: k.default for k in genome.knobs}
    for _, genome, _, params, _ in programs:
        READER.bind(genome, params)  # raises for a number that is not allowed


def test_space_filling_rows_cover_each_number_evenly() -> None:
    design = Design(SEED, GENES, READER, 0)
    rate = next(k for k in SEED.knobs if k.address == "LEARNING_RATE")
    places = [unit(rate, design.program(1 + 4 * turn)[3]["LEARNING_RATE"]) for turn in range(16)]
    assert sorted(int(16 * place) for place in places) == list(range(16)), "one in each sixteenth"


def test_a_recorded_trial_is_given_back_and_another_budget_is_charged_in_proportion(world: World) -> None:
    row = world.rows[0]
    genome = Design(SEED, GENES, READER, 0).program(0)[1]
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
    found = world.assess(programs=2)
    assert json.loads((folder / "surrogate.json").read_text()) == found
    cross = found["cross_validation"]
    assert cross["trials"] == 200 and cross["rmse"] < 0.3 * cross["standard_deviation"]
    assert cross["spearman"]["1"] > 0.9
    assert cross["successes_mistaken"] < 0.2
    again = World(folder, SEED, READER)
    assert np.allclose(again.surrogate.hyper, world.surrogate.hyper, atol=1e-4), "not learnt anew"


def test_trials_end_in_virtual_time(world: World) -> None:
    executor = VirtualExecutor(world.judge, slots=2)
    trials = [Trial(SEED, {"LEARNING_RATE": rate}, 2.0, 1.0, "cpu", 5, "tune") for rate in (1e-3, 2e-3, 3e-3)]
    assert [executor.submit(t).result().status for t in trials] == ["ok"] * 3
    assert executor.charged == pytest.approx(6.0, rel=0.05)


def test_the_table_that_is_kept_belongs_to_the_target() -> None:
    """Its rows are those of its design, its seed program and genes those of today."""
    header, rows = read_rows(table.FOLDER)
    assert header["program"] == SEED.id
    design = Design(SEED, header["genes"], READER, header["seed"])
    for row in rows[:3]:
        kind, _, genes, params, seed = design.program(row.row)
        assert (row.kind, row.genes, dict(row.knobs), row.seed) == (kind, genes, params, seed)
    assert json.loads((table.FOLDER / "surrogate.json").read_text())["rows"] == len(rows)


def test_a_folder_without_a_table_or_with_anothers_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="benchmarks.record -o DIR"):
        World(tmp_path, SEED, READER)
    other, _ = catalogue.build(SEED, ["rotary"], READER)
    with pytest.raises(ConfigError, match="another seed program"):
        World(folder, other, READER)


Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command on a target whose judge makes its losses up, and a catalogue of four."""
    target = make_target(tmp_path / "target")
    monkeypatch.setattr(record, "names", lambda seed, reader: GENES[:4])

    def command(*more: str) -> int:
        small = ["--budget", "0.01", "--slots", "1", "--check", "2", "--target", str(target)]
        monkeypatch.setattr(sys, "argv", ["record", "-o", str(tmp_path / "out"), *small, *more])
        return record.main()

    return command


def test_recording_goes_on_where_it_was_cut_off(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--rows", "4") == 0
    rows = tmp_path / "out" / ROWS
    whole = rows.read_text()
    assert "cross-validated on 20 trials" in capsys.readouterr().out
    rows.write_text(whole[: len(whole) - 30])
    assert run("--rows", "5") == 0
    assert "4 of 5" in (said := capsys.readouterr().out) and "3 of 5" not in said
    assert [row.row for row in read_rows(tmp_path / "out")[1]] == [0, 1, 2, 3, 4]
    assert rows.read_text().startswith(whole[: whole.rindex("{")][:200])


def test_another_table_in_the_folder_is_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--rows", "4") == 0
    assert run("--rows", "4", "--seed", "1") == 2
    assert "another table, with other seed" in capsys.readouterr().err
    assert run("--scale", "abacus") == 2
