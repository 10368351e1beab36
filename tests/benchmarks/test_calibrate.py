"""The selection of the engine on problems whose front is known, beside other implementations."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import calibrate
from benchmarks.calibration import equivalence, regrets, zdt
from benchmarks.comparison import runner
from benchmarks.comparison.anytime import loss_steps
from benchmarks.comparison.trace import FILE, read
from benchmarks.tasks.synthetic import SEED, TASK, regret


@pytest.mark.parametrize("name", list(zdt.PROBLEMS))
def test_a_problem_has_the_front_of_its_paper(name: str) -> None:
    """Values from the definitions: on the front g is 1; with all others at 1, g is 10."""
    at = [0.25, *[0.0] * 29]
    assert zdt.PROBLEMS[name](at) == (0.25, pytest.approx({"zdt1": 0.5, "zdt2": 0.9375, "zdt3": 0.25}[name]))
    assert zdt.PROBLEMS[name]([0.0, *[1.0] * 29]) == (0.0, pytest.approx(10.0))


def test_hypervolume_of_a_known_front() -> None:
    """Of f2 = 1 - sqrt(f1) up to (1.1, 10): 11 less the area under the front, 1/3."""
    assert equivalence.volume(zdt.ideal_front("zdt1")) == pytest.approx(11 - 1 / 3, abs=1e-3)


def test_each_member_has_two_tournaments_so_the_best_is_a_parent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """With replacement it would be so on average only, and the population drift."""
    mated: list[float] = []

    class Recorded(zdt.Variation):
        def children(self, mother: list[float], father: list[float]) -> tuple[list[float], list[float]]:
            mated.extend((mother[0], father[0]))
            return super().children(mother, father)

    monkeypatch.setattr(zdt, "Variation", Recorded)
    points = zdt.ours(zdt.zdt1, 16, 32, 1)
    starts = [f1 for f1, _ in points[:16]]
    extreme = min(starts)  # in the front, and infinitely far from others: only the other extreme is as good
    assert len(mated) == 16 and 1 <= mated.count(extreme) <= 2
    assert all(mated.count(f1) <= 2 for f1 in starts)


def test_our_selection_equals_the_generational_one_of_deap_and_a_child_at_a_time_is_not_behind() -> None:
    found = equivalence.measure(("ours", "steady", "deap"), range(3), 20, 300)
    for name, by in found.items():
        found_ours = equivalence.compare(by["ours"], by["deap"])
        assert found_ours.low > -0.1 and found_ours.high < 0.1, name
        assert equivalence.compare(by["steady"], by["deap"]).verdict != "behind", name
        assert all(0.5 < volume < 1.0 for volumes in by.values() for volume in volumes)


def test_every_method_evaluates_as_often_as_it_may_and_again_the_same() -> None:
    for method in ("ours", "steady", "deap", "optuna"):
        runs = [zdt.METHODS[method](zdt.zdt1, 8, 44, seed) for seed in (1, 1, 2)]
        assert [len(points) for points in runs] == [44] * 3, method
        assert runs[0] == runs[1] != runs[2], method


def test_a_difference_is_equal_ahead_behind_or_cannot_be_told() -> None:
    near, above, wide = [0.900, 0.901, 0.902], [0.950, 0.951, 0.952], [0.80, 0.95, 1.0]
    verdicts = [
        equivalence.compare(*pair).verdict for pair in ((near, near), (above, near), (near, above), (wide, near))
    ]
    assert verdicts == ["equal", "ahead", "behind", "cannot be told"]


def test_the_command_writes_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = ["zdt", "--jobs", "1", "--seeds", "2", "--evaluations", "24", "--population", "8", "--without", "pymoo"]
    small += ["--without", "pymoo_default"]
    monkeypatch.setattr(sys, "argv", ["calibrate", *small, "-o", str(tmp_path / "out")])
    assert calibrate.main() == 0
    table = (tmp_path / "out" / "zdt.md").read_text()
    assert table.count("| zdt2 |") == 4 and "Left out: pymoo, pymoo_default." in table


@pytest.mark.skipif(importlib.util.find_spec("pymoo") is not None, reason="pymoo is here")
def test_without_pymoo_the_command_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["zdt", "--jobs", "1", "--seeds", "2", "--evaluations", "8", "--population", "8"]
    monkeypatch.setattr(sys, "argv", ["calibrate", *small, "-o", str(tmp_path)])
    assert calibrate.main() == 2
    assert "pip install -c constraints.txt 'pymoo>=0.6.2'" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("pymoo") is None, reason="needs pymoo")
def test_pymoo_evaluates_as_often_as_the_others() -> None:
    assert len(zdt.by_pymoo(zdt.zdt1, 8, 44, 1)) == 44


def test_the_regret_of_a_run_is_that_of_the_best_claim_then(tmp_path: Path) -> None:
    runner.run("greedy", TASK, 1, 800.0, tmp_path)
    place = runner.place_of("greedy", TASK, 1, tmp_path)
    steps = loss_steps(read(place / FILE), TASK)
    times = [0.0, *map(float, steps.times[1:]), 800.0]
    found = regrets.regrets(place, times)
    assert found[0] == regret(SEED, {}) and found[-1] < found[0] - 0.05 and len(set(found)) > 2
    true = [found[0] - r for r in found]  # what was gained, without noise
    claimed = [TASK.seed["loss"] - float(value) for value in steps.at(np.array(times))]
    assert claimed == pytest.approx(true, abs=0.05)


def test_expectations_are_held_against_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--methods", "seed,random", "--seeds", "2", "--budget", "250", "--jobs", "1"]
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["calibrate", "regret", "--runs", str(tmp_path), *small, "-o", str(out)])
    assert calibrate.main() == 0 and "| seed | random | 100% |" in (out / "regret.md").read_text()
    made_up = {"random": [[0.4] * 4, [0.41] * 4, [0.4] * 4], "tpe": [[0.3] * 4, [0.3] * 4, [0.31] * 4]}
    lines = regrets.report(made_up, 100.0).splitlines()
    assert lines[6].startswith("| tpe | 0.303") and lines[7].startswith("| random | 0.403")
    assert lines[-1].startswith("| random | tpe | 100% | +0.100") and lines[-1].endswith("| as expected |")
    swapped = regrets.report({"random": made_up["tpe"], "tpe": made_up["random"]}, 100.0)
    assert swapped.rstrip().endswith("| the opposite |")
