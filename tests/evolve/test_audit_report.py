"""What the audit of a file says: how long it takes, what each check found, and whether the script is sound."""

from __future__ import annotations

import os
import time
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from evolve.config import ConfigError, folder_of
from evolve.model import Outcome
from evolve.reports.audit import Audited, Pace, findings, read_script, verdict


def outcome(**checks: str) -> Outcome:
    return Outcome("ok", {"val_bpb": 2.5}, checks=checks)


def shown(*outcomes: Outcome) -> str:
    out = StringIO()
    Console(file=out, width=200).print(findings(Audited("mine.py", "val_bpb", outcomes), iter([])))
    return out.getvalue()


@pytest.mark.parametrize(
    ("found", "row"),
    [
        (["ok: 0 nats", "ok: 1 nat"], "ok in 2 of 2: 0 nats"),
        (["ok: 0 nats", "failed: 2 nats"], "failed in 1 of 2: 2 nats"),
        (["skipped: too short", "ok: 0 nats"], "skipped in 1 of 2: too short"),
        (["skipped: too short", "failed: 2 nats"], "failed in 1 of 2: 2 nats"),
        (["failed by 2 nats", "failed by 3 nats"], "failed in 2 of 2: by 2 nats"),
        (["ok", "ok"], "ok in 2 of 2 "),
    ],
)
def test_a_check_is_shown_by_its_worst_finding_and_how_often_that_was(found: list[str], row: str) -> None:
    assert row in shown(*(outcome(suffix=text) for text in found))


def test_trainings_that_ended_alike_are_one_line() -> None:
    bad = [Outcome("invalid", reason=f"causality: changed in {n} rows") for n in (5, 6)]
    assert "invalid in 2 of 3: causality: changed in 5 rows; ok in 1 of 3: came to the end" in shown(*bad, outcome())


@pytest.mark.parametrize(
    ("outcomes", "sound", "said"),
    [
        ([outcome(suffix="ok: 0", random="ok: 1")] * 2, True, "sound: 2 checks in 2 trainings found nothing; val_bpb"),
        ([outcome(suffix="ok: 0")], True, "sound: 1 check in 1 training found nothing"),
        (
            [outcome(suffix="ok: 0", random="skipped: why")],
            True,
            "val_bpb 2.5000 (1); not known: random",
        ),
        ([Outcome("ok", {"loss": 1.0}, checks={"suffix": "ok"})], True, "sound: 1 check in 1 training found nothing"),
        ([outcome(suffix="ok: 0"), outcome(suffix="failed: 2")], False, "not sound: suffix: failed: 2"),
        ([outcome()], False, "nothing is known"),
        ([Outcome("oom", reason="memory: 9 GB")], False, "not sound: no score in 1 of 1 training: oom, memory: 9 GB"),
        (
            [Outcome("invalid", reason="causality: by 2", violation="causality"), outcome(suffix="ok: 0")],
            False,
            "not sound: causality in 1 of 2 trainings: by 2",
        ),
    ],
)
def test_the_verdict_says_what_decided_and_what_is_not_known(outcomes: list[Outcome], sound: bool, said: str) -> None:
    found = verdict(Audited("mine.py", "val_bpb", outcomes))
    assert found[0] == sound and said in found[1]


def test_time_left_is_known_from_the_first_training_and_counts_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    out = StringIO()
    pace = Pace(Console(file=out), 6, 2)
    now += 16
    assert pace.said(0) == "0:00:16 elapsed, time left not known yet"
    assert pace.said(1) == pace.said(2) == "0:00:16 elapsed, about 0:00:32 left"
    pace(2)
    now += 16
    assert pace.said(3) == "0:00:32 elapsed, about 0:00:16 left"
    assert pace.said(5) == "0:00:32 elapsed, the last under way" and pace.said(6) == "0:00:32 elapsed"
    pace(3)
    pace(3)
    assert out.getvalue().splitlines() == [
        "  2 of 6 trainings done, 0:00:16 elapsed, about 0:00:32 left",
        "  3 of 6 trainings done, 0:00:32 elapsed, about 0:00:16 left",
    ], "a line now and then where the output is no terminal"


def test_what_is_no_ordinary_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mine.py")
    with pytest.raises(ConfigError, match="mine.py is no ordinary file"):
        read_script(tmp_path / "mine.py")


def test_the_default_target_is_that_of_the_working_directory_else_that_beside_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    beside = folder_of(None)
    assert beside.is_absolute() and (beside / "target.toml").is_file()
    (tmp_path / "train_target").mkdir()
    (tmp_path / "train_target" / "target.toml").touch()
    assert folder_of(None).resolve() == tmp_path / "train_target"
    assert folder_of("mine") == Path("mine")
