"""The script as a user runs it, without an engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.target.conftest import TARGET


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


@pytest.mark.parametrize(
    ("name", "value"), [("BUDGET", "0"), ("BUDGET", "nan"), ("BUDGET", "-1"), ("BUDGET", "two"), ("SEED", "-1")]
)
def test_unusable_numbers_are_told(cache: Path, tmp_path: Path, name: str, value: str) -> None:
    environment = {"EVOLVE_CACHE": str(cache), f"EVOLVE_{name}": value}
    run = python(str(TARGET / "train.py"), cwd=tmp_path, **environment)
    assert run.returncode == 1 and f"argument --{name.lower()}: " in run.stderr, run.stderr
    assert "the judge has gone away; its last words are on standard error" in run.stderr


def test_unusable_data_ends_with_cause_and_cure(tmp_path: Path) -> None:
    run = python(str(TARGET / "train.py"), cwd=tmp_path, EVOLVE_DATA=str(tmp_path), EVOLVE_CACHE=str(tmp_path / "c"))
    assert run.returncode == 1 and "no .txt, .jsonl or .parquet file below" in run.stderr
