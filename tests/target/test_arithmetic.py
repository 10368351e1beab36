"""Losses from logits: against float64 throughout, and what is not finite."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

import arithmetic
from arithmetic import losses


def exactly(logits: npt.NDArray[np.float32], targets: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    chosen = np.take_along_axis(wide, targets[..., None], axis=-1)[..., 0]
    return np.asarray(np.log(np.exp(wide).sum(axis=-1)) - chosen)


@pytest.mark.parametrize("shape", [(3, 5, 7), (4, 130, 256), (2, 40, 8192)])
@pytest.mark.parametrize("stretch", [0.0, 3.0, 1e4])
def test_losses_are_those_of_float64(shape: tuple[int, int, int], stretch: float) -> None:
    rng = np.random.default_rng(0)
    logits = np.float32(stretch) * rng.standard_normal(shape, dtype=np.float32)
    targets = rng.integers(0, shape[-1], shape[:-1])
    assert losses(logits.copy(), targets) == pytest.approx(exactly(logits, targets), rel=1e-6, abs=1e-6)


def test_result_does_not_depend_on_the_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    logits, targets = rng.standard_normal((4, 100, 8192), dtype=np.float32), rng.integers(0, 8192, (4, 100))
    alone = losses(logits, targets)
    monkeypatch.setattr(arithmetic, "cores", lambda: 3)
    arithmetic._threads.cache_clear()
    assert (losses(logits, targets) == alone).all()
    arithmetic._threads.cache_clear()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_makes_its_position_and_no_other_nan(value: float) -> None:
    logits = np.zeros((2, 50, 256), dtype=np.float32)
    logits[1, 7, 200] = value
    nats = losses(logits, np.zeros((2, 50), dtype=np.uint8))
    assert np.isnan(nats[1, 7]) and np.isnan(nats).sum() == 1


def test_finite_logits_may_be_as_large_as_float32_goes() -> None:
    logits = np.full((1, 1, 256), 3e38, dtype=np.float32)
    assert losses(logits.copy(), np.zeros((1, 1), dtype=np.int64)) == pytest.approx(np.log(256))


def test_what_was_read_is_cleared_on_demand() -> None:
    logits = np.zeros((2, 3, 256), dtype=np.float32)
    assert np.isfinite(losses(logits, np.zeros((2, 3), dtype=np.uint8), clear=True)).all()
    assert np.isnan(logits).all()
