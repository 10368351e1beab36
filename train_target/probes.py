"""What the judge compares to find out whether the logits of an evaluation were come by honestly. numpy only.

Pure functions of losses in nats, of standard errors and of tolerances; scoring.py asks the questions whose answers are
compared here. Losses are compared, not logits: those can be shifted and stretched until any difference looks small.
A finding tells numbers and positions and nothing of the text. The ideas are those of a judge that trusts no box: what
was never sent cannot have been used, what depends on a row alone does not change with its neighbours, what is asked
twice is answered twice the same, and nobody predicts what is random.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

Nats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.integer]
TOLERANCE = 1e-3  # nats, and as much of the loss: same shape, same place, same kernels
NOISE = 0.05  # nats, and as much of the loss, for a row among others in another place: bf16 rounds at 1/256
NOISY_SHARE = 0.02  # of the positions may differ by more than that: a router that was undecided
ERRORS = 5.0  # standard errors that are no chance
LEAST_GAIN = 1e-4  # nats by which seeing the future has to pay to be called so
LEAST_GAP = 2e-3  # nats between the two passes, besides the standard errors
ROWS_PER_EXCEPTION = 500  # rows of which one may change away from its cut: rounding that tips a router
LEAST_ROWS = 8  # below which a standard error says nothing
LEAST_COMMITTED = 32  # likewise, where losses that vary as much as those of bytes are compared unpaired
MOST_ROWS = 32  # in one request: the rows of a probe are whole requests
FIRST_FACTOR = 4.0  # times an ordinary answer, which the first may take
FIRST_STEPS = 3.0  # times the training of as many tokens, which it may take as well


@dataclass(frozen=True)
class Probes:
    """How many rows of an evaluation the probes take: `false` with another suffix, counted again where a row is asked
    with several; requests with one row `alone`, and with rows `mixed` anew; at most `batch` rows in a request."""

    false: int
    alone: int = 1
    mixed: int = 0
    batch: int = MOST_ROWS


FEW = Probes(64)
SOME = Probes(256, alone=2, mixed=1)
MOST = Probes(4096, alone=8, mixed=4)
PROBES = {
    "smoke": Probes(8, batch=8),
    "zero-step": Probes(8),
    "tune": FEW,
    "control": FEW,
    "by hand": FEW,
    "rung": SOME,
    "confirm": SOME,
    "audit": MOST,
    "report": MOST,
}


@dataclass(frozen=True)
class Finding:
    """What one probe found: a line that starts with "ok" or "failed"; `violation` is "" unless it failed."""

    name: str
    text: str
    violation: str = ""


def suffix(true: Nats, false: Nats, cuts: Counts) -> Finding:
    """Losses (n, T) of the same rows, false where the tokens after position `cuts` (n) were replaced.

    Catches models that see the future, whether far, within blocks or at one position: up to the cut nothing that they
    may see has changed, and shape, place and kernels are the same, so the losses are. Where thousands of rows are
    compared one in ROWS_PER_EXCEPTION may differ away from its cut, since the rounding of a router's input depends on
    all that is routed with it; at the cut itself none may. A leak that is too small for the tolerance at each cut is
    found by its mean gain.
    """
    own, length = np.arange(len(cuts)), true.shape[1]
    kept = np.arange(length) <= cuts[:, None]
    difference = false - true
    changed = kept & (np.abs(difference) > TOLERANCE * (1.0 + np.minimum(true, false)))
    rows = int(changed.any(axis=1).sum())
    at_cut = difference[own, cuts]
    gain, error = _mean(at_cut)
    if changed[own, cuts].any() or rows > len(cuts) // ROWS_PER_EXCEPTION:
        positions = np.flatnonzero(changed.any(axis=0))
        largest = float(np.abs(difference[changed]).max())
        text = (
            f"losses at positions {positions[0]} to {positions[-1]} changed by up to {largest:.3g} nats in {rows} of "
            f"{len(cuts)} rows when only later tokens were replaced"
        )
        return Finding("suffix", f"failed: {text}", "causality")
    if len(cuts) >= LEAST_ROWS and gain > max(LEAST_GAIN, ERRORS * error):
        text = f"the true future is worth {gain:.2g} nats, standard error {error:.1g}, in {len(cuts)} rows"
        return Finding("suffix", f"failed: {text}", "causality")
    largest = float(np.abs(difference[kept]).max(initial=0.0))
    return Finding("suffix", f"ok: {len(cuts)} rows with another future, changes up to {largest:.1g} nats")


def commit(losses: Nats, expected: Nats, rows: Counts, control: Nats | None = None) -> Finding:
    """Losses (n) of targets that were never sent; what the other pass leads to expect (n); which row each is of.

    Catches what `suffix` cannot: a program whose two passes talk to each other, or that remembers rows, and repeats
    its honest answers wherever both passes ask. What is expected are means over all rows of the other pass, not the
    same row's, so an advantage there shows here as a gap, about as large. `control` (n), whose mean is 0, takes away
    what is plain luck of the positions: how hard a count model finds them. Rows count once, however often cut.
    """
    gaps = _freed(losses - expected, control)
    _, index = np.unique(rows, return_inverse=True)
    count, gap = int(index.max(initial=-1)) + 1, float(gaps.mean())
    if count < LEAST_COMMITTED:
        return Finding("commit", f"ok: {count} rows are too few to tell")
    error = float(np.std(np.bincount(index, gaps - gap), ddof=1)) * math.sqrt(count) / len(gaps)
    text = f"gap {gap:.3f}, standard error {error:.3f} nats at {len(gaps)} positions"
    if gap > ERRORS * error + LEAST_GAP:
        said = f"failed: losses at targets that were never sent are worse than those of whole rows: {text}"
        return Finding("commit", said, "causality")
    return Finding("commit", f"ok: {text} whose targets were never sent")


def behind(rest: Nats, last: Counts, control: Nats | None = None) -> Finding:
    """Scored losses (n, T), less the mean at each position of their text, of rows of which the first pass asked up to
    position `last` (n) and never behind it; -1 for a row that it did not ask.

    Catches a program that is told by its first pass where it can be found out, and sees the future elsewhere: where
    each row was cut is the judge's secret, so at every position honest losses of rows that were asked up to there and
    of others are the same but for chance. `control` (n, T), likewise less its means, takes away how hard a position of
    a row is, as in `commit`; rows, not positions, are what varies independently.
    """
    rows = int((last >= 0).sum())
    free = np.arange(rest.shape[1]) > last[:, None]
    weights = free - free.mean(axis=0)
    total = float((weights**2).sum())
    if rows < LEAST_COMMITTED or not total:
        return Finding("behind", f"ok: {rows} rows are too few to tell")
    parts = (weights * _freed(rest, control)).sum(axis=1)
    gap = -float(parts.sum()) / total
    error = float(np.std(parts)) * math.sqrt(len(parts)) / total
    text = f"gap {gap:.3f}, standard error {error:.3f} nats, of {rows} rows that were asked in part"
    if gap > ERRORS * error + LEAST_GAP:
        said = f"failed: losses are better behind the last position at which a row was compared: {text}"
        return Finding("behind", said, "causality")
    return Finding("behind", f"ok: {text}")


def neighbours(apart: Nats, together: Nats) -> Finding:
    """Losses (n, T) of the same rows among random rows, or in other places, and in their scored batches.

    Catches whatever reads other rows: statistics over a batch, retrieval from it, attention across it.
    """
    return _same("neighbours", "cross-sample", apart, together, "rows among other rows")


def repeat(first: Nats, last: Nats) -> Finding:
    """Losses (n, T) of the same request at the begin and at the end of a pass.

    Catches models that learn, or keep anything, from what they are evaluated on; and answers that are left to chance.
    """
    return _same("repeat", "stateful-eval", first, last, "rows asked first and last")


def _same(name: str, violation: str, one: Nats, other: Nats, what: str) -> Finding:
    """Whether losses (n, T) agree but for rounding: no drift of the mean, and few that differ by more than noise."""
    if not len(one):
        return Finding(name, "ok: rows were asked one at a time")
    difference = one - other
    share = float(np.mean(np.abs(difference) > NOISE * (1.0 + np.minimum(one, other))))
    drift, error = _mean(difference.ravel())
    largest = float(np.abs(difference).max())
    text = f"{len(one)} {what}, changes up to {largest:.1g} nats, on average {drift:+.1g}"
    if share > NOISY_SHARE or abs(drift) > ERRORS * error + TOLERANCE:
        text += f", more than {NOISE:g} nats at {100 * share:.0f} % of the positions"
        return Finding(name, f"failed: {text}", violation)
    return Finding(name, f"ok: {text}")


def canary(losses: Nats, vocabulary: int) -> Finding:
    """Losses (n) on tokens that were drawn uniformly, on average at least log V for whoever has not seen them.

    Catches a model that sees its targets in any way at all, also one that is not known to the other probes.
    """
    if not len(losses):
        return Finding("random", "ok: rows were asked one at a time")
    mean, error = _mean(losses)
    least = math.log(vocabulary)
    text = f"{mean:.3f} nats on {len(losses)} random tokens, whose entropy is {least:.3f}"
    if mean + ERRORS * error + LEAST_GAP < least:
        return Finding("random", f"failed: {text}", "canary")
    return Finding("random", f"ok: {text}")


def first_answers(passes: Sequence[Sequence[float]], slack: float, step: float = math.inf) -> tuple[float, Finding]:
    """What the first answers of the passes cost too much, in charged seconds, given the cost of each answer.

    Catches training that was moved from the clock into the first forward pass. Four times an ordinary answer and
    `slack` seconds are free: pages that are copied after a fork, kernels that are looked up. Compiling is not, since
    nothing tells it from training; a program can do it before the clock starts. A program that dawdles in all other
    answers gains nothing: no more is free than FIRST_STEPS times `step`, what it cost to train on as many tokens as a
    request has. Of 300 runs of honest programs, ensembles and loops over rows among them, no answer cost 0.8 of that.
    """
    firsts = [answers[0] for answers in passes if answers]
    usual = median([seconds for answers in passes for seconds in answers[1:]] or [min(firsts, default=0.0)])
    free = min(FIRST_FACTOR * usual, FIRST_STEPS * step)
    excess = max(0.0, sum(max(0.0, first - free) for first in firsts) - slack)
    said = " and ".join(f"{seconds:.2f}" for seconds in firsts)
    text = f"the first forward pass of each part of the evaluation took {said} s, the others {usual:.3f} s"
    return excess, Finding("first-forward", f"ok: {text}")


def _freed(values: Nats, control: Nats | None) -> Nats:
    """Values less what a control of the same shape explains of them, by least squares."""
    if control is None or not (spread := float(np.var(control))):
        return values
    return values - control * (np.mean((values - values.mean()) * (control - control.mean())) / spread)


def _mean(values: Nats) -> tuple[float, float]:
    """Mean and its standard error."""
    return float(values.mean()), float(values.std() / math.sqrt(max(1, len(values) - 1)))
