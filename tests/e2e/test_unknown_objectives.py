"""A judge that does not tell an objective, or tells what is no number: `audit` and `doctor` say so as a run does."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolve.cli import main
from evolve.reports import doctor as module
from tests.e2e.conftest import change

METRICS = 'metrics = {"val_bpb": loss, "tokens_per_second": 1000.0}'
TIME, SPEED = '[[objectives]]\nname = "seconds_to_target"', '[[objectives]]\nname = "tokens_per_minute"'
MISSING = "not a score: no {}, an objective in target.toml; the metrics of its judge are {}tokens_per_second, val_bpb"
FAULTS = [
    ("target.toml", 'name = "val_bpb"', 'name = "val_bpd"', MISSING.format("val_bpd", "{}")),
    ("target.toml", TIME, f'{SPEED}\ndirection = "maximize"\n{TIME}', MISSING.format("tokens_per_minute", "{}")),
    ("judge.py", METRICS, METRICS.replace("loss", 'float("nan")'), "not a score: val_bpb = nan"),
    ("judge.py", METRICS, METRICS.replace("1000.0", 'float("inf")'), "not a score: tokens_per_second = inf"),
]
faults = pytest.mark.parametrize(("file", "old", "new", "said"), FAULTS, ids=["loss", "second", "nan", "inf"])


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge here sleeps what it is given."""
    monkeypatch.setattr(module, "SECONDS", 0.05)
    monkeypatch.setattr(module, "LONGER", 0.1)


def doctor(target: Path, capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code of the doctor and its last line, which is about a training of the seed program."""
    code = main(["doctor", "--target", str(target)])
    return code, " ".join(capfd.readouterr().out.partition(" a trial of the seed: ")[2].split())


@faults
def test_the_audit_finds_no_score(
    target: Path, capfd: pytest.CaptureFixture[str], file: str, old: str, new: str, said: str
) -> None:
    change(target / file, old, new)
    command = ["audit", str(target / "train.py"), "--target", str(target), "--budget", "0.05", "--seeds", "2"]
    assert main(command) == 1
    last = capfd.readouterr().out.splitlines()[-1]
    assert last == f"not sound: no score in 2 of 2 trainings: invalid, {said.format('test_bpb, ')}"


@faults
def test_the_doctor_says_no(
    target: Path, capfd: pytest.CaptureFixture[str], file: str, old: str, new: str, said: str
) -> None:
    change(target / file, old, new)
    assert doctor(target, capfd) == (1, f"invalid {said.format('')}")


def test_the_names_of_many_metrics_are_told_to_the_last(target: Path, capfd: pytest.CaptureFixture[str]) -> None:
    change(target / "target.toml", 'name = "val_bpb"', 'name = "val_bpd"')
    more = METRICS.replace("{", '{f"share_of_kind_{n}": 0.1 for n in range(10, 30)} | {')
    change(target / "judge.py", METRICS, more)
    command = ["audit", str(target / "train.py"), "--target", str(target), "--budget", "0.05", "--seeds", "1"]
    assert main(command) == 1
    assert capfd.readouterr().out.splitlines()[-1].endswith("tokens_per_second, val_bpb")


@pytest.mark.parametrize(
    "told",
    [
        f'{METRICS} if request["purpose"] != "smoke" else {{}}',
        f'{METRICS} if request["budget"] > 0.07 else {{"tokens_per_second": 1000.0}}',
    ],
    ids=["no metric", "too short"],
)
def test_where_a_smoke_test_does_not_tell_an_objective_a_longer_training_decides(
    target: Path, capfd: pytest.CaptureFixture[str], told: str
) -> None:
    change(target / "judge.py", METRICS, told)
    assert doctor(target, capfd) == (0, "ok")
    change(target / "target.toml", 'name = "val_bpb"', 'name = "val_bpd"')
    assert doctor(target, capfd) == (1, f"invalid {MISSING.format('val_bpd', '')}")


def test_the_doctor_asks_for_no_objective_that_the_engine_makes(
    target: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "seconds_to_target" in (target / "target.toml").read_text()
    assert doctor(target, capfd) == (0, "ok")
