"""Rows of the list that no box ever meets: what the search engine refuses, reuses or measures again."""

from __future__ import annotations

import hashlib

import pytest

import corpus
from evolve.config import load_target
from evolve.model import Outcome, Trial
from operators.genome import NotAllowed, Reader
from sources import SHARE, Document
from tests.evolve.test_evaluation import ANCHOR, GENOME, PLAN, SEEDS, Listed, drive, falling
from tests.target.conftest import TARGET

SEED = (TARGET / "train.py").read_text()


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(load_target(TARGET).rules)


def eligible(count: int) -> list[bytes]:
    """Documents of which some become validation text."""
    return [b"".join(b"line %d of document number %d\n" % (n, i) for n in range(20)) for i in range(count)]


@pytest.mark.parametrize(("overlap", "copied"), [(corpus.OVERLAP, 0), (2.0, 1)], ids=["with", "without"])
def test_29_text_that_training_text_nearly_repeats_is_not_scored_on(
    monkeypatch: pytest.MonkeyPatch, overlap: float, copied: int
) -> None:
    monkeypatch.setattr(corpus, "OVERLAP", overlap)
    texts = eligible(200)
    scored = next(t for t in texts if int.from_bytes(hashlib.sha256(t).digest()[:8], "big") / 2**64 < SHARE)
    copy = scored + b"and one line more, in the training text\n"
    splits, _ = corpus.split_documents([*(Document(text, True) for text in texts), Document(copy, False)])
    found = {split: [document.text for document in documents] for split, documents in splits.items()}
    assert (scored in found["val"]) == bool(copied) and copy in found["train"]


def test_48_weights_do_not_fit_into_a_program(reader: Reader) -> None:
    with pytest.raises(NotAllowed, match="bytes are|are allowed"):
        reader.read(SEED + f"\nWEIGHTS = {'A' * 50_000!r}\n")


def test_59_a_lucky_seed_is_not_enough_for_the_front() -> None:
    """The program does well with the one seed that it is first fully trained with, and as ever with all others."""
    from evolve.evaluation import evaluate

    def lucky(trial: Trial) -> Outcome:
        outcome = falling(trial)
        if trial.purpose in ("confirm", "audit") and trial.seed != SEEDS[0]:
            return Outcome("ok", outcome.metrics | {"loss": outcome.metrics["loss"] + 1.0}, seconds=1.0)
        return outcome

    (honest, _, _), (gambler, _, _) = (drive(evaluate(PLAN, GENOME, ANCHOR, Listed([1.0, 3.0, 5.0, 9.0]), SEEDS), run)
                                       for run in (falling, lucky))  # fmt: skip
    assert honest.fitness and gambler.fitness
    assert gambler.fitness.values["loss"].mean > honest.fitness.values["loss"].mean + 0.5


@pytest.mark.parametrize("module", ["os", "subprocess", "ctypes", "sympy", "numpy", "flash_attention_of_tomorrow"])
def test_67_imports_outside_of_the_list_are_told_with_their_line(reader: Reader, module: str) -> None:
    with pytest.raises(NotAllowed, match=f"line 1: .*{module}"):
        reader.read(f"import {module}\n" + SEED)


SOURCES = {
    "empty": "",
    "syntax": SEED + "\ndef f(:\n",
    "large": SEED + "\n#" + "x" * 5_000_000,
    "null": SEED + "\nx = '\0'\n",
    "carriage returns": SEED.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + SEED,
    "homoglyph": SEED.replace("evaluate_bpb(", "\u0435valuate_bpb("),
}


@pytest.mark.parametrize("name", SOURCES)
def test_73_sources_that_are_no_programs_are_refused(reader: Reader, name: str) -> None:
    with pytest.raises(NotAllowed):
        reader.read(SOURCES[name])


def test_74_the_same_program_with_other_comments_and_spaces_is_known(reader: Reader) -> None:
    for other in (SEED + "\n# a comment\n\n\n", SEED.replace("    ", "  "), SEED.replace(" = ", "  =  ")):
        assert other != SEED
        assert reader.read(SEED).key == reader.read(other).key
    assert reader.read(SEED).key != reader.read(SEED.replace("F.gelu", "F.silu")).key
