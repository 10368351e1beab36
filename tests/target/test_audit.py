"""What an audit asks besides: programs that have not trained at all, in real boxes."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

import numpy as np
import pytest

import audit
import corpus
from counts import bits_per_byte
from tests.target.conftest import SCORE, TINY, TRAIN, Slot
from texts import Scale, Texts, evaluation_rows


@pytest.fixture(scope="module")
def texts(cache: Path) -> Texts:
    return Texts(corpus.load(cache, None, print), Scale.read("cpu"), print)


def test_counts_of_tokens_are_those_of_the_count_models(texts: Texts) -> None:
    rows = evaluation_rows(texts, Scale.read("cpu"), ("val",))
    expected = bits_per_byte(texts.corpus.text("train"), rows["val"])
    assert audit.unigram_bpb(texts, rows["val"]) == pytest.approx(expected["unigram"])
    control = audit.control(texts, rows)
    assert control is not None and control["val"].shape == rows["val"][:, 1:].shape
    assert control["val"].mean() / np.log(2) == pytest.approx(expected["trigram"])


def shipped(texts: Texts) -> str:
    """A program that brings a table of byte pairs along, and learns nothing."""
    train = texts.corpus.text("train")[:2_000_000].astype(np.int64)
    counts = np.bincount(256 * train[:-1] + train[1:], minlength=65536).reshape(256, 256)
    rounded = np.minimum(255, np.round(16 * np.log1p(counts))).astype(np.uint8)
    packed = base64.b85encode(zlib.compress(rounded.tobytes(), 9)).decode()
    return f"""
import base64, zlib
packed = zlib.decompress(base64.b85decode({packed!r}))
table = torch.frombuffer(bytearray(packed), dtype=torch.uint8).view(256, 256) / 16
with torch.no_grad():
    model = nn.Embedding(256, 256)
    model.weight.copy_((table.exp() - 0.9).log())
"""


@pytest.mark.parametrize("purpose", ["audit", pytest.param("report", marks=pytest.mark.slow)])
def test_knowledge_that_was_brought_along_is_found(slot: Slot, texts: Texts, purpose: str) -> None:
    outcome = slot.run(
        TINY + shipped(texts) + TRAIN.replace("optimizer.step()", "") + SCORE, purpose=purpose, budget=0.1
    )
    assert (outcome["status"], outcome["violation"], outcome["metrics"]) == ("invalid", "pretrained", {}), outcome
    assert outcome["reason"].startswith("pretrained: ") and "without a training step" in outcome["reason"]
    checks = outcome["checks"]
    assert checks["zero-step"].startswith("failed") and checks["suffix"].startswith("ok")


def test_other_purposes_do_not_run_a_program_untrained(slot: Slot, texts: Texts) -> None:
    outcome = slot.run(TINY + shipped(texts) + TRAIN + SCORE, purpose="tune", budget=0.1)
    assert outcome["status"] == "ok" and "zero-step" not in outcome["checks"], outcome


def test_an_untrained_model_knows_nothing(slot: Slot) -> None:
    outcome = slot.run(TINY + TRAIN + SCORE, purpose="audit", budget=0.1)
    assert outcome["status"] == "ok" and outcome["metrics"]["tokens"] > 0, outcome
    assert outcome["checks"]["zero-step"].startswith("ok: 8.")
    assert all(line.startswith("ok") for line in outcome["checks"].values())


def test_a_program_that_needs_a_step_gets_one_of_random_tokens(slot: Slot) -> None:
    outcome = slot.run(TINY + TRAIN + "print(loss.item())\n" + SCORE, purpose="audit", budget=0.1)
    assert outcome["status"] == "ok" and outcome["checks"]["zero-step"].startswith("ok: "), outcome


def test_a_program_that_needs_several_steps_is_not_blamed(slot: Slot) -> None:
    several = "loader = make_dataloader(tokenizer, 4, 128, 'train')\nnext(loader), next(loader)\n"
    outcome = slot.run(TINY + several + SCORE, purpose="audit", budget=0.1)
    assert outcome["status"] == "ok" and outcome["checks"]["zero-step"].startswith("skipped: "), outcome
    assert "crashed" in outcome["checks"]["zero-step"]
