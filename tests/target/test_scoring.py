"""The arithmetic of the score and its probe, on logits made here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from scoring import PROBED_ROWS, TOLERANCE, Evaluation, Invalid, choose_rows
from tests.target.conftest import TARGET

V, T = 8, 16
LENGTHS = np.ones(V, dtype=np.int64)
Model = Callable[[np.ndarray], np.ndarray]


def rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, V, size=(count, T + 1)).astype(np.uint8)


def evaluate(
    model: Model, texts: dict[str, np.ndarray], batch: int = 4, lengths: np.ndarray = LENGTHS
) -> dict[str, float]:
    """Bits per byte, with short batches filled up as the session does."""
    evaluation = Evaluation(texts, batch, lengths, np.random.default_rng(1))
    while not evaluation.done:
        inputs = evaluation.inputs()
        evaluation.accept(model(np.resize(inputs, evaluation.shape[:2])).astype(np.float32))
    return evaluation.bits_per_byte()


def last_token(x: np.ndarray) -> np.ndarray:
    """A causal model: it expects the last token again."""
    return 3.0 * np.eye(V)[x]


def test_bits_per_byte_is_the_mean_over_all_targets() -> None:
    text = rows(10)
    p = np.exp(last_token(text[:, :-1]))
    p /= p.sum(-1, keepdims=True)
    expected = -np.log2(np.take_along_axis(p, text[:, 1:, None], -1)).mean()
    for batch in (1, 3, 4, 100):
        assert evaluate(last_token, {"val": text}, batch)["val"] == pytest.approx(expected, rel=1e-6)


def test_uniform_logits_cost_log2_of_the_vocabulary_whatever_their_size() -> None:
    assert evaluate(lambda x: np.full((*x.shape, V), 1e4), {"val": rows(5)})["val"] == pytest.approx(3.0)


def test_tokens_of_several_bytes_count_as_such() -> None:
    losses = evaluate(lambda x: np.zeros((*x.shape, V)), {"val": rows(5)}, lengths=np.full(V, 3))
    assert losses["val"] == pytest.approx(1.0)


def test_texts_are_scored_apart() -> None:
    repeated = np.full((6, T + 1), 3, dtype=np.uint8)
    losses = evaluate(last_token, {"val": rows(6), "test": repeated})
    assert losses["test"] < 1.0 < losses["val"]


@pytest.mark.parametrize("reach", [1, 3])
def test_a_model_that_looks_ahead_is_found(reach: int) -> None:
    def peek(x: np.ndarray) -> np.ndarray:
        return last_token(x) + 0.1 * np.eye(V)[np.roll(x, -reach, axis=1)]

    with pytest.raises(Invalid, match="causality: the loss at position"):
        evaluate(peek, {"val": rows(32)}, batch=8)


@pytest.mark.parametrize("disguise", [lambda z: z + 1e5, lambda z: np.where(np.arange(V) == 0, -1e5, z)])
def test_large_logits_do_not_hide_that_a_model_looks_ahead(disguise: Model) -> None:
    with pytest.raises(Invalid, match="causality"):
        evaluate(lambda x: disguise(9.0 * np.eye(V)[np.roll(x, -1, axis=1)]), {"val": rows(32)}, batch=8)


def test_looking_ahead_at_few_positions_is_found_with_single_rows() -> None:
    def peek(x: np.ndarray) -> np.ndarray:
        ahead = np.arange(T) % 8 == 0
        return np.where(ahead[:, None], 9.0 * np.eye(V)[np.roll(x, -1, axis=1)], 0.0)

    with pytest.raises(Invalid, match="causality"):
        evaluate(peek, {"val": rows(200)}, batch=1)


def test_a_causal_model_passes_for_all_batch_sizes() -> None:
    def mean_so_far(x: np.ndarray) -> np.ndarray:
        return np.cumsum(np.eye(V)[x], axis=1) / np.arange(1, T + 1)[:, None]

    for batch in (1, 2, 7, 64):
        assert evaluate(mean_so_far, {"val": rows(20)}, batch)["val"] > 0


def test_the_task_says_what_is_checked() -> None:
    task = " ".join((TARGET / "program.md").read_text().split())
    assert f"together {PROBED_ROWS} rows or a little more" in task and f"more than {TOLERANCE:g} nats" in task
    assert "All logits must be finite" in task and "is not checked beyond that" in task
    for batch in (1, 48, 64, 100):  # asked for twice: whole batches
        evaluation = Evaluation({"val": rows(512)}, batch, LENGTHS, np.random.default_rng(1))
        again = [request for request in evaluation._requests if request.cuts is not None]
        assert all(len(request.rows) == batch for request in again)
        assert PROBED_ROWS <= len(again) * batch < PROBED_ROWS + batch


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_refused(value: float) -> None:
    def broken(x: np.ndarray) -> np.ndarray:
        logits = last_token(x)
        logits[0, 0, 0] = value
        return logits

    with pytest.raises(Invalid, match="non-finite"):
        evaluate(broken, {"val": rows(4)})


def test_rows_are_nested_and_do_not_overlap() -> None:
    text = np.arange(17 * 100 + 1) % 251
    few, many = choose_rows(text, 17, 10, "ab" * 8), choose_rows(text, 17, 1000, "ab" * 8)
    assert (many[:10] == few).all() and len(many) == 100
    assert len(np.unique(many[:, 0] * 256 + many[:, 1])) > 90
    assert (choose_rows(text, 17, 10, "cd" * 8) != few).any()
