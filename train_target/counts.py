"""Count models of one, two and three bytes: what a training script has to beat to have learned anything.

Probabilities are interpolated with the lower order by Witten and Bell's rule (1991, method C; Chen and Goodman 1998,
eq. 15): p(w | h) = (c(hw) + n(h) p(w | h')) / (c(h) + n(h)), where n(h) is the number of symbols that followed h.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

V = 256
Array = npt.NDArray[np.float64]
CHUNK = 4_000_000


def bits_per_byte(train: npt.NDArray[np.uint8], rows: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Bits per byte of each model on the targets of `rows` (N, T+1), given only what precedes them in their row."""
    return {name: float(bits.mean()) for name, bits in target_bits(train, rows).items()}


def target_bits(train: npt.NDArray[np.uint8], rows: npt.NDArray[np.uint8]) -> dict[str, Array]:
    """Bits (N * T) that each target costs each model."""
    before, last, target = _contexts(rows)
    unigram = (np.bincount(train, minlength=V) + 1.0) / (len(train) + V)
    bigram = _interpolate(_counts(train, 2).reshape(V, V), unigram)
    p1, p2 = unigram[target], bigram[last, target]
    known = before >= 0
    p3 = p2.copy()
    context = before[known] * V + last[known]
    p3[known] = _trigram(_counts(train, 3).reshape(V * V, V), context, target[known], p2[known])
    models = {"unigram": p1, "bigram": p2, "trigram": p3}
    return {name: -np.log2(p) for name, p in models.items()}


def _contexts(rows: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int64], ...]:
    """For each target: the byte two before it (-1 at the start of a row), the one before it, itself."""
    wide = rows.astype(np.int64)
    padded = np.pad(wide, ((0, 0), (1, 0)), constant_values=-1)
    return padded[:, :-2].ravel(), padded[:, 1:-1].ravel(), padded[:, 2:].ravel()


def _counts(train: npt.NDArray[np.uint8], order: int) -> npt.NDArray[np.int64]:
    counts = np.zeros(V**order, dtype=np.int64)
    for start in range(0, len(train) - order + 1, CHUNK):
        part = train[start : start + CHUNK + order - 1].astype(np.int64)
        keys = np.zeros(len(part) - order + 1, dtype=np.int64)
        for i in range(order):
            keys = keys * V + part[i : len(part) - order + 1 + i]
        counts += np.bincount(keys, minlength=V**order)
    return counts


def _interpolate(counts: npt.NDArray[np.int64], lower: Array) -> Array:
    followers = (counts > 0).sum(axis=1, keepdims=True)
    total = counts.sum(axis=1, keepdims=True) + followers
    return np.where(total > 0, (counts + followers * lower) / np.maximum(total, 1), lower)


def _trigram(
    counts: npt.NDArray[np.int64], context: npt.NDArray[np.int64], target: npt.NDArray[np.int64], lower: Array
) -> Array:
    followers = (counts > 0).sum(axis=1)[context]
    total = counts.sum(axis=1)[context] + followers
    return np.where(total > 0, (counts[context, target] + followers * lower) / np.maximum(total, 1), lower)
