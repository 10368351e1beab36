"""A run goes on only where its scores mean the same and its programs can do no more than before."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolve.config import ConfigError
from evolve.executors.local import JudgeError, LocalExecutor
from evolve.isolation import UNISOLATED, check_isolation, check_versions, is_unisolated, options_of
from evolve.judges import Slot
from evolve.model import Outcome, Trial
from evolve.store import Event
from tests.evolve import toy


def at(level: str, unsafe: bool = False) -> dict[str, object]:
    return {"level": level, "unsafe": unsafe, "isolation": f"line of {level}"}


@pytest.mark.parametrize(
    ("before", "now"), [("N", "L"), ("N", "U"), ("N", "none"), ("L", "U"), ("L", "none"), ("U", "none")]
)
def test_less_isolation_is_refused_unless_a_person_says_so(before: str, now: str) -> None:
    with pytest.raises(
        ConfigError, match=f"began at isolation level {before}.*only {now} .line of {now}.*--unsafe-no-"
    ):
        check_isolation(at(before), at(now))
    check_isolation(at(before), at(now, unsafe=True))
    check_isolation(at(now), at(before))
    check_isolation(at(now), at(now))


def test_who_asked_for_less_is_told_to_ask_for_more() -> None:
    with pytest.raises(ConfigError, match="Leave out --isolation L, or pass --unsafe-no-sandbox"):
        check_isolation(at("N"), at("L") | {"asked": "L"})


def test_a_judge_that_names_no_level_is_not_compared() -> None:
    check_isolation({}, at("none"))
    check_isolation(at("N"), {"isolation": "mine"})
    check_isolation(at("N"), at("another word"))


VERSIONS = {"python": "3.12.4", "numpy": "2.1.3", "torch": "2.13.0+cpu"}


@pytest.mark.parametrize(
    "changed", [{"torch": "2.13.1+cpu"}, {"torch": "2.13.0+cu130"}, {"python": "3.13.0"}, {"numpy": "2.2.0"}]
)
def test_scores_of_other_versions_are_not_compared(changed: dict[str, str]) -> None:
    (name,) = changed
    with pytest.raises(ConfigError, match=f"{name} was .*now .*Go back .*another --run-dir"):
        check_versions({"versions": VERSIONS}, {"versions": VERSIONS | changed})


@pytest.mark.parametrize("changed", [{"python": "3.12.9"}, {"numpy": "2.1.9"}, {"driver": "9"}])
def test_a_patch_that_changes_no_score_is_no_obstacle(changed: dict[str, str]) -> None:
    check_versions({"versions": VERSIONS}, {"versions": VERSIONS | changed})
    check_versions({}, {"versions": VERSIONS})
    check_versions({"versions": VERSIONS}, {"versions": {}})


def test_options_of_a_judge() -> None:
    assert options_of("auto", False) == []
    assert options_of("L", True) == ["--isolation", "L", "--unsafe-no-sandbox"]


SILENT: dict[str, object] = {"isolation": "mine"}
IN_PART = "measured in part at isolation level L, begun at N"


@pytest.mark.parametrize(
    ("sessions", "said"),
    [
        ([at("N"), at("N", unsafe=True)], ["", ""]),
        ([at("N"), at("none", unsafe=True), at("N")], ["", UNISOLATED, UNISOLATED]),
        ([at("N"), at("L", unsafe=True), at("N")], ["", IN_PART, IN_PART]),
        ([at("N"), at("L", unsafe=True), at("none", unsafe=True)], ["", IN_PART, UNISOLATED]),
        ([at("L"), at("N"), at("L")], ["", "", ""]),
        ([SILENT, at("N"), at("L")], ["", "", ""]),
        ([{"unsafe": True}, at("N")], [UNISOLATED, UNISOLATED]),
        ([SILENT, {"unsafe": True}], ["", UNISOLATED]),
    ],
)
def test_less_isolation_than_at_the_beginning_is_told_for_good(
    sessions: list[dict[str, object]], said: list[str]
) -> None:
    history = toy.new_history()
    for session, expected in zip(sessions, said, strict=True):
        history.apply(Event(0, "", "session", 0.0, session))
        assert history.weakness == expected
    assert history.began == sessions[0] and history.harness == sessions[-1]


def test_isolated_or_not() -> None:
    assert not is_unisolated(at("none")) and not is_unisolated(at("N", unsafe=True)) and is_unisolated({"unsafe": True})


JUDGE = """
import json, sys
from pathlib import Path
level = Path(__file__).with_name("level" + sys.argv[-1]).read_text()
print(json.dumps({"ready": True, "level": level, "isolation": "line of " + level}), flush=True)
for line in sys.stdin:
    if json.loads(line)["seed"] == 9:
        sys.exit()
    print(json.dumps({"status": "ok", "metrics": {"loss": 1.0}}), flush=True)
"""


def executor_at(folder: Path, *levels: str) -> LocalExecutor:
    """One whose judges of core 0, 1 … come up at these levels."""
    (folder / "judge.py").write_text(JUDGE)
    for core, level in enumerate(levels):
        (folder / f"level{core}").write_text(level)
    slots = [Slot((core,)) for core in range(len(levels))]
    return LocalExecutor([str(folder / "judge.py")], slots, lambda trial: trial.genome.source)


def test_no_judge_isolates_less_than_the_first_said(tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match="came up at isolation level L .line of L., where one began at N"):
        executor_at(tmp_path, "N", "L")
    executor = executor_at(tmp_path, "L", "N")
    executor.close()
    assert executor.hello["level"] == "L"


def test_a_judge_that_is_started_again_with_less_isolation_measures_nothing(tmp_path: Path) -> None:
    executor = executor_at(tmp_path, "N")
    try:

        def run(seed: int) -> Outcome:
            return executor.submit(Trial(toy.SEED, {}, 0.0, 1.0, "toy", seed, "rung")).result()

        assert run(1).status == "ok" and run(9).status == "infrastructure"
        (tmp_path / "level0").write_text("none")
        outcome = run(1)
        assert (
            outcome.status == "infrastructure" and "level none (line of none), where one began at N" in outcome.reason
        )
        (tmp_path / "level0").write_text("N")
        assert run(1).status == "ok"
    finally:
        executor.close()
