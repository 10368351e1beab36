"""A run goes on only where its scores mean the same and its programs can do no more than before."""

from __future__ import annotations

import pytest

from evolve.config import ConfigError
from evolve.isolation import check_isolation, check_versions, is_unisolated, options_of
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


def test_a_run_is_unisolated_for_good_once_it_was() -> None:
    history = toy.new_history()
    assert not is_unisolated(at("none")) and not is_unisolated(at("N", unsafe=True)) and is_unisolated({"unsafe": True})
    for session, unisolated in ((at("N"), False), (at("none", unsafe=True), True), (at("N"), True)):
        history.apply(Event(0, "", "session", 0.0, session))
        assert history.unisolated == unisolated
    assert history.began == at("N") and history.harness == at("N")
