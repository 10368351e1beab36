"""What is looked at more closely where a program is audited: what it knows before it has seen any text.

A program is run once with no step on text, in a box like any other, and may not predict better than counting the
bytes of the training text does. What it says is evidence, not proof of innocence: a program can notice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from counts import target_bits
from texts import Scale, Texts, evaluation_rows

AUDITED = ("audit", "report")  # purposes whose programs are also run untrained
UNTRAINED = "zero-step"  # the purpose of that run: its training stream is one batch of random tokens
ALLOWED = 0.02  # bits per byte that an untrained program may be better than counts of single tokens: chance

Outcome = dict[str, Any]
Tokens = npt.NDArray[np.integer]


def unigram_bpb(texts: Texts, rows: Tokens) -> float:
    """Bits per byte of the frequencies of single training tokens on the targets of `rows` (N, T+1)."""
    frequencies = np.bincount(texts.train, minlength=texts.vocab_size) + 1.0
    bits = -np.log2(frequencies / frequencies.sum())
    targets = rows[:, 1:]
    return float(bits[targets].sum() / texts.lengths[targets].sum())


def control(texts: Texts, rows: Mapping[str, Tokens]) -> dict[str, npt.NDArray[np.float64]] | None:
    """Losses (N, T) of the count model of three bytes at the targets of rows (N, T+1); None where tokens are not bytes.

    They tell how hard each position is, without a word of the candidate's.
    """
    if texts.vocab_size != 256:
        return None
    train = texts.corpus.text("train")
    bits = {label: target_bits(train, own)["trigram"] for label, own in rows.items()}
    return {label: math.log(2) * bits[label].reshape(own[:, 1:].shape) for label, own in rows.items()}


def untrained(outcome: Outcome, texts: Texts, scale: Scale) -> tuple[str, str]:
    """The violation that a run without a training step proves, or "", and the line that tells what was found."""
    if outcome["status"] != "ok":
        return "", f"skipped: without a training step the program ends as {outcome['status']}"
    least = unigram_bpb(texts, evaluation_rows(texts, scale, ("val",))["val"])
    found = outcome["metrics"]["val_bpb"]
    text = f"{found:.3f} bits per byte without a training step, counts of tokens have {least:.3f}"
    if found < least - ALLOWED:
        return "pretrained", f"failed: {text}"
    return "", f"ok: {text}"


def merged(outcome: Outcome, violation: str, line: str) -> Outcome:
    """An outcome with what was found out about the untrained program."""
    outcome = outcome | {"checks": outcome["checks"] | {UNTRAINED: line}}
    if violation and outcome["status"] in ("ok", "timeout"):
        reason = f"{violation}: {line.removeprefix('failed: ')}"
        return outcome | {"status": "invalid", "reason": reason, "violation": violation, "metrics": {}}
    return outcome
