"""One training run as the judge sees it: answers a box's messages, keeps its clock, scores its logits.

A state machine without I/O of its own: `handle` takes a message and returns the reply. The phases are start-up (free,
with synthetic batches for compiling), training (charged), evaluation. It neither starts nor stops processes.
"""

from __future__ import annotations

import builtins
import fcntl
import json
import math
import mmap
import os
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

import bpe
from audit import AUDITED, UNTRAINED, control
from clock import Clock
from probes import PROBES, SOME, Finding, Probes, first_answers
from scoring import Evaluation, Invalid, Tokens, rows_at_once
from telemetry import step_seconds
from terms import Terms, Verdict
from texts import REPORTED, SEARCHED, Scale, Texts, evaluation_rows
from wire import Message, printable

Phase = Literal["startup", "training", "evaluation", "over"]
MAX_BATCH_TOKENS = 2**21  # in one request for a batch
WARMUP_BATCHES = 16
STARTUP_WALL = 110.0  # seconds for building and compiling, besides the patience
WALL_FACTOR = 5  # wall seconds per charged second of training, besides the patience
FIRST_LOGITS_WALL = 110.0  # seconds for the first forward pass, which may compile, besides the patience
EVALUATION_FACTOR = 10  # times the wall time of the second forward pass, besides the patience
EVALUATION_SECONDS = 2.0  # that an evaluation may always take on the clock, besides its first answers
FIRST_SHARE = 0.02  # of the budget, of which a first answer may take no more than probes.FIRST_STEPS times as much
EVALUATION_COST = 30  # times the charged seconds per token of training: a forward pass is about a third of a step
OVERRUN = 1.5  # times the budget, after which a script is not waited for
BY_HAND = "by hand"  # the purpose of a run that no engine asked for
UNCHARGED = ("smoke", BY_HAND)  # purposes for which a first answer may compile: whose score nobody is misled by
SLACK_SECONDS = 0.25  # by which the end may be later than the steps before the last one promised, or by
SLACK_SHARE = 0.02  # of the budget if that is more: time that a process loses to its machine, too little to train in


@dataclass(frozen=True)
class Reply:
    """An answer: a message, the raw bytes that follow it, and descriptors that go along."""

    message: Message
    raw: bytes = b""
    fds: tuple[int, ...] = ()


class Refusal(Exception):
    """A request that the contract forbids; the box raises it as an error at the caller's line."""


class Session:
    """The judge's side of one run. Read `verdict` when it is not None; ask `overdue` from time to time.

    What is served and scored here is text. A target of another kind derives from this, and says by `_hello`, `_wanted`,
    `_examples`, `_random_examples`, `_questions` and `_scores` what it is, and by its attributes in which words.
    """

    evaluate = "evaluate_bpb"  # what scripts call for their score
    unit = "tokens"  # what is counted
    kept = "validation text"  # what no script sees
    axes = "(rows, MAX_SEQ_LEN, vocabulary)"  # of what a model returns, told to whoever returns something else
    slack_seconds = SLACK_SECONDS

    def __init__(self, scale: Scale, texts: Texts, clock: Clock, terms: Terms) -> None:
        self.scale, self.texts, self.clock, self.terms = scale, texts, clock, terms
        self.phase: Phase = "startup"
        self.verdict: Verdict | None = None
        self.charged = 0.0
        self.steps = self.tokens = self._warmups = 0
        self._rng = np.random.default_rng(terms.seed)
        self._born = clock.read(exact=True)
        self._start = self._startup = self._step = self._slowest = self._asked = self._promised = self._late = 0.0
        self._evaluation: Evaluation | None = None
        self._logits: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None = None
        self._answers: list[list[float]] = [[]]  # charged seconds of each answer of each pass
        self._since = 0.0  # reading of the clock when the box began with the present answer
        self._failed = False  # in the fork of the box that answered the first pass
        self._parameters: int | None = None
        self._readings: list[float] = []  # of the clock, at each batch
        self._wait(STARTUP_WALL)

    def _wait(self, seconds: float) -> None:
        """From now on, be patient for so long."""
        self._waiting_since = time.monotonic()
        self.deadline = self._waiting_since + seconds + self.terms.patience

    def overdue(self) -> str:
        """Why the box should be ended now, or ""."""
        if time.monotonic() > self.deadline:
            limit = self.deadline - self._waiting_since
            return f"no end within the wall-clock limit of {self.phase}, {limit:.0f} s"
        if self.phase == "training":
            limit = OVERRUN * self.terms.budget + self._slowest + 0.5
            if self.clock.read() - self._start > limit:
                return f"trained for more than {limit:.1f} s with a budget of {self.terms.budget:g} s"
        return ""

    def handle(self, message: Message) -> Reply:
        """Answer one message. Faults of the script are told to it as `{"error": ...}`."""
        operations = {
            "hello": self._hello,
            "batch": self._batch,
            "evaluate": self._evaluate,
            "logits": self._take,
            "pass": self._begin_pass,
            "tokenizer": self._tokenizer,
            "crash": self._crash,
        }
        operation = operations.get(str(message.get("op")))
        try:
            if operation is None:
                raise Refusal(f"unknown request {message.get('op')!r}")
            return operation(message)
        except Refusal as refusal:
            return Reply({"error": str(refusal)})
        except Invalid as fault:
            return self._end("invalid", str(fault), checks={"finite": f"failed: {str(fault).partition(': ')[2]}"})

    def _end(self, status: str, reason: str, **found: Any) -> Reply:
        """End with a verdict that is not ok; `found` is its violation and its checks."""
        self.phase = "over"
        self._logits = None
        self.verdict = Verdict(status, reason, **found)
        return Reply({"error": reason})

    def _hello(self, message: Message) -> Reply:
        scale = self.scale
        return Reply(
            {
                "budget": self.terms.budget,
                "seed": self.terms.seed,
                "device": scale.device,
                "max_seq_len": scale.max_seq_len,
                "vocab_size": self.texts.vocab_size,
                "eval_rows": rows_at_once(scale.max_seq_len, self.texts.vocab_size),
            }
        )

    def _tokenizer(self, message: Message) -> Reply:
        """Bytes of all tokens as hexadecimal text, and the pattern of pieces that merges stay within."""
        return Reply({"pattern": bpe.PATTERN}, json.dumps([token.hex() for token in self.texts.tokens]).encode())

    def _crash(self, message: Message) -> Reply:
        if self.verdict is None:
            status = message.get("status")
            reason = printable(str(message.get("reason")))[:500]
            if self.phase == "evaluation":
                reason = _without_words(reason).replace(AXES, self.axes)
            self._end(status if status in ("oom", "rejected") else "crashed", reason)
        return Reply({})

    def _batch(self, message: Message) -> Reply:
        rows, length = self._wanted(message)
        split = message.get("split")
        if split == "warmup":
            return self._warmup(rows, length)
        if split != "train":
            raise Refusal(
                f'no split {split!r} for a script: "train" and "warmup" are; {self.kept} stays with the '
                f"judge, {self.evaluate} scores on it"
            )
        if self.phase in ("evaluation", "over"):
            raise Refusal(f"no training batches after {self.evaluate} was called")
        begun = self.phase == "training"
        used = self._advance()
        if self.terms.purpose == UNTRAINED and not begun:  # one batch, as many scripts need one, that teaches nothing
            return Reply({"epoch": 1, "progress": 0.0}, self._random_examples(rows, length))
        if self.terms.purpose == UNTRAINED or used + self._step / 2 >= self.terms.budget:
            return Reply({"end": True, "progress": 1.0})  # another step would end later than it is early now
        self._promised = min(self._slowest / 2, self._step)
        batch, epoch = self._examples(rows, length)
        self.steps += 1
        self.tokens += rows * length
        return Reply({"epoch": epoch, "progress": used / self.terms.budget}, batch)

    def _wanted(self, message: Message) -> tuple[int, int]:
        """Rows of a batch and the units in each. Raises Refusal."""
        rows, length = message.get("rows"), message.get("length")
        if type(rows) is not int or type(length) is not int or rows < 1 or length < 1:
            raise Refusal(f"make_dataloader needs whole numbers B >= 1 and T >= 1, not B={rows!r}, T={length!r}")
        if length > self.scale.max_seq_len:
            raise Refusal(f"T is {length}, but must be from 1 to MAX_SEQ_LEN, {self.scale.max_seq_len}")
        if rows * length > MAX_BATCH_TOKENS:
            raise Refusal(f"a batch of {rows} x {length} tokens is larger than {MAX_BATCH_TOKENS:,}; use several")
        return rows, length

    def _examples(self, rows: int, length: int) -> tuple[bytes, int]:
        """A training batch, and the number of the epoch that it is in."""
        text = self.texts.train
        starts = self._rng.integers(0, len(text) - length, size=rows)
        return text[starts[:, None] + np.arange(length + 1)].tobytes(), 1 + self.tokens // len(text)

    def _warmup(self, rows: int, length: int) -> Reply:
        if self.phase != "startup" or self._warmups >= WARMUP_BATCHES:
            return Reply({"end": True, "progress": 0.0})
        self._warmups += 1
        return Reply({"epoch": 0, "progress": 0.0}, self._random_examples(rows, length))

    def _random_examples(self, rows: int, length: int) -> bytes:
        tokens = self._rng.integers(0, self.texts.vocab_size, size=(rows, length + 1))
        return tokens.astype(self.texts.train.dtype).tobytes()

    def _advance(self) -> float:
        """Start the clock with the first batch, read it with each, and note the slowest step."""
        if self.phase == "startup":
            self.phase = "training"
            self._start = self.clock.read(exact=True)
            self._startup = self._start - self._born
            self._wait(WALL_FACTOR * self.terms.budget)
            self._readings.append(0.0)
            return 0.0
        before, self.charged = self.charged, self.clock.read() - self._start
        self._step = self.charged - before
        self._slowest = max(self._slowest, self._step)
        self._readings.append(self.charged)
        return self.charged

    def _slack(self) -> float:
        """Seconds by which a box may be late, besides what it promised."""
        return max(self.slack_seconds, SLACK_SHARE * self.terms.budget)

    def _evaluate(self, message: Message) -> Reply:
        if self._evaluation is not None or self.phase == "over":
            raise Refusal(f"{self.evaluate} can be called once")
        batch = message.get("batch_size")
        if type(batch) is not int or batch < 1:
            raise Refusal(f"{self.evaluate} needs a batch size of at least 1, not {batch!r}")
        parameters = message.get("parameters")  # shown, never part of a score, and told before any text is sent
        if type(parameters) is int and 0 <= parameters < 2**50:
            self._parameters = parameters
        self._asked = self.clock.read(exact=True)
        if self.phase == "training":
            self.charged = self._asked - self._start
        late = self._late = self._promised + self._slack()
        if self.charged > self.terms.budget + late:
            return self._end(
                "timeout",
                f"{self.evaluate} was called {self.charged:.2f} s after the first batch; the "
                f"budget is {self.terms.budget:g} s, and after the steps before the last one the end may be later "
                f"by {late:.2f} s",
            )
        self.phase = "evaluation"
        self._wait(FIRST_LOGITS_WALL)
        order, secret = np.random.default_rng([self.terms.seed, 1]), np.random.default_rng(secrets.randbits(128))
        self._evaluation = self._questions(batch, PROBES.get(self.terms.purpose, SOME), order, secret)
        fd = self._make_buffer(self._evaluation.shape)
        reply = self._request()
        self._since = self._asked
        return Reply(reply.message | {"shape": self._evaluation.shape}, reply.raw, (fd,))

    def _questions(
        self, batch: int, sizes: Probes, order: np.random.Generator, secret: np.random.Generator
    ) -> Evaluation:
        """What the box is asked, and what comes of it."""
        rows = self._rows()
        luck = control(self.texts, rows) if self.terms.purpose in AUDITED else None
        return Evaluation(rows, batch, self.texts.lengths, sizes, self.texts.train, order, secret, luck)

    def _rows(self) -> dict[str, Tokens]:
        """Rows by text. Trials that are only compared within a rung score its share of them; what counts for a fitness
        scores all, because on other rows a loss is another number (256 against 1,024 rows: 0.025 bpb for trigrams)."""
        shares = {"smoke": 0.0, **dict.fromkeys(("tune", "control", BY_HAND), self.terms.rung)}
        share = shares.get(self.terms.purpose, 1.0)
        labels = REPORTED if self.terms.purpose == "report" else SEARCHED
        return evaluation_rows(self.texts, self.scale, labels, share)

    def _make_buffer(self, shape: tuple[int, ...]) -> int:
        """A sealed memory file of float32 of this shape, mapped here; returns its descriptor, for the box."""
        size = 4 * math.prod(shape)
        fd = os.memfd_create("logits", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        self._logits = np.frombuffer(mmap.mmap(fd, size), dtype=np.float32).reshape(shape)
        self._logits.fill(np.nan)
        return fd

    def _request(self) -> Reply:
        assert self._evaluation is not None
        return Reply({}, self._evaluation.inputs().tobytes())

    def _begin_pass(self, message: Message) -> Reply:
        """The first request of the second pass; or, where the fork that answered the first one died of it, the request
        that it could not answer, so that the box itself meets the fault and tells of it. Nothing is scored then."""
        evaluation = self._evaluation
        if self.verdict is not None and self.verdict.reason:
            raise Refusal(self.verdict.reason)
        if evaluation is None or self._failed or self.phase != "evaluation":
            raise Refusal("no pass is due")
        if not evaluation.waits:
            self._failed = True
            return Reply({"failed": True}, self._request().raw)
        evaluation.begin()
        self._answers.append([])
        self._wait(FIRST_LOGITS_WALL)
        return self._request()

    def _take(self, message: Message) -> Reply:
        evaluation = self._evaluation
        if self._failed:
            raise Refusal(
                "model(x) failed in a copy of the process and, asked the same again, not in the process itself"
            )
        if evaluation is None or self._logits is None or self.phase != "evaluation" or evaluation.waits:
            raise Refusal("no logits were asked for")
        answers = self._answers[-1]
        now = self.clock.read(exact=True)
        answers.append(max(0.0, now - self._since))  # a clock may step back by a tick when a fork has ended
        if len(answers) <= 2:  # the first may compile, the second tells the cost
            self._wait(EVALUATION_FACTOR * (time.monotonic() - self._waiting_since) * len(evaluation))
        evaluation.accept(self._logits)
        self._since = now if self.scale.clock == "cpu" else self.clock.read()  # on the wall the judge's time is its own
        if evaluation.done:
            return self._finish(evaluation)
        return Reply({"waits": True}) if evaluation.waits else self._request()

    def _finish(self, evaluation: Evaluation) -> Reply:
        slack = self._slack()
        asked = math.prod(evaluation.shape[:-1])
        step = min(FIRST_SHARE * self.terms.budget, asked * self.charged / max(1, self.tokens))
        unpaid, first = first_answers(self._answers, slack, step)
        findings = [*evaluation.findings(), first]
        checks = {"finite": "ok: all logits"} | {finding.name: finding.text for finding in findings}
        if failed := next((finding for finding in findings if finding.violation), None):
            reason = f"{failed.violation}: {failed.text.removeprefix('failed: ')}"
            return self._end("invalid", reason, violation=failed.violation, checks=checks)
        if reason := self._overspent(evaluation, unpaid, first):
            return self._end("timeout", reason, checks=checks | {first.name: f"failed: {reason}"})
        self.phase = "over"
        self._logits = None
        losses = self._scores(evaluation)
        metrics = losses | {
            "steps": float(self.steps),
            self.unit: float(self.tokens),
            f"{self.unit}_per_second": self.tokens / self.charged if self.charged > 0 else 0.0,
            "step_ms": 1000 * step_seconds(self._readings),
            "eval_seconds": self.clock.read(exact=True) - self._asked,
            "startup_seconds": self._startup if self.steps else self._asked - self._born,
        }
        if self._parameters is not None:
            metrics["parameters"] = float(self._parameters)
        self.verdict = Verdict("ok", metrics=metrics, checks=checks)
        return Reply({name: loss for name, loss in losses.items() if name.startswith("val_")})

    def _scores(self, evaluation: Evaluation) -> dict[str, float]:
        """Metrics by name; those whose name begins with "val_" the script is told."""
        return {f"{label}_bpb": round(bpb, 4) for label, bpb in evaluation.bits_per_byte().items()}

    def _overspent(self, evaluation: Evaluation, unpaid: float, first: Finding) -> str:
        """Why the evaluation took so long that it was training, or "". Nothing is to be gained where no training text
        was given, in a smoke test, whose score is not used, and by hand: a first answer may then compile.
        """
        if not self.tokens:
            return ""
        if self.terms.purpose not in UNCHARGED and self.charged + unpaid > self.terms.budget + self._late:
            return (
                f"{first.text.removeprefix('ok: ')}; what is beyond counts as training time, which makes "
                f"{self.charged + unpaid:.2f} s with a budget of {self.terms.budget:g} s: run the model once in eval "
                'mode on warm-up batches before the clock starts (make_dataloader(..., "warmup"))'
            )
        spent = sum(sum(answers[1:]) for answers in self._answers)
        tokens = math.prod(evaluation.shape[:-1]) * (len(evaluation) - len(self._answers))
        limit = max(EVALUATION_SECONDS, EVALUATION_COST * tokens * self.charged / self.tokens)
        if spent > limit:
            return f"the evaluation took {spent:.1f} s, but {EVALUATION_COST} times what training cost is {limit:.1f} s"
        return ""


OUT_OF_MEMORY = "OutOfMemoryError"  # PyTorch's class for the memory of a device
AXES = "{axes}"  # where the session names the shape that its target asks for
WRONG = f"model(x) must return floating-point logits of shape {AXES}, and it did not"


def _without_words(reason: str) -> str:
    """What may be told of a crash with text of the evaluation in hand: a known class, a line, words of our own."""
    name, line = re.match(r"\w*", reason), re.search(r" at line (\d{1,4}): ", reason, re.ASCII)
    named = name and (name[0] == OUT_OF_MEMORY or isinstance(getattr(builtins, name[0], None), type))
    known = name[0] if name and named else "an exception"
    said = WRONG if "model(x) must return" in reason else "during evaluation, where messages are not passed on"
    return f"{known}{f' at line {line[1]}' if line else ''}: {said}"
