"""The judge's side of a run with a clock that the test moves: budget, phases, refusals."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import corpus
from reference import NOMINAL_MS, SteadyClock
from session import WARMUP_BATCHES, Reply, Session, Terms
from texts import Scale, Texts

SCALE = Scale("tiny", "cpu", "cpu", 10.0, "bytes", 32, 1024, 1024)


class Hand:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def read(self, exact: bool = False) -> float:
        return self.now


@pytest.fixture(scope="module")
def texts(cache: Path) -> Texts:
    return Texts(corpus.load(cache, None, print), SCALE, print)


def begin(texts: Texts, **terms: Any) -> tuple[Session, Hand]:
    clock = Hand()
    usual = {"budget": 10.0, "rung": 1.0, "seed": 3, "purpose": "rung"}
    return Session(SCALE, texts, clock, Terms(**(usual | terms))), clock


def batch(session: Session, rows: int = 2, length: int = 8, split: str = "train") -> Reply:
    return session.handle({"op": "batch", "rows": rows, "length": length, "split": split})


def score(session: Session, batch_size: int = 8) -> Reply:
    """Evaluate a model that knows nothing."""
    reply = session.handle({"op": "evaluate", "batch_size": batch_size})
    for fd in reply.fds:
        os.close(fd)
    while session.phase == "evaluation":
        assert session._logits is not None
        session._logits.fill(0.0)
        reply = session.handle({"op": "logits"})
    return reply


def test_clock_starts_with_the_first_batch_and_the_stream_ends_with_the_budget(texts: Texts) -> None:
    session, clock = begin(texts)
    clock.now += 50.0  # start-up is free
    shares = []
    while "end" not in (reply := batch(session)).message:
        shares.append(reply.message["progress"])
        clock.now += 3.5
    assert shares == [0.0, 0.35, 0.7], "a fourth step would end later than the third was early"
    assert reply.message["progress"] == 1.0
    assert score(session).message == {"val_bpb": 8.0}
    assert session.verdict is not None and session.verdict.status == "ok" and session.charged == 10.5
    assert session.verdict.metrics["startup_seconds"] == 50.0 and session.verdict.metrics["tokens"] == 48


def test_a_step_that_would_end_far_too_late_is_not_begun(texts: Texts) -> None:
    session, clock = begin(texts)
    batch(session)
    clock.now += 7.0
    assert "end" in batch(session).message
    score(session)
    assert session.verdict is not None and session.verdict.status == "ok" and session.charged == 7.0


@pytest.mark.parametrize(("late", "status"), [(0.7, "ok"), (0.8, "timeout")])
def test_the_end_may_be_late_by_half_a_step_and_a_little(texts: Texts, late: float, status: str) -> None:
    session, clock = begin(texts)
    batch(session)
    clock.now += 1.0
    batch(session)
    clock.now += 9.0 + late
    score(session)
    assert session.verdict is not None and session.verdict.status == status


def test_batches_are_windows_of_the_training_text_and_follow_the_seed(texts: Texts) -> None:
    raw = [batch(begin(texts, seed=seed)[0], 4, 16).raw for seed in (1, 1, 2)]
    assert raw[0] == raw[1] != raw[2] and len(raw[0]) == 4 * 17
    train = texts.train.tobytes()
    assert all(raw[0][i : i + 17] in train for i in range(0, 68, 17))


def rows(texts: Texts, rung: float, purpose: str) -> set[bytes]:
    return {row.tobytes() for row in begin(texts, rung=rung, purpose=purpose)[0]._rows()["val"]}


def test_a_tuning_trial_scores_its_share_of_the_rows_and_a_fitness_all_of_them(texts: Texts) -> None:
    everything = rows(texts, 1.0, "rung")
    assert len(everything) == 32
    assert rows(texts, 0.5, "tune") < everything == rows(texts, 0.5, "rung") == rows(texts, 0.25, "confirm")


def test_only_a_report_opens_the_sealed_texts(texts: Texts) -> None:
    for purpose in ("smoke", "tune", "rung", "confirm", "control"):
        assert list(begin(texts, purpose=purpose)[0]._rows()) == ["val"]
    assert list(begin(texts, purpose="report")[0]._rows()) == ["val", "test", "second"]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"op": "batch", "rows": 2, "length": 8, "split": "val"}, "validation text stays with the judge"),
        ({"op": "batch", "rows": 10**9, "length": 8, "split": "train"}, "is larger than"),
        ({"op": "batch", "rows": 1, "length": 33, "split": "train"}, "MAX_SEQ_LEN, 32"),
        ({"op": "batch", "rows": "2", "length": 8, "split": "train"}, "whole numbers"),
        ({"op": "batch", "rows": True, "length": 8, "split": "train"}, "whole numbers"),
        ({"op": "evaluate", "batch_size": 0}, "at least 1"),
        ({"op": "evaluate", "batch_size": True}, "at least 1"),
        ({"op": "logits"}, "no logits were asked for"),
        ({"op": "shutdown"}, "unknown request"),
        ({}, "unknown request"),
    ],
)
def test_requests_outside_the_contract_are_refused(texts: Texts, message: dict[str, Any], error: str) -> None:
    session, _ = begin(texts)
    assert error in session.handle(message).message["error"]
    assert session.verdict is None


def test_evaluation_happens_once_and_ends_training(texts: Texts) -> None:
    session, _ = begin(texts)
    batch(session)
    score(session)
    assert "once" in session.handle({"op": "evaluate", "batch_size": 8}).message["error"]
    assert "no training batches" in batch(session).message["error"]


def test_warmup_is_random_free_and_before_training(texts: Texts) -> None:
    session, clock = begin(texts)
    raws = []
    while raw := batch(session, 8, 32, "warmup").raw:
        raws.append(raw)
        clock.now += 1.0
    assert len(raws) == WARMUP_BATCHES and len(np.unique(np.frombuffer(raws[0], dtype=np.uint8))) > 100
    assert batch(session).message["progress"] == 0.0
    session, _ = begin(texts)
    batch(session)
    assert batch(session, split="warmup").message["end"]


def test_a_script_that_goes_on_training_is_overdue(texts: Texts) -> None:
    session, clock = begin(texts)
    batch(session)
    clock.now += 14.0
    assert session.overdue() == ""
    clock.now += 2.0
    assert "trained for more than 15.5 s" in session.overdue()


def test_logits_that_were_not_written_are_invalid(texts: Texts) -> None:
    session, _ = begin(texts)
    os.close(session.handle({"op": "evaluate", "batch_size": 4}).fds[0])
    session.handle({"op": "logits"})
    assert session.verdict is not None and session.verdict.reason.startswith("non-finite:")


def test_logits_buffer_keeps_its_size(texts: Texts) -> None:
    session, _ = begin(texts)
    (fd,) = session.handle({"op": "evaluate", "batch_size": 4}).fds
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)
    os.close(fd)


def test_steady_clock_weighs_seconds_with_the_speed_of_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    speed = {"ms": NOMINAL_MS}
    monkeypatch.setattr("reference.measure", lambda: speed["ms"])
    hand = Hand()
    clock = SteadyClock(hand)
    hand.now += 2.0
    assert clock.read() == pytest.approx(2.0)
    speed["ms"] = 2 * NOMINAL_MS  # half as fast from here on
    for _ in range(20):
        hand.now += 0.2
        clock.read()
    before = clock.read()
    hand.now += 1.0
    assert clock.read() - before == pytest.approx(0.5)
