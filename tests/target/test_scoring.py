"""The arithmetic of the score and its probe, on logits made here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from probes import PROBES, Probes
from scoring import Evaluation, Invalid, choose_rows
from tests.target.conftest import TARGET

V, T = 8, 16
LENGTHS = np.ones(V, dtype=np.int64)
TRAIN = np.random.default_rng(5).integers(0, V, size=4000).astype(np.uint8)
SIZES = Probes(64, alone=2, mixed=1)
Model = Callable[[np.ndarray], np.ndarray]


def rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, V, size=(count, T + 1)).astype(np.uint8)


def prepared(
    texts: dict[str, np.ndarray], batch: int = 4, lengths: np.ndarray = LENGTHS, sizes: Probes = SIZES
) -> Evaluation:
    order, secret = np.random.default_rng(1), np.random.default_rng(2)
    return Evaluation(texts, batch, lengths, sizes, TRAIN, order, secret)


def answered(evaluation: Evaluation, model: Model) -> Evaluation:
    while not evaluation.done:
        if evaluation.waits:
            evaluation.begin()
        evaluation.accept(model(evaluation.inputs()).astype(np.float32))
    return evaluation


def evaluate(
    model: Model, texts: dict[str, np.ndarray], batch: int = 4, lengths: np.ndarray = LENGTHS
) -> dict[str, float]:
    return answered(prepared(texts, batch, lengths), model).bits_per_byte()


def violations(model: Model, count: int = 64, batch: int = 8, sizes: Probes = SIZES) -> set[str]:
    """The names of the probes that fail."""
    evaluation = answered(prepared({"val": rows(count)}, batch, sizes=sizes), model)
    return {finding.name for finding in evaluation.findings() if finding.violation}


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
    assert "suffix" in violations(lambda x: last_token(x) + 0.1 * np.eye(V)[np.roll(x, -reach, axis=1)])


@pytest.mark.parametrize("disguise", [lambda z: z + 1e5, lambda z: np.where(np.arange(V) == 0, -1e5, z)])
def test_large_logits_do_not_hide_that_a_model_looks_ahead(disguise: Model) -> None:
    assert "suffix" in violations(lambda x: disguise(9.0 * np.eye(V)[np.roll(x, -1, axis=1)]))


def ahead(positions: np.ndarray, strength: float = 9.0) -> Model:
    """Sees the next token at some positions."""
    return lambda x: np.where(positions[:, None], strength * np.eye(V)[np.roll(x, -1, axis=1)], 0.0)


def test_looking_ahead_at_few_positions_is_found_with_single_rows() -> None:
    assert "suffix" in violations(ahead(np.arange(T) % 8 == 0), count=200, batch=1)


@pytest.mark.parametrize("position", range(T - 1))
def test_looking_ahead_at_one_position_is_found(position: int) -> None:
    """Every position is the last that is its own in some row."""
    assert "suffix" in violations(ahead(np.arange(T) == position))


def test_a_future_worth_less_than_the_tolerance_is_found_by_its_mean() -> None:
    faint = ahead(np.ones(T, dtype=bool), strength=5e-4)
    assert "suffix" in violations(faint, count=400, sizes=PROBES["audit"])


def test_future_within_a_block_is_found() -> None:
    def block(x: np.ndarray) -> np.ndarray:
        blocks = np.eye(V)[x].reshape(len(x), T // 4, 4, V).mean(axis=2)
        return 3.0 * np.repeat(blocks, 4, axis=1)

    assert "suffix" in violations(block)


def beyond_what_was_asked(count: int, cheat: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Model:
    """As if both passes ran in one process: honest up to where the first pass, of `count` rows in batches of 8, has
    asked for a row; behind that what `cheat` makes of the honest logits and of the tokens to come (R, T, V)."""
    seen: list[np.ndarray] = []

    def sly(x: np.ndarray) -> np.ndarray:
        honest = last_token(x)
        if len(seen) < count // 8:
            seen.append(x.copy())
            return honest
        same = (np.concatenate(seen)[None] == x[:, None]).cumprod(axis=2).sum(axis=2).max(axis=1)
        asked = np.arange(T)[None, :, None] < same[:, None, None]
        return np.where(asked, honest, cheat(honest, np.eye(V)[np.roll(x, -1, axis=1)]))

    return sly


def test_answers_that_are_remembered_from_the_first_pass_are_found_by_their_mean() -> None:
    remember = beyond_what_was_asked(64, lambda _, ahead: 9.0 * ahead)
    found = violations(remember, count=512, sizes=Probes(64, alone=0))
    assert found == {"commit", "behind"}


@pytest.mark.parametrize(("advantage", "found"), [(0.0, set()), (0.6, {"behind"}), (3.0, {"behind"})])
def test_a_future_that_is_seen_only_behind_the_cuts_is_found(advantage: float, found: set[str]) -> None:
    sly = beyond_what_was_asked(1024, lambda honest, ahead: honest + advantage * ahead)
    assert violations(sly, count=256, sizes=Probes(1024, alone=0)) == found


def test_other_rows_and_earlier_calls_are_noticed() -> None:
    def mean_over_rows(x: np.ndarray) -> np.ndarray:
        return last_token(x) + np.eye(V)[x].mean(axis=0, keepdims=True)

    calls: list[int] = []

    def grows(x: np.ndarray) -> np.ndarray:
        calls.append(1)
        return last_token(x) * (1 + 0.05 * len(calls))

    assert "neighbours" in violations(mean_over_rows) and "repeat" not in violations(mean_over_rows)
    assert "repeat" in violations(grows)


def test_nobody_predicts_random_tokens() -> None:
    assert violations(ahead(np.ones(T, dtype=bool))) >= {"suffix", "commit", "random"}


@pytest.mark.parametrize("purpose", PROBES)
def test_a_causal_model_passes_for_all_batch_sizes(purpose: str) -> None:
    def mean_so_far(x: np.ndarray) -> np.ndarray:
        return np.cumsum(np.eye(V)[x], axis=1) / np.arange(1, T + 1)[:, None]

    for batch in (1, 2, 7, 64):
        assert violations(mean_so_far, 33, batch, PROBES[purpose]) == set()


def requests(evaluation: Evaluation) -> list[np.ndarray]:
    """The inputs of all requests, in order."""
    sent: list[np.ndarray] = []

    def model(x: np.ndarray) -> np.ndarray:
        sent.append(x.copy())
        return np.zeros((*x.shape, V))

    answered(evaluation, model)
    return sent


@pytest.mark.parametrize("count", [30, 200])
def test_what_follows_a_cut_has_never_been_sent(count: int) -> None:
    """Rows of distinct numbers, so that a token tells its row and its position; other tokens are 0."""
    texts = {"val": 1 + np.arange(count * 17).reshape(count, 17)}
    secret = np.random.default_rng(3)
    lengths = np.ones(2 + count * 17, dtype=np.int64)
    train = np.zeros(40, dtype=np.int64)
    sizes = PROBES["audit"]
    evaluation = Evaluation(texts, 8, lengths, sizes, train, np.random.default_rng(1), secret)
    asked = {int(row) for request in evaluation.passes[0] for row in request.rows}
    assert asked == set(range(count)), "an audit asks for all rows with another suffix"
    known: set[int] = set()
    for request in evaluation.passes[0]:
        inputs = evaluation.inputs()
        assert request.cuts is not None
        for row, place, cut in zip(request.rows, request.places, request.cuts, strict=True):
            own = texts["val"][row]
            assert (inputs[place, : cut + 1] == own[: cut + 1]).all() and not inputs[place, cut + 1 :].any()
            assert int(own[cut + 1]) not in known
        known |= {int(token) for place in request.places for token in inputs[place]}
        evaluation.accept(np.zeros((*inputs.shape, len(lengths)), dtype=np.float32))


@pytest.mark.parametrize("purpose", PROBES)
@pytest.mark.parametrize("batch", [1, 16, 100])
def test_requests_have_one_shape_and_what_is_scored_is_asked_once(purpose: str, batch: int) -> None:
    evaluation = prepared({"val": rows(130)}, batch, sizes=PROBES[purpose])
    sent = requests(evaluation)
    assert {x.shape for x in sent} == {evaluation.shape[:2]} and len(sent) == len(evaluation)
    scored = np.concatenate([r.rows for r in evaluation.passes[1] if r.kind == "scored"])
    assert sorted(scored) == list(range(130))
    kinds = [request.kind for request in evaluation.passes[1]]
    first, last = len(evaluation.passes[0]) + kinds.index("scored"), evaluation.passes[1][-1]
    assert last.kind == "repeat" and (sent[-1][last.places] == sent[first][last.places]).all()


def test_the_task_says_what_is_checked() -> None:
    task = " ".join((TARGET / "program.md").read_text().split())
    assert "All logits must be finite" in task and "more than 0.001 nats" in task
    for word in ("suffix", "alone", "first and last", "random tokens", "first forward pass"):
        assert word in task


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
