"""`python -m evolve promote`: what is trained, what is kept, what is said; once with the real judge."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import pytest

from evolve.assemble import read_seed
from evolve.cli import main
from evolve.commands.promote import FIRST_SEED
from evolve.config import load_target
from evolve.promotion import FILE, Promotions
from evolve.reports.open import open_history
from operators.genome import Reader
from tests.e2e.conftest import TARGET, make_target, small_run
from tests.e2e.fake_judge import draw


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder with a target and a run on it, and the id of a child."""
    folder = tmp_path_factory.mktemp("promote")
    make_target(folder / "target")
    (folder / "target" / "level").write_text("U\n")
    assert (
        main(
            small_run(
                folder / "target", folder / "run", "--operator", "catalogue", "--tune-trials", "1", "--generations", "4"
            )
        )
        == 0
    )
    child = next(c.id for c in open_history(folder / "run").candidates.values() if c.index and c.fitness)
    yield folder, child


@pytest.fixture
def place(searched: tuple[Path, str], tmp_path: Path) -> tuple[Path, str]:
    """The same, to be written to."""
    shutil.copytree(searched[0] / "run", tmp_path / "run")
    return tmp_path / "run", searched[1]


def promote(place: tuple[Path, str], capsys: pytest.CaptureFixture[str], *more: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(["promote", *more, place[1], "--run-dir", str(place[0])]) == code
    out, err = capsys.readouterr()
    return str(out if code in (0, 4) else err)


SHORT = ("--budget", "2x", "--seeds", "2")


def test_both_programs_are_trained_at_the_condition_and_nothing_twice(
    place: tuple[Path, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run, child = place
    out = promote(place, capsys, *SHORT, "--scale", "cpu-large", "-o", str(tmp_path / "out"))
    assert "0.08 s, cpu-large, where the run had 0.04 s, cpu" in out and "DEPTH 2 to 4, DIM 64 to 128" in out
    assert "4 of 4 trainings are left" in out and "elapsed" in out
    lines = (run / FILE).read_text().splitlines()
    keys = {(row["id"], row["seed"]) for row in map(json.loads, lines)}
    assert keys == {(name, FIRST_SEED + n) for name in ("0", child) for n in (0, 1)} and len(lines) == 4

    target = load_target(tmp_path.parent / target_of(run))
    text = read_seed(Reader(target.rules_at("cpu-large")), target, "cpu-large").source
    losses = [3.0 - 0.5 * draw(text) + 0.01 * draw(text, FIRST_SEED + n) for n in (0, 1)]
    (found,) = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["programs"][0]["loss"]["mean"] == pytest.approx(fmean(losses)), "the seed program of that scale"
    assert f"{fmean(losses):.4f}" in out and f"{fmean(losses):.4f}" in (tmp_path / "out" / "results.md").read_text()

    assert "0 of 4 trainings are left" in promote(place, capsys, *SHORT, "--scale", "cpu-large")
    more = promote(place, capsys, "--budget", "0.08", "--seeds", "3", "--scale", "cpu-large")
    assert "2 of 6 trainings are left" in more and len((run / FILE).read_text().splitlines()) == 6
    assert "0.08 s, cpu\n" not in promote(place, capsys, *SHORT)
    assert [c.name for c in Promotions(run).conditions] == ["0.08 s, cpu-large", "0.08 s, cpu"]


def target_of(run: Path) -> str:
    return str(open_history(run).header["target"])


def test_without_options_the_best_is_trained_for_four_times_as_long(
    place: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = place
    front = [c.id for c in open_history(run).front if c.index]
    code = main(["promote", "--run-dir", str(run), "--seeds", "1"])
    out, err = capsys.readouterr()
    if front:
        assert code == 0 and f"Promotion of {front[0]} beside" in out and "0.16 s, cpu, where the run had 0.04 s" in out
    else:
        assert code == 2 and "nobody but the seed program is on the front" in err


def test_what_was_found_is_in_show_and_home_can_be_measured_again(
    place: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    run, child = place
    assert "which flatters it" in promote(place, capsys, *SHORT)
    assert main(["show", child, "--run-dir", str(run)]) == 0
    assert "promoted: 0.08 s, cpu: " in capsys.readouterr().out
    out = promote(place, capsys, "--budget", "1x", "--seeds", "2")
    assert "measured again at 0.04 s, cpu on 2 fresh seeds" in out and "0.04 s, cpu: home, on fresh seeds" in out


def test_a_time_limit_ends_a_command_and_the_same_goes_on(
    place: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = promote(place, capsys, *SHORT, "--time-limit", "1", code=4)
    assert "the same command goes on" in out and not Promotions(place[0]).trainings
    assert "elapsed" in promote(place, capsys, *SHORT) and len(Promotions(place[0]).trainings) == 4


def test_a_candidate_that_fails_there_is_not_trained_further(
    place: tuple[Path, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run, child = place
    history = open_history(run)
    seed, program = (history.candidates[name].genome.source for name in ("0", child))
    (line, *_) = [part.strip() for part in program.splitlines() if part.strip() and part not in seed]
    target = make_target(tmp_path / "fails")
    judge = (target / "judge.py").read_text()
    (target / "judge.py").write_text(judge.replace('"CRASH" in source', f"{line!r} in source"))
    out = promote(place, capsys, *SHORT, "--slots", "1", "--target", str(target))
    rows = [(t.id, t.status) for t in Promotions(run).trainings]
    assert rows == [("0", "ok"), (child, "crashed"), ("0", "ok")]
    assert f"no result: crashed with seed {FIRST_SEED}, RuntimeError: CRASH" in out
    assert "0 of 4 trainings are left" in promote(place, capsys, *SHORT, "--target", str(target))
    assert len(Promotions(run).trainings) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scale", "moon"], "unknown scale 'moon': target has cpu, gpu, cpu-large, gpu-large"),
        (["--budget", "fourfold"], "--budget fourfold: write seconds, or times the run's budget such as 4x"),
        (["--budget", "0x"], "--budget must be a number of seconds above 0"),
        (["--seeds", "0"], "--seeds must be at least 1"),
        (["--time-limit", "0"], "--time-limit must be a number of seconds above 0"),
        (["--slots", "0"], "--slots must be between 1 and"),
        (["seed"], "the seed program is trained anyway"),
        (["999"], "no candidate '999'"),
        (["--target", "nowhere"], "nowhere has no target.toml"),
    ],
)
def test_bad_usage(
    searched: tuple[Path, str], capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    folder, child = searched
    err = promote((folder / "run", child), capsys, *arguments, code=2)
    assert said in err and len(err.strip().splitlines()) == 1


@pytest.mark.slow
def test_the_real_judge_trains_a_larger_model(
    place: tuple[Path, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run, child = place
    real = shutil.copytree(TARGET, tmp_path / "real", ignore=shutil.ignore_patterns("cache", "__pycache__"))
    (real / "target.toml").write_text(
        (real / "target.toml").read_text().replace("eval_tokens = 65536\n", "eval_tokens = 4096\n")
    )
    more = ("--budget", "2", "--seeds", "1", "--slots", "1", "--scale", "cpu-large", "--target", str(real))
    out = promote(place, capsys, *more, "--unsafe-no-sandbox")
    found = {t.id: t for t in Promotions(run).trainings}
    assert [(t.id, t.status, t.reason) for t in found.values() if t.status != "ok"] == []
    assert found["0"].metrics["parameters"] > 800_000 and 3 < found["0"].metrics["val_bpb"] < 9
    assert found.keys() == {"0", child} and "842,496" in out
    assert "the text is another one" in out and "not resolved: one seed gives no interval" in out
