"""The script as a user runs it, without an engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import baselines
import corpus
from clock import WallClock
from counts import bits_per_byte
from documents import DataError
from session import Session, Terms
from tests.target.conftest import TARGET
from texts import Scale, Texts


def python(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        cwd=cwd,
        text=True,
        capture_output=True,
        timeout=120,
    )


def test_seed_script_prints_its_loss(cache: Path, tmp_path: Path) -> None:
    run = python(str(TARGET / "train.py"), cwd=tmp_path, EVOLVE_BUDGET="0.3", EVOLVE_CACHE=str(cache))
    assert run.returncode == 0, run.stderr
    last = run.stdout.splitlines()[-1]
    assert last.startswith("val_bpb ") and "after 0.3 s" in last
    assert 4.0 < float(last.split()[1]) < 9.0


def test_prepare_makes_the_data(cache: Path, tmp_path: Path) -> None:
    run = python(str(TARGET / "prepare.py"), "--cache", str(cache), cwd=tmp_path)
    assert run.returncode == 0 and "ready: " in run.stderr, run.stderr


@pytest.mark.slow
def test_counts_are_of_the_rows_that_a_report_scores(cache: Path, tmp_path: Path) -> None:
    run = python(str(TARGET / "judge.py"), "--counts", "--scale=cpu", f"--cache={cache}", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    scale = Scale.read("cpu")
    texts = Texts(corpus.load(cache, None, print), scale, print)
    rows = Session(scale, texts, WallClock(), Terms(1.0, 1.0, 0, "report"))._rows()
    assert list(found) == list(rows) == ["val", "test", "second"]
    expected = bits_per_byte(texts.corpus.text("train"), rows["second"])
    assert found["second"] == {name: round(loss, 4) for name, loss in expected.items()}
    assert found["val"] == baselines.load(texts, scale, print)


def test_tokens_that_are_not_bytes_have_no_counts(tmp_path: Path) -> None:
    run = python(str(TARGET / "judge.py"), "--counts", "--scale=gpu", f"--cache={tmp_path}", cwd=tmp_path)
    assert run.returncode == 0 and json.loads(run.stdout) == {}, run.stderr


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_keys_of_a_scale_that_nothing_reads_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert Scale.read(name).name == name
    toml = (TARGET / "target.toml").read_text()
    wrong = toml.replace(f"[scales.{name}]\n", f'[scales.{name}]\nslots = "cores"\nname = "x"\n')
    (tmp_path / "target.toml").write_text(wrong)
    monkeypatch.setattr("texts.FOLDER", tmp_path)
    with pytest.raises(DataError, match=rf"\[scales.{name}\] .* smoke_seconds, not name, slots"):
        Scale.read(name)


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_an_unknown_clock_of_a_scale_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    clock = Scale.read(name).clock
    head, header, scale = (TARGET / "target.toml").read_text().partition(f"[scales.{name}]\n")
    (tmp_path / "target.toml").write_text(head + header + scale.replace(f'clock = "{clock}"', 'clock = "cpus"', 1))
    monkeypatch.setattr("texts.FOLDER", tmp_path)
    with pytest.raises(DataError) as told:
        Scale.read(name)
    assert str(told.value) == f"""[scales.{name}] clock is "cpu" or "wall", not 'cpus'"""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BUDGET", "nan"),
        ("SEED", "-1"),
        *(pytest.param("BUDGET", value, marks=pytest.mark.slow) for value in ("0", "-1", "two")),
    ],
)
def test_unusable_numbers_are_told(cache: Path, tmp_path: Path, name: str, value: str) -> None:
    environment = {"EVOLVE_CACHE": str(cache), f"EVOLVE_{name}": value}
    run = python(str(TARGET / "train.py"), cwd=tmp_path, **environment)
    assert run.returncode == 1 and f"argument --{name.lower()}: " in run.stderr, run.stderr
    assert "the judge has gone away; its last words are on standard error" in run.stderr


def test_unusable_data_ends_with_cause_and_cure(tmp_path: Path) -> None:
    run = python(str(TARGET / "train.py"), cwd=tmp_path, EVOLVE_DATA=str(tmp_path), EVOLVE_CACHE=str(tmp_path / "c"))
    assert run.returncode == 1 and "no .txt, .jsonl or .parquet file below" in run.stderr


def test_a_failure_in_the_evaluation_returns_to_the_script_once(cache: Path, tmp_path: Path) -> None:
    """The copy of the process that answers first neither goes on with the script nor prints what was waiting."""
    script = """
import sys
from prepare import Tokenizer, evaluate_bpb
import torch
class Model(torch.nn.Embedding):
    def forward(self, x):
        raise KeyError("any")
print("before")
try:
    evaluate_bpb(Model(256, 256), Tokenizer.from_directory(), 8)
except KeyError:
    print("caught")
finally:
    print("after")
"""
    (tmp_path / "script.py").write_text(script)
    environment = {"EVOLVE_CACHE": str(cache), "EVOLVE_BUDGET": "0.3", "PYTHONPATH": str(TARGET)}
    run = python("script.py", cwd=tmp_path, **environment)
    assert (run.returncode, run.stdout.split()) == (0, ["before", "caught", "after"]), run.stderr


@pytest.mark.slow
def test_a_model_that_sees_the_future_is_refused_by_hand(cache: Path, tmp_path: Path) -> None:
    script = """
from prepare import Tokenizer, evaluate_bpb
import torch
class Model(torch.nn.Embedding):
    def forward(self, x):
        return super().forward(x.roll(-1, 1))
evaluate_bpb(Model(256, 256), Tokenizer.from_directory(), 8)
"""
    (tmp_path / "script.py").write_text(script)
    run = python("script.py", cwd=tmp_path, EVOLVE_CACHE=str(cache), EVOLVE_BUDGET="0.3", PYTHONPATH=str(TARGET))
    assert run.returncode == 1 and "ValueError: causality: losses at positions" in run.stderr
