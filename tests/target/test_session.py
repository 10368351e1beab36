"""The judge's side of a run with a clock that the test moves: budget, phases, refusals."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import corpus
from audit import UNTRAINED
from reference import NOMINAL_MS, SteadyClock
from session import WARMUP_BATCHES, Reply, Session, Terms
from texts import Scale, Texts

SCALE = Scale("tiny", "cpu", "cpu", 10.0, "bytes", 32, 1024, 1024)


Costs = tuple[float, ...]


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


def score(session: Session, batch_size: int = 8, clock: Hand | None = None, costs: Costs = ()) -> Reply:
    """Evaluate a model that knows nothing. `costs`: seconds of the first answers of both passes, and of others."""
    reply = session.handle({"op": "evaluate", "batch_size": batch_size})
    for fd in reply.fds:
        os.close(fd)
    while session.phase == "evaluation":
        if "waits" in reply.message:
            reply = session.handle({"op": "pass"})
        assert session._logits is not None and reply.raw
        session._logits.fill(0.0)
        if clock:
            clock.now += costs[-1 if session._answers[-1] else len(session._answers) - 1]
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
    assert session.verdict.metrics["step_ms"] == 3500.0


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
        ({"op": "pass"}, "no pass is due"),
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


def trained(texts: Texts, **terms: Any) -> tuple[Session, Hand]:
    """Has used its budget of 10 s for 5,120 tokens."""
    session, clock = begin(texts, **terms)
    for _ in range(20):
        batch(session, 8, 32)
        clock.now += 0.5
    return session, clock


@pytest.mark.parametrize(
    ("purpose", "first", "second", "status"),
    [
        ("rung", 0.2, 0.2, "ok"),
        ("rung", 3.0, 0.1, "timeout"),
        ("rung", 0.1, 3.0, "timeout"),
        ("tune", 3.0, 0.1, "timeout"),
        ("smoke", 3.0, 3.0, "ok"),
        ("by hand", 3.0, 3.0, "ok"),
    ],
)
def test_the_first_answer_of_a_pass_is_no_free_training(
    texts: Texts, purpose: str, first: float, second: float, status: str
) -> None:
    session, clock = trained(texts, purpose=purpose)
    score(session, 32, clock, (first, second, 0.01))
    assert session.verdict is not None and session.verdict.status == status, session.verdict
    assert "first forward pass" in session.verdict.checks["first-forward"]
    if status == "timeout":
        assert session.verdict.checks["first-forward"].startswith("failed: ")
        assert "took" in session.verdict.reason and "run the model once in eval mode" in session.verdict.reason
        assert "counts as training time" in session.verdict.reason and not session.verdict.metrics


def test_without_training_text_a_slow_first_answer_gains_nothing(texts: Texts) -> None:
    session, clock = begin(texts)
    score(session, 32, clock, (50.0, 50.0, 0.01))
    assert session.verdict is not None and session.verdict.status == "ok"


@pytest.mark.parametrize(("seconds", "status"), [(1.0, "ok"), (20.0, "timeout")])
def test_all_answers_together_may_cost_many_times_what_training_did(texts: Texts, seconds: float, status: str) -> None:
    session, clock = trained(texts)
    score(session, 8, clock, (0.2, 0.2, seconds))  # of 256 tokens, which cost 0.5 s in training
    assert session.verdict is not None and session.verdict.status == status
    assert status == "ok" or "30 times what training cost" in session.verdict.reason


def test_every_check_is_told(texts: Texts) -> None:
    session, _ = trained(texts)
    score(session)
    assert session.verdict is not None
    names = {"finite", "repeat", "neighbours", "suffix", "commit", "behind", "random", "first-forward"}
    assert session.verdict.checks.keys() == names
    assert all(line.startswith("ok") for line in session.verdict.checks.values())


def test_a_violation_is_named_and_told_without_text(texts: Texts) -> None:
    session, _ = trained(texts)
    reply = session.handle({"op": "evaluate", "batch_size": 8})
    os.close(reply.fds[0])
    while session.phase == "evaluation":
        if "waits" in reply.message:
            reply = session.handle({"op": "pass"})
        assert session._logits is not None
        x = np.frombuffer(reply.raw, dtype=np.uint8).reshape(8, -1)
        session._logits[:] = 9.0 * np.eye(256)[np.roll(x, -1, axis=1)]
        reply = session.handle({"op": "logits"})
    verdict = session.verdict
    assert verdict is not None and (verdict.status, verdict.violation) == ("invalid", "causality")
    assert re.match(r"causality: losses at positions \d+ to \d+ changed by up to [\d.]+ nats", verdict.reason)
    assert verdict.checks["suffix"].startswith("failed") and verdict.checks["repeat"].startswith("ok")
    assert session.handle({"op": "pass"}).message["error"] == verdict.reason


def test_a_pass_that_broke_off_is_not_scored(texts: Texts) -> None:
    """The process gets the request that its copy could not answer; an answer to it is too late."""
    session, _ = trained(texts)
    first = session.handle({"op": "evaluate", "batch_size": 8})
    os.close(first.fds[0])
    again = session.handle({"op": "pass"})
    assert again.message == {"failed": True} and again.raw == first.raw
    assert session._logits is not None
    session._logits.fill(0.0)
    assert "failed in a copy of the process" in session.handle({"op": "logits"}).message["error"]
    assert "no pass is due" in session.handle({"op": "pass"}).message["error"]


def test_a_program_that_is_run_untrained_gets_one_batch_that_teaches_nothing(texts: Texts) -> None:
    session, _ = begin(texts, purpose=UNTRAINED)
    tokens = np.frombuffer(batch(session, 32, 32).raw, dtype=np.uint8)
    assert len(np.unique(tokens)) > 200, "uniform over the vocabulary, as no text is"
    assert batch(session).message["end"]
    score(session)
    assert session.verdict is not None and session.verdict.metrics["tokens"] == 0


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
