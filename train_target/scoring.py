"""Bits per byte of a model that is only seen through its logits, and the probe of its causality. numpy only.

The judge chooses rows, order and batches. Inputs are sent, targets are not; logits are checked and normalised here in
float64. Each text is scored on the first rows of one fixed permutation, so that all candidates see the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import arithmetic

Tokens = npt.NDArray[np.integer]
Logits = npt.NDArray[np.float32]
Nats = npt.NDArray[np.float64]
PROBED_ROWS = 64  # rows, in whole requests, that are asked for a second time with other suffixes
TOLERANCE = 1e-3  # nats, and as much of the loss: same shape, same kernels
MAX_LOGITS = 2**26  # numbers in one request, 256 MB


class Invalid(Exception):
    """The logits cannot be scored; the message starts with the kind of fault."""


def choose_rows(text: Tokens, length: int, count: int, key: str) -> Tokens:
    """`count` windows (count, length + 1) of `text`, the first of a permutation that depends on `key` alone."""
    windows = (len(text) - 1) // length
    order = np.random.default_rng(int(key[:16], 16)).permutation(windows)[: max(count, 1)]
    return np.stack([text[start : start + length + 1] for start in order * length])


@dataclass(frozen=True)
class _Request:
    """Rows of one text in one batch; `cuts[i]` is the last position of row i that a probe leaves as it is."""

    label: str
    rows: npt.NDArray[np.int64]
    cuts: npt.NDArray[np.int64] | None = None


class Evaluation:
    """Hands out batches of inputs, takes logits back, ends with bits per byte for each text.

    `texts` maps a label to rows (N, T+1); `lengths[v]` is the number of bytes of token v.
    """

    def __init__(
        self, texts: Mapping[str, Tokens], batch: int, lengths: npt.NDArray[np.integer], rng: np.random.Generator
    ) -> None:
        self.texts = texts
        self.lengths = lengths
        self.length = next(iter(texts.values())).shape[1] - 1
        most = max(1, MAX_LOGITS // (self.length * len(lengths)))
        self.batch = max(1, min(batch, most, max(len(rows) for rows in texts.values())))
        self._rng = rng
        self._requests = self._plan()
        self._next = 0
        self._bits = dict.fromkeys(texts, 0.0)
        self._bytes = dict.fromkeys(texts, 0)
        self._awaited: dict[tuple[int, ...], tuple[Nats, npt.NDArray[np.int64] | None]] = {}

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (rows, T, V) of the logits of every request."""
        return self.batch, self.length, len(self.lengths)

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def done(self) -> bool:
        return self._next == len(self._requests)

    def inputs(self) -> Tokens:
        """Inputs (rows, T) of the request that is due."""
        request = self._requests[self._next]
        inputs = self.texts[request.label][request.rows, :-1].copy()
        if request.cuts is not None:
            strange = self.texts[request.label][self._rng.permutation(len(self.texts[request.label]))[0], :-1]
            replaced = np.arange(self.length) > request.cuts[:, None]
            inputs[replaced] = np.broadcast_to(strange[::-1], inputs.shape)[replaced]
        return inputs

    def accept(self, logits: Logits) -> None:
        """Take the logits of the due request. Raises Invalid when they are not finite or see the future."""
        request = self._requests[self._next]
        self._next += 1
        if not np.isfinite(logits).all():
            raise Invalid("non-finite: the logits hold NaN or infinity, or were not written in full")
        nats = self._losses(request, logits)
        if request.cuts is None:
            self._bits[request.label] += float(nats.sum()) / math.log(2)
            self._bytes[request.label] += int(self.lengths[self._targets(request)].sum())
        self._compare(request, nats)

    def bits_per_byte(self) -> dict[str, float]:
        return {label: self._bits[label] / max(self._bytes[label], 1) for label in self.texts}

    def _plan(self) -> list[_Request]:
        requests = []
        for label, rows in self.texts.items():
            order = self._rng.permutation(len(rows))
            for start in range(0, len(rows), self.batch):
                chosen = order[start : start + self.batch]
                requests.append(_Request(label, chosen))
        full = [i for i, r in enumerate(requests) if len(r.rows) == self.batch] or [0]
        probes = min(math.ceil(PROBED_ROWS / self.batch), len(full))
        for i in self._rng.choice(full, size=probes, replace=False):
            cuts = self._rng.integers(0, max(self.length - 1, 1), size=len(requests[i].rows))
            requests.append(_Request(requests[i].label, requests[i].rows, cuts))
        return [requests[i] for i in self._rng.permutation(len(requests))]

    def _targets(self, request: _Request) -> Tokens:
        """The true next tokens (rows, T), also where the request had another suffix."""
        return self.texts[request.label][request.rows, 1:]

    def _losses(self, request: _Request, logits: Logits) -> Nats:
        """Loss (rows, T) at each true next token."""
        targets = self._targets(request)
        return arithmetic.losses(logits[: len(targets)], targets)  # NaN where a logit is not finite

    def _compare(self, request: _Request, nats: Nats) -> None:
        """Compare the two answers to the same rows, true and with another suffix, as soon as both are there.

        Losses are compared, not logits: those may be shifted and stretched until any difference looks small.
        """
        key = tuple(int(row) for row in request.rows)
        if key not in self._awaited:
            if any(
                r.cuts is not None and r.label == request.label and tuple(map(int, r.rows)) == key
                for r in self._requests
            ):
                self._awaited[key] = (nats, request.cuts)
            return
        other, cuts = self._awaited.pop(key)
        cuts = request.cuts if cuts is None else cuts
        assert cuts is not None
        kept = np.arange(self.length) <= cuts[:, None]
        difference = np.abs(nats - other)
        changed = np.argwhere(kept & (difference > TOLERANCE * (1.0 + np.minimum(nats, other))))
        if len(changed):
            row, position = changed[0]
            raise Invalid(
                f"causality: the loss at position {position} changed by {difference[row, position]:.3g} nats "
                f"when only tokens after position {cuts[row]} were replaced"
            )
