"""A run on images as the judge sees it: shuffled batches with labels, and a score from logits at images without.

Two passes, as for text: in the first, copies of the requests of the second are answered by a copy of the box, so that
what is learnt from an image asked there is lost. In the second, images stand alone among noise and in other company,
then all are asked and scored, then the first of them again. An image's loss may depend on nothing but the image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import arithmetic
import probes
from clock import Clock
from images import BRIGHTEST, CLASSES, SIZE, Bytes, Scale, Split
from probes import Finding, Probes
from scoring import Invalid
from session import Refusal, Reply, Session
from terms import Terms
from wire import Message

PIXELS = SIZE * SIZE
MOST_ROWS = 64  # in a request
MOST_IMAGES = 4096  # in a training batch
REPORTED = ("val", "test")
Logits = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Request:
    """Images of one split and their places in the batch; noise takes the others. `kind` is what the answer is for."""

    kind: str
    label: str
    rows: Numbers
    places: Numbers


class Evaluation:
    """Hands out images, takes logits back, ends with losses and errors for each split and with findings.

    Used by the session as `scoring.Evaluation` is. `order` decides in which order images are scored, `secret` which
    are probed.
    """

    def __init__(
        self,
        splits: Mapping[str, Split],
        batch: int,
        sizes: Probes,
        order: np.random.Generator,
        secret: np.random.Generator,
    ) -> None:
        self.splits, self._secret = splits, secret
        self.batch = max(1, min(batch, sizes.batch, MOST_ROWS))
        scored = [request for label in splits for request in self._scored(label, order)]
        copies = -(-sizes.false // self.batch)
        chosen = secret.permutation(len(scored))[:copies]
        first = [Request("copy", scored[i].label, scored[i].rows, scored[i].places) for i in chosen]
        self.passes = [first, [*self._apart(scored, sizes), *scored, Request("copy", *_parts(scored[0]))]]
        self.current = self._next = 0
        self._due: Bytes | None = None
        self._nats = {label: np.full(len(split.labels), np.nan) for label, split in splits.items()}
        self._wrong = {label: np.zeros(len(split.labels), dtype=bool) for label, split in splits.items()}
        self._answers: list[tuple[Request, npt.NDArray[np.float64]]] = []

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (rows, CLASSES) of the logits of every request."""
        return self.batch, CLASSES

    def __len__(self) -> int:
        """Requests of both passes."""
        return sum(map(len, self.passes))

    @property
    def waits(self) -> bool:
        """Whether the first pass is answered and the second is to be begun."""
        return self._next == len(self.passes[0]) and self.current == 0

    @property
    def done(self) -> bool:
        return self._next == len(self.passes[1]) and self.current == 1

    def begin(self) -> None:
        """Go on to the second pass."""
        self.current, self._next, self._due = 1, 0, None

    def inputs(self) -> Bytes:
        """Images (rows, 64) of the request that is due; the same again until it is answered."""
        if self._due is None:
            request = self.passes[self.current][self._next]
            self._due = self._secret.integers(0, BRIGHTEST + 1, (self.batch, PIXELS), dtype=np.uint8)
            self._due[request.places] = self.splits[request.label].pixels[request.rows]
        return self._due

    def accept(self, logits: Logits) -> None:
        """Take the logits of the due request and overwrite them. Raises Invalid when they are not finite."""
        request = self.passes[self.current][self._next]
        targets = np.zeros(self.batch, dtype=np.int64)
        targets[request.places] = labels = self.splits[request.label].labels[request.rows]
        guesses = logits[request.places].argmax(axis=1)
        nats = arithmetic.losses(logits, targets, clear=True)
        if not np.isfinite(nats).all():
            raise Invalid("non-finite: the logits hold NaN or infinity, or were not written in full")
        self._next, self._due = self._next + 1, None
        if request.kind == "scored":
            self._nats[request.label][request.rows] = nats[request.places]
            self._wrong[request.label][request.rows] = guesses != labels
        else:
            self._answers.append((request, nats[request.places]))

    def scores(self) -> dict[str, float]:
        """Mean nats and share of wrong images for each split."""
        nats = {f"{label}_nll": round(float(nats.mean()), 4) for label, nats in self._nats.items()}
        return nats | {f"{label}_error": round(float(wrong.mean()), 4) for label, wrong in self._wrong.items()}

    def findings(self) -> list[Finding]:
        """What the probes found, once all is answered."""
        copies, apart = self._of("copy"), self._of("apart")
        return [probes.repeat(*copies), probes.neighbours(*apart)]

    def _of(self, kind: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Losses (n, 1) of the probed images of a kind, as answered there and as scored."""
        found = [
            (nats, self._nats[request.label][request.rows]) for request, nats in self._answers if request.kind == kind
        ]
        there, scored = (np.concatenate([np.empty(0), *(pair[i] for pair in found)])[:, None] for i in (0, 1))
        return there, scored

    def _scored(self, label: str, order: np.random.Generator) -> Iterator[Request]:
        chosen = order.permutation(len(self.splits[label].labels))
        for start in range(0, len(chosen), self.batch):
            rows = chosen[start : start + self.batch]
            yield Request("scored", label, rows, np.arange(len(rows)))

    def _apart(self, scored: list[Request], sizes: Probes) -> Iterator[Request]:
        """Images alone among noise, and in other company: none where a batch has one image."""
        for count in [1] * sizes.alone + [self.batch] * sizes.mixed if self.batch > 1 else []:
            label = scored[self._secret.integers(len(scored))].label
            rows = self._secret.permutation(len(self.splits[label].labels))[:count]
            yield Request("apart", label, rows, self._secret.permutation(self.batch)[: len(rows)])


def _parts(request: Request) -> tuple[str, Numbers, Numbers]:
    return request.label, request.rows, request.places


class Classification(Session):
    """The judge's side of one run on images."""

    evaluate = "evaluate_nll"
    unit = "images"
    kept = "what is validated"
    axes = "(rows, CLASSES)"
    slack_seconds = 0.15  # budgets are short, and so is what could be trained in more

    def __init__(self, scale: Scale, splits: Mapping[str, Split], clock: Clock, terms: Terms) -> None:
        super().__init__(scale, splits, clock, terms)  # type: ignore[arg-type]
        self.splits = splits
        self._waiting: Numbers = np.empty(0, dtype=np.int64)  # of the present epoch

    def _hello(self, message: Message) -> Reply:
        about = {"budget": self.terms.budget, "seed": self.terms.seed, "device": self.scale.device}
        return Reply({**about, "eval_rows": MOST_ROWS})

    def _wanted(self, message: Message) -> tuple[int, int]:
        rows = message.get("rows")
        if type(rows) is not int or not 1 <= rows <= MOST_IMAGES:
            raise Refusal(f"make_dataloader needs a whole number B from 1 to {MOST_IMAGES}, not {rows!r}")
        return rows, 1

    def _examples(self, rows: int, length: int) -> tuple[bytes, int]:
        """Images, then their labels; an image comes again when all have come."""
        train = self.splits["train"]
        while len(self._waiting) < rows:
            self._waiting = np.concatenate([self._waiting, self._rng.permutation(len(train.labels))])
        chosen, self._waiting = self._waiting[:rows], self._waiting[rows:]
        raw = train.pixels[chosen].tobytes() + train.labels[chosen].tobytes()
        return raw, 1 + self.tokens // len(train.labels)

    def _random_examples(self, rows: int, length: int) -> bytes:
        pixels = self._rng.integers(0, BRIGHTEST + 1, (rows, PIXELS), dtype=np.uint8)
        return pixels.tobytes() + self._rng.integers(0, CLASSES, rows, dtype=np.uint8).tobytes()

    def _questions(
        self, batch: int, sizes: Probes, order: np.random.Generator, secret: np.random.Generator
    ) -> Evaluation:  # type: ignore[override]
        labels = REPORTED if self.terms.purpose == "report" else ("val",)
        return Evaluation({label: self.splits[label] for label in labels}, batch, sizes, order, secret)

    def _scores(self, evaluation: Evaluation) -> dict[str, float]:  # type: ignore[override]
        return evaluation.scores()


def untrained(before: Message) -> tuple[str, str]:
    """The violation that a run without a training step proves, or "", and a line: it may know no more than a guess."""
    if before["status"] != "ok":
        return "", f"skipped: without a training step the program ends as {before['status']}"
    found, least = before["metrics"]["val_nll"], float(np.log(CLASSES))
    text = f"{found:.3f} nats, without a training step, a guess has {least:.3f}"
    return ("pretrained", f"failed: {text}") if found < least - 0.1 else ("", f"ok: {text}")
