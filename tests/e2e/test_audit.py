"""`python -m evolve audit` as a process: the verdict on a file, its table, its exit code; runs without isolation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evolve.cli import main
from evolve.reports.open import open_history
from tests.e2e.conftest import TARGET, Start, small_run

PLAIN = "import torch\n\nprint(torch.zeros(1))\n"


def audit(start: Start, target: Path, file: Path, *more: str, patience: float = 120) -> tuple[int, str, str]:
    process = start("evolve", "audit", file, "--target", target, "--budget", "0.05", *more)
    out, err = process.communicate(timeout=patience)
    return process.returncode, out, err


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text)
    return path


def test_a_sound_script_is_said_to_be_with_its_scores_beside_others(start: Start, target: Path, tmp_path: Path) -> None:
    code, out, err = audit(start, target, written(tmp_path, PLAIN), "--seeds", "2")
    assert code == 0, err
    last = out.strip().splitlines()[-1]
    assert last.startswith("sound: 2 checks in 2 trainings found nothing; val_bpb ") and last.endswith(" (2)")
    assert "ok in 2 of 2: 0 nats" in out and "N: made up" in out and "ok in 2 of 2: came to the end" in out
    assert "2 trainings and 2 of the seed program, 0.05 charged seconds each" in out and "come on top" in out
    assert "5.2500" in out and "5.5000" in out and "unigram" in out, "count models"
    (row,) = [line for line in out.splitlines() if "test text" in line]
    assert row.count("(2)") == 2, "the seed program was trained as often"
    assert "remark" in out and "'evaluate_bpb' is never called" in out, "other rules are no verdict"
    times = re.findall(r"^  (?:training|seed program) \d of 2: ok, .* \(0:00:0\d elapsed(.*)\)$", out, re.M)
    assert len(times) == 4 and times[-1] == "", "progress"
    assert all(re.fullmatch(r", (about 0:00:\d\d left|the last under way)", left) for left in times[:-1])


def test_a_proven_violation_is_not_sound(start: Start, target: Path, tmp_path: Path) -> None:
    code, out, _ = audit(start, target, written(tmp_path, PLAIN + "# CHEAT\n"))
    assert code == 1
    assert out.strip().splitlines()[-1] == "not sound: causality in 3 of 3 trainings: changed by 2 nats"
    assert (
        "failed in 3 of 3: 2 nats" in out
        and "invalid in 3 of 3: causality: changed by 2 nats" in out
        and "ok in 3 of 3: same" in out
    )


def test_elsewhere_the_target_beside_the_engine_is_taken(start: Start, tmp_path: Path) -> None:
    process = start("evolve", "audit", written(tmp_path, PLAIN), "--scale", "moon")
    assert "unknown scale 'moon': train_target has" in process.communicate(timeout=60)[1]


def test_a_target_that_is_not_there_is_named_with_the_option(start: Start, tmp_path: Path) -> None:
    code, _, err = audit(start, tmp_path / "nowhere", written(tmp_path, PLAIN))
    assert code == 2 and "nowhere has no target.toml" in err and "--target" in err


def test_a_script_that_crashes_is_not_sound(start: Start, target: Path, tmp_path: Path) -> None:
    code, out, _ = audit(start, target, written(tmp_path, PLAIN + "# CRASH\n"), "--seeds", "1")
    assert code == 1
    assert out.strip().splitlines()[-1] == (
        "not sound: no score in 1 of 1 training: crashed, RuntimeError: CRASH, in line 3 of train.py"
    )


@pytest.mark.parametrize(
    ("content", "more", "said"),
    [
        (None, (), "cannot read .*mine.py: No such file"),
        (b"x = '\xff'\n", (), "mine.py is not UTF-8 text .*save it as UTF-8"),
        (b"pass\n", ("--seeds", "0"), "--seeds must be at least 1"),
        (b"pass\n", ("--budget", "-1"), "--budget must be a number of seconds above 0"),
        (b"pass\n", ("--scale", "moon"), "unknown scale 'moon'"),
    ],
)
def test_bad_usage(
    start: Start, target: Path, tmp_path: Path, content: bytes | None, more: tuple[str, ...], said: str
) -> None:
    if content is not None:
        (tmp_path / "mine.py").write_bytes(content)
    code, out, err = audit(start, target, tmp_path / "mine.py", *more)
    assert code == 2 and out == ""
    (line,) = err.strip().splitlines()
    assert re.search(said, line)


@pytest.mark.slow
def test_a_run_without_isolation_says_so_everywhere_and_may_not_lose_it_silently(
    start: Start, target: Path, tmp_path: Path
) -> None:
    def said(*arguments: str | Path, code: int = 0) -> str:
        process = start("evolve", *arguments)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, err
        return str(out + err)

    begun = small_run(target, tmp_path / "run")
    assert "without isolation" not in said(*begun)
    (target / "level").write_text("L\n")
    more = ["--generations", "2", *begun[2:]]
    refused = said(*more, code=2)
    assert "began at isolation level N, and here there is only L (L: made up)" in refused
    (target / "level").write_text("none\n")
    assert "measured without isolation" in said(*more, "--unsafe-no-sandbox").lower()
    place = ["--run-dir", tmp_path / "run"]
    for command in (["front"], ["show", "seed"], ["proposals"]):
        assert "Measured without isolation (--unsafe-no-sandbox)" in said(*command, *place)
    assert said("export", "seed", *place).startswith("# measured without isolation\n")


def test_a_run_that_went_on_with_less_isolation_says_so_everywhere(
    target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*arguments: str | Path, code: int = 0) -> str:
        assert main([str(a) for a in (*arguments, *place)]) == code
        return " ".join(capsys.readouterr()).lower()

    place = ["--run-dir", tmp_path / "run"]
    assert "in part" not in said(*small_run(target, tmp_path / "run")[:-2])
    more, less = ("resume", "--generations", "2"), "measured in part at isolation level l, begun at n"
    (target / "level").write_text("L\n")
    said(*more, code=2)
    assert less in said(*more, "--unsafe-no-sandbox")
    (target / "level").unlink()
    child = next(c.id for c in open_history(tmp_path / "run").candidates.values() if c.edits)
    for command in (["front"], ["show", "seed"], ["proposals"], ["diff", "seed", child], [*more[:-1], "3"]):
        assert less in said(*command)
    assert said("export", "seed").startswith(f"# {less}\n")
    assert less in (tmp_path / "run" / "journal.md").read_text().lower()
    assert "leave out --isolation l" in said(*more, "--isolation", "L", code=2)


def test_a_run_that_began_with_less_isolation_goes_on_with_the_best_there_is(target: Path, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    assert main(small_run(target, directory, "--isolation", "U")) == 0
    for more, level in (["--isolation", "L"], "L"), ([], "N"):
        assert main(["resume", "--run-dir", str(directory), "--generations", "1", *more]) == 0
        assert open_history(directory).harness["level"] == level
    assert open_history(directory).began["level"] == "U" and not open_history(directory).weakness


@pytest.mark.slow
def test_the_real_judge_finds_the_seed_program_sound_and_a_leak_not(start: Start, tmp_path: Path) -> None:
    seed = (TARGET / "train.py").read_text()
    code, out, err = audit(start, TARGET, written(tmp_path, seed), "--budget", "1", patience=900)
    assert code == 0, out + err
    leak = seed.replace("is_causal=True", "is_causal=False")
    assert leak != seed
    code, out, err = audit(start, TARGET, written(tmp_path, leak), "--budget", "1", patience=900)
    assert code == 1 and "not sound: causality" in out, out + err
