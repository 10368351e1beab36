"""Bits per byte of a model that is only seen through its logits, and the questions that probe it. numpy only.

The judge chooses rows, order and batches. Inputs are sent, targets are not; logits are checked and normalised here.
Each text is scored on the first rows of one fixed permutation, so that all candidates see the same rows. There are two
passes: the false one, whose rows end in a suffix that is not theirs, so that what follows the cut has never been sent
when its answer is taken, and then the true one, which is scored. probes.py compares the answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import arithmetic
import probes
from probes import Finding, Probes

Tokens = npt.NDArray[np.integer]
Logits = npt.NDArray[np.float32]
Nats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
MAX_LOGITS = 2**26  # numbers in one request, 256 MB
PASSES = ("false", "true")


class Invalid(Exception):
    """The logits cannot be scored; the message starts with the kind of fault."""


def choose_rows(text: Tokens, length: int, count: int, key: str) -> Tokens:
    """`count` windows (count, length + 1) of `text`, the first of a permutation that depends on `key` alone."""
    windows = (len(text) - 1) // length
    order = np.random.default_rng(int(key[:16], 16)).permutation(windows)[: max(count, 1)]
    return np.stack([text[start : start + length + 1] for start in order * length])


def rows_at_once(length: int, vocabulary: int) -> int:
    """How many rows a request has at most, whatever batch is asked for."""
    return max(1, min(probes.MOST_ROWS, MAX_LOGITS // (length * vocabulary)))


@dataclass(frozen=True)
class Request:
    """Rows of one text and the places in the batch that they take; all other places are filled with random tokens.

    `kind` is what the answer is for: false, scored, alone, mixed or repeat. Of a false row i, `cuts[i]` is the last
    position that is its own.
    """

    kind: str
    label: str
    rows: Numbers
    places: Numbers
    cuts: Numbers | None = None


@dataclass(frozen=True)
class _Answer:
    """Losses (n, T) of the n text rows of a request."""

    request: Request
    nats: Nats


class Evaluation:
    """Hands out batches of inputs, takes logits back, ends with bits per byte for each text and with findings.

    `texts` maps a label to rows (N, T+1); `lengths[v]` is the number of bytes of token v; suffixes come from `train`.
    `order` decides in which order rows are scored, `secret` what is probed: whoever could foretell that could cheat
    elsewhere. `control` may map a label to losses (N, T) of another model, which sharpen one of the probes.
    """

    def __init__(
        self,
        texts: Mapping[str, Tokens],
        batch: int,
        lengths: npt.NDArray[np.integer],
        sizes: Probes,
        train: Tokens,
        order: np.random.Generator,
        secret: np.random.Generator,
        control: Mapping[str, Nats] | None = None,
    ) -> None:
        self.texts, self.lengths, self.train, self.control = texts, lengths, train, control
        self.length = next(iter(texts.values())).shape[1] - 1
        most = min(sizes.batch, rows_at_once(self.length, len(lengths)))
        self.batch = max(1, min(batch, most, max(len(rows) for rows in texts.values())))
        self._secret = secret
        scored = [r for label in texts for r in self._scored(label, order)]
        scored = sorted((scored[i] for i in order.permutation(len(scored))), key=lambda r: len(r.rows) < self.batch)
        self.passes = [list(self._false(scored, sizes)), list(self._true(scored, sizes))]
        self.current = self._next = 0
        self._due: Tokens | None = None
        self._losses = {label: np.full((len(rows), self.length), np.nan) for label, rows in texts.items()}
        self._answers: list[_Answer] = []
        self._random: list[Nats] = []

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (rows, T, V) of the logits of every request."""
        return self.batch, self.length, len(self.lengths)

    def __len__(self) -> int:
        """Requests of all passes."""
        return sum(map(len, self.passes))

    @property
    def waits(self) -> bool:
        """Whether all requests of the present pass are answered, and another pass is to be begun."""
        return self._next == len(self.passes[self.current]) and self.current + 1 < len(self.passes)

    @property
    def done(self) -> bool:
        return self._next == len(self.passes[self.current]) and self.current + 1 == len(self.passes)

    def begin(self) -> None:
        """Go on to the next pass."""
        self.current, self._next, self._due = self.current + 1, 0, None

    def inputs(self) -> Tokens:
        """Inputs (rows, T) of the request that is due; the same again until it is answered."""
        return np.ascontiguousarray(self._tokens()[:, :-1])

    def accept(self, logits: Logits) -> None:
        """Take the logits of the due request and overwrite them. Raises Invalid when they are not finite."""
        request, tokens = self.passes[self.current][self._next], self._tokens()
        own = self.texts[request.label][request.rows]
        targets = tokens[:, 1:].copy()
        targets[request.places] = own[:, 1:]  # of a false row, too, the true ones
        nats = arithmetic.losses(logits, targets, clear=True)
        if not np.isfinite(nats).all():
            raise Invalid("non-finite: the logits hold NaN or infinity, or were not written in full")
        self._next, self._due = self._next + 1, None
        if request.kind == "scored":
            self._losses[request.label][request.rows] = nats[request.places]
        else:
            self._answers.append(_Answer(request, nats[request.places]))
        if request.kind == "alone":
            self._random.append(np.delete(nats, request.places, axis=0))

    def bits_per_byte(self) -> dict[str, float]:
        return {
            label: float(self._losses[label].sum()) / math.log(2) / max(1, int(self.lengths[rows[:, 1:]].sum()))
            for label, rows in self.texts.items()
        }

    def findings(self) -> list[Finding]:
        """What the probes found, once all is answered; the first that failed says best what is wrong."""
        repeats, apart = list(self._of("repeat")), [*self._of("alone"), *self._of("mixed")]
        none = np.empty((0, self.length))
        return [
            probes.repeat(self._scores(repeats), _stack(repeats, none)),
            probes.neighbours(_stack(apart, none), self._scores(apart)),
            *self._of_futures(list(self._of("false"))),
            probes.canary(np.concatenate([none, *self._random]).ravel(), len(self.lengths)),
        ]

    def _of_futures(self, answers: list[_Answer]) -> Iterator[Finding]:
        """The probes of the false pass."""
        false, true = _stack(answers, np.empty((0, self.length))), self._scores(answers)
        cuts = np.concatenate([a.request.cuts for a in answers if a.request.cuts is not None])
        yield probes.suffix(true, false, cuts)
        names = list(self.texts)
        offsets = dict(zip(names, np.cumsum([0, *(len(self.texts[name]) for name in names)]), strict=False))
        none = np.empty(0, dtype=np.int64)
        rows = np.concatenate([none, *(offsets[a.request.label] + a.request.rows for a in answers)])
        losses = np.concatenate([self._losses[name] for name in names])
        rest = _rest(self._losses, names)
        luck = _rest(self.control, names) if self.control is not None else None
        at_cut, expected = false[np.arange(len(cuts)), cuts], (losses - rest)[rows, cuts]
        yield probes.commit(at_cut, expected, rows, luck[rows, cuts] if luck is not None else None)
        last = np.full(len(rest), -1)
        np.maximum.at(last, rows, cuts)
        yield probes.behind(rest, last, luck)

    def _of(self, kind: str) -> Iterator[_Answer]:
        return (answer for answer in self._answers if answer.request.kind == kind)

    def _scores(self, answers: list[_Answer]) -> Nats:
        """The scored losses (n, T) of the rows of some answers."""
        parts = [self._losses[a.request.label][a.request.rows] for a in answers]
        return np.concatenate(parts) if parts else np.empty((0, self.length))

    def _scored(self, label: str, order: np.random.Generator) -> Iterator[Request]:
        chosen = order.permutation(len(self.texts[label]))
        for start in range(0, len(chosen), self.batch):
            rows = chosen[start : start + self.batch]
            yield Request("scored", label, rows, np.arange(len(rows)))

    def _false(self, scored: list[Request], sizes: Probes) -> Iterator[Request]:
        """Requests for the same rows in the same places, with a cut in each: by ascending share of the positions where
        rows are cut several times, so that no row is asked to a cut before which it was sent for longer."""
        total = sum(len(request.rows) for request in scored)
        last = max(self.length - 1, 1)  # the position that has no future to be replaced
        rounds = min(math.ceil(sizes.false / total), last)
        bounds = np.linspace(0, last, rounds + 1).astype(int)
        for lowest, end in zip(bounds, bounds[1:], strict=False):
            chosen = [scored[i] for i in self._secret.permutation(len(scored))]
            if rounds == 1:
                chosen = sorted(chosen, key=lambda r: -len(r.rows))[: math.ceil(sizes.false / self.batch)]
            taken = sum(len(request.rows) for request in chosen)
            shuffles = math.ceil(taken / (end - lowest))
            cuts = np.concatenate([self._secret.permutation(np.arange(lowest, end)) for _ in range(shuffles)])
            for request in chosen:
                own, cuts = cuts[: len(request.rows)], cuts[len(request.rows) :]
                yield Request("false", request.label, request.rows, request.places, own)

    def _true(self, scored: list[Request], sizes: Probes) -> Iterator[Request]:
        """First rows alone and in other company, then what is scored, then the first of that again."""
        for kind, count in (("alone", sizes.alone), ("mixed", sizes.mixed)):
            for _ in range(count):
                request = scored[self._secret.integers(len(scored))]
                count = self.batch if kind == "mixed" else min(1, self.batch - 1)
                everyone = self._secret.permutation(len(self.texts[request.label]))[:count]
                places = self._secret.permutation(self.batch)[: len(everyone)]
                if kind == "alone" or self.batch > 1:
                    yield Request(kind, request.label, everyone, places)
        yield from scored
        yield Request("repeat", scored[0].label, scored[0].rows, scored[0].places)

    def _tokens(self) -> Tokens:
        """Tokens (rows, T+1) of the due request."""
        if self._due is None:
            request = self.passes[self.current][self._next]
            own = self.texts[request.label][request.rows].copy()
            if request.cuts is not None:
                starts = self._secret.integers(0, len(self.train) - self.length, size=len(own))
                strange = self.train[starts[:, None] + np.arange(self.length + 1)]
                replaced = np.arange(self.length + 1) > request.cuts[:, None]
                own[replaced] = strange[replaced]
            size = (self.batch, self.length + 1)
            self._due = self._secret.integers(0, len(self.lengths), size=size).astype(own.dtype)
            self._due[request.places] = own
        return self._due


def _rest(losses: Mapping[str, Nats], names: list[str]) -> Nats:
    """Losses (n, T) of the rows of texts, one after another, each less the mean at its position of its text."""
    return np.concatenate([losses[name] - losses[name].mean(axis=0) for name in names])


def _stack(answers: list[_Answer], none: Nats) -> Nats:
    return np.concatenate([answer.nats for answer in answers]) if answers else none
