"""What is kept of promotions, and what is computed from it."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from evolve.history import History
from evolve.promotion import FILE, Condition, Promotions, Training, home_of, rows
from evolve.reports.promote import print_promotions, promoted
from evolve.store import StoreError
from tests.evolve.runs import run

SETTINGS = {"scale": "toy", "corpus": "text", "fingerprint": "files"}
LARGE = Condition("toy-large", 4.0, "files", "text", "", "")
HOME = replace(LARGE, scale="toy", budget=1.0)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    history = run(tmp_path_factory.mktemp("promoted"), 3)[1].history
    history.header["settings"] |= SETTINGS
    return history


def trainings(condition: Condition, name: str, *losses: float, **fields: object) -> list[Training]:
    return [
        replace(Training(condition, name, "text", seed, "ok", "", {"loss": loss}), **fields)  # type: ignore[arg-type]
        for seed, loss in enumerate(losses)
    ]


def kept(folder: Path, *some: list[Training]) -> Promotions:
    promotions = Promotions(folder)
    for training in [t for group in some for t in group]:
        promotions.add(training)
    return promotions


def printed(history: History, promotions: Promotions) -> str:
    out = StringIO()
    print_promotions(Console(file=out, width=150), history, promotions)
    return out.getvalue()


def test_what_was_added_is_there_again_also_after_a_torn_line(tmp_path: Path) -> None:
    one, two, three = trainings(LARGE, "0", 1.0, 2.0, 3.0, notes=("small",))
    kept(tmp_path, [one])
    with (tmp_path / FILE).open("a") as file:
        file.write('{"condition": {"scale": "toy-la')
    kept(tmp_path, [two])
    kept(tmp_path, [three])
    again = Promotions(tmp_path)
    assert [t.metrics for t in again.trainings] == [{"loss": 1.0}, {"loss": 2.0}, {"loss": 3.0}]
    assert again.conditions == [LARGE] and list(again.of(LARGE, "0")) == [0, 1, 2]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff")
    with pytest.raises(StoreError, match=FILE):
        Promotions(tmp_path)


def test_a_program_that_was_changed_counts_with_its_last_text_only(tmp_path: Path) -> None:
    promotions = kept(
        tmp_path, trainings(LARGE, "1", 1.0, 2.0, program="old"), trainings(LARGE, "1", 3.0, program="new")
    )
    assert [t.metrics["loss"] for t in promotions.of(LARGE, "1").values()] == [3.0]


def test_the_gain_is_over_the_seeds_that_both_were_trained_with(history: History, tmp_path: Path) -> None:
    best = history.front[0].id
    promotions = kept(tmp_path, trainings(LARGE, "0", 3.0, 3.1, 3.2, 9.0), trainings(LARGE, best, 2.5, 2.6, 2.7))
    seed, row = rows(history, promotions, LARGE)
    assert (seed.n, row.n) == (4, 3) and row.gain is not None and row.gain.mean == pytest.approx(0.5)
    assert row.gain.margin == pytest.approx(0.0, abs=1e-9) and row.share is not None
    home = home_of(history, promotions, history.candidates[best])
    assert home is not None and home.condition is None and row.share.value == pytest.approx(0.5 / home.gain.mean)


def test_home_is_what_was_measured_there_on_fresh_seeds_if_it_was(history: History, tmp_path: Path) -> None:
    best = history.front[0].id
    promotions = kept(
        tmp_path,
        trainings(LARGE, "0", 3.0, 3.1, 3.2),
        trainings(LARGE, best, 2.5, 2.62, 2.7),
        trainings(HOME, "0", 3.0, 3.1, 3.2),
        trainings(HOME, best, 2.0, 2.1, 2.21),
    )
    home = home_of(history, promotions, history.candidates[best])
    assert home is not None and home.condition == HOME and "on 3 fresh seeds" in home.source
    row = rows(history, promotions, LARGE)[1]
    assert row.share is not None and row.share.value == pytest.approx(0.4933 / 0.9967, abs=1e-3)
    assert row.verdict.startswith("shrinks to 49% of it")
    assert rows(history, promotions, HOME)[1].verdict == "home, on fresh seeds"


def test_a_candidate_that_fails_there_is_told_with_the_reason(history: History, tmp_path: Path) -> None:
    best = history.front[0].id
    failed = trainings(LARGE, best, 0.0, status="oom", metrics={}, reason="80 GB of 70")
    text = printed(history, kept(tmp_path, trainings(LARGE, "0", 3.0), failed))
    assert "4 s, toy-large: no result: oom with seed 0, 80 GB of 70" in text


def test_the_report_says_where_a_condition_is_another_one_than_home(history: History, tmp_path: Path) -> None:
    best = history.front[0].id
    other = replace(LARGE, corpus="prose", device="toaster", target="edited", torch="9", weakness="not isolated")
    groups = [trainings(c, name, 3.0, 2.0, notes=("DIM is 8",)) for c in (LARGE, other) for name in ("0", best)]
    promotions = kept(tmp_path, *groups)
    text = printed(history, promotions)
    for said in (
        "the text is another one (prose) than the run's (text)",
        "on toaster",
        "with torch 9",
        "files of the target are not those",
        "not isolated (--unsafe-no-sandbox)",
        "which flatters it",
        "DIM is 8",
    ):
        assert said in text and f"4 s, toy-large [1]: {said}" not in text, said
    assert "4 s, toy-large [1]" in text and "4 s, toy-large [2]" in text
    line = promoted(history, promotions, history.candidates[best])
    assert line.startswith("4 s, toy-large [1]: ") and "; 4 s, toy-large [2]: " in line
    other_one = next(c for c in history.candidates.values() if c.id not in ("0", best))
    assert promoted(history, promotions, other_one) == ""


def test_nothing_is_said_to_be_nothing(history: History, tmp_path: Path) -> None:
    assert printed(history, Promotions(tmp_path)) == "Nothing was promoted yet.\n"
