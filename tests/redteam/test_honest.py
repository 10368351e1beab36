"""Unusual but honest scripts are scored: nothing that judges a script mistakes one of them for a cheat.

Each script of `honest/` is a whole program against the contract of prepare.py that does something which a careless
probe would take for a leak: other behaviour in evaluation than in training, state between calls, rounding that depends
on the batch, shapes that depend on the tokens. `python -m benchmarks.false_alarms` measures how far each stays from the
thresholds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.target.conftest import Slot

SCRIPTS = sorted((Path(__file__).parent / "honest").glob("*.py"))
SLOW = {"compiled"}  # a compiler runs twice: for training and for evaluation
BUDGET = 0.25


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slot]:
    folder = tmp_path_factory.mktemp("honest")
    (folder / "job").mkdir()
    slot = Slot(folder / "cache", folder / "job", "--patience", "20")
    yield slot
    assert slot.close() == 0


def cases(purposes: tuple[str, ...]) -> list[object]:
    return [
        pytest.param(path, purpose, id=f"{path.stem}-{purpose}", marks=pytest.mark.slow if path.stem in SLOW else ())
        for path in SCRIPTS
        for purpose in purposes
    ]


def scored(judge: Slot, path: Path, purpose: str) -> None:
    outcome = judge.run(path.read_text(), budget=BUDGET, purpose=purpose)
    alarms = {name: text for name, text in outcome.get("checks", {}).items() if text.startswith("failed")}
    assert (outcome["status"], outcome["reason"], outcome["violation"], alarms) == ("ok", "", "", {})
    assert outcome["metrics"]["steps"] >= 1


@pytest.mark.parametrize(("path", "purpose"), cases(("tune",)))
def test_an_honest_script_is_scored(judge: Slot, path: Path, purpose: str) -> None:
    scored(judge, path, purpose)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "purpose"), cases(("confirm", "audit")))
def test_an_honest_script_is_scored_where_it_is_probed_most(judge: Slot, path: Path, purpose: str) -> None:
    scored(judge, path, purpose)


def test_there_are_many_of_them_and_each_says_what_is_unusual() -> None:
    assert len(SCRIPTS) >= 14
    assert len({path.read_text().split('"""')[1] for path in SCRIPTS}) == len(SCRIPTS)
