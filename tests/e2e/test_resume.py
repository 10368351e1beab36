"""The command `resume`: the settings of a run come from its log."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evolve.cli import main
from evolve.reports.open import open_history
from tests.e2e.conftest import small_run


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores to choose from")
def test_a_resumed_run_keeps_its_slots_unless_told_otherwise(target: Path, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    assert main(small_run(target, directory, "--slots", "1")) == 0
    for more, slots in ([], 1), (["--slots", "2"], 2):
        assert main(["resume", "--run-dir", str(directory), "--generations", "1", *more]) == 0
        assert open_history(directory).harness["slots"] == slots
    assert main(["resume", "--run-dir", str(directory), "--slots", "0"]) == 2
