"""The selection of the engine on problems whose front is known, beside other implementations."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from benchmarks import calibrate
from benchmarks.calibration import zdt


@pytest.mark.parametrize("name", list(zdt.PROBLEMS))
def test_a_problem_has_the_front_of_its_paper(name: str) -> None:
    """Values from the definitions: on the front g is 1; with all others at 1, g is 10."""
    at = [0.25, *[0.0] * 29]
    assert zdt.PROBLEMS[name](at) == (0.25, pytest.approx({"zdt1": 0.5, "zdt2": 0.9375, "zdt3": 0.25}[name]))
    assert zdt.PROBLEMS[name]([0.0, *[1.0] * 29]) == (0.0, pytest.approx(10.0))


def test_hypervolume_of_a_known_front() -> None:
    """Of f2 = 1 - sqrt(f1) up to (1.1, 10): 11 less the area under the front, 1/3."""
    assert calibrate.volume(zdt.ideal_front("zdt1")) == pytest.approx(11 - 1 / 3, abs=1e-3)


def test_our_selection_equals_the_generational_one_of_deap_and_a_child_at_a_time_is_not_behind() -> None:
    found = calibrate.measure(("ours", "steady", "deap"), range(3), 20, 300)
    for name, by in found.items():
        _, low, high, _ = calibrate.compare(by["ours"], by["deap"])
        assert low > -0.1 and high < 0.1, name
        assert calibrate.compare(by["steady"], by["deap"])[3] != "behind", name
        assert all(0.5 < volume < 1.0 for volumes in by.values() for volume in volumes)


def test_every_method_evaluates_as_often_as_it_may_and_again_the_same() -> None:
    for method in ("ours", "steady", "deap", "optuna"):
        runs = [zdt.METHODS[method](zdt.zdt1, 8, 44, seed) for seed in (1, 1, 2)]
        assert [len(points) for points in runs] == [44] * 3, method
        assert runs[0] == runs[1] != runs[2], method


def test_a_difference_is_equal_ahead_behind_or_cannot_be_told() -> None:
    near, above, wide = [0.900, 0.901, 0.902], [0.950, 0.951, 0.952], [0.80, 0.95, 1.0]
    verdicts = [calibrate.compare(*pair)[3] for pair in ((near, near), (above, near), (near, above), (wide, near))]
    assert verdicts == ["equal", "ahead", "behind", "cannot be told"]


def test_the_command_writes_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = ["--seeds", "2", "--evaluations", "24", "--population", "8", "--without", "pymoo"]
    monkeypatch.setattr(sys, "argv", ["calibrate", "-o", str(tmp_path / "out"), *small])
    assert calibrate.main() == 0
    table = (tmp_path / "out" / "zdt.md").read_text()
    assert table.count("| zdt2 |") == 4 and "Left out: pymoo." in table


@pytest.mark.skipif(importlib.util.find_spec("pymoo") is not None, reason="pymoo is here")
def test_without_pymoo_the_command_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--seeds", "2", "--evaluations", "8", "--population", "8"]
    monkeypatch.setattr(sys, "argv", ["calibrate", "-o", str(tmp_path), *small])
    assert calibrate.main() == 2
    assert "pip install -c constraints.txt 'pymoo>=0.6.2'" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("pymoo") is None, reason="needs pymoo")
def test_pymoo_evaluates_as_often_as_the_others() -> None:
    assert len(zdt.by_pymoo(zdt.zdt1, 8, 44, 1)) == 44
