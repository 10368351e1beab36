"""Trials side by side: the table, and a real measurement of seconds on two cores."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import scaling


def row(slots: int, wall: float, speeds: list[float]) -> dict[str, object]:
    trained = {seed: {"tokens_per_second": speed, "val_bpb": 2.0} for seed, speed in enumerate(speeds)}
    return {"slots": slots, "wall": wall, "trained": trained, "machine": {}}


def test_time_and_speed_are_those_of_the_first_number_of_slots() -> None:
    options = Namespace(scale="gpu", budget=10.0, trials=2, slots="1,2")
    said = scaling.report(options, [row(1, 80.0, [1000.0, 2000.0]), row(2, 42.0, [990.0, 1980.0])])
    assert "| 2 | 2 | 42.0 | 52.5% | 1,485 ± 495 | 99.00 ± 0.00 % | 2.0000 ± 0.0000 |" in said


@pytest.mark.slow
def test_both_numbers_of_slots_run_the_same_trainings(tmp_path: Path) -> None:
    assert scaling.main(["-o", str(tmp_path), "--scale", "cpu", "--budget", "0.5", "--trials", "2"]) == 0
    one, two = json.loads((tmp_path / "results.json").read_text())
    assert one["slots"] == 1 and two["slots"] == 2 and one["trained"].keys() == two["trained"].keys()


def test_bad_numbers_of_slots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        scaling.main(["-o", str(tmp_path), "--slots", "one"])
    assert "write numbers with commas" in capsys.readouterr().err
    assert scaling.main(["-o", str(tmp_path), "--scale", "cpu", "--slots", "4000"]) == 2
