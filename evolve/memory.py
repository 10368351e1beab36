"""How much device memory a trial will need, estimated from the trials that were measured; refuses what cannot fit.

The peak of a training is a posynomial of its sizes: a sum of products of powers of them with positive factors (weights
DEPTH DIM^2, activations BATCH_SIZE DIM, a context). Its logarithm is convex in the logarithms of the sizes (Boyd and
others 2007, A tutorial on geometric programming, section 2), so a linear law through what was measured lies below what
lies outside of it: it errs on the side of starting. The law is a Bayesian linear regression (Bishop 2006, section 3.3):

    log peak = c + sum over sizes b_s log(s / its first value) + sum over a lineage's structures u_k + noise

`b_s` ~ N(0.5, 0.5^2): a number that does not matter is as likely as one that is proportional, and what was never varied
refuses nobody. Only of a batch's size it is known that nearly all of a large peak grows with it. `u_k` ~ N(0, 0.6^2) is
what the edits of one candidate changed, whatever they are, so a child is its parent until it is measured. The
noise's variance is estimated with the rest, from a prior of four observations.

PyTorch's allocator keeps more than is needed, and gives it back before it fails: peaks of ok trials were found to be up
to 33 % fragments (Guo and others 2024, GMLake, arXiv 2401.08156). So a trial fits if its peak divided by a slack is
below the limit; the slack's logarithm is N(0.17, 0.12^2), 1.2 and rarely 1.5. For the same reason a peak near the limit
says no more than that the free one is between it and the limit with all slack, and an out-of-memory that it is
above the limit. Such bounds pull at the law only where it contradicts them, which favours starting again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from evolve.model import Genome, Outcome, Params

EXPONENT, BATCH_EXPONENT = (0.5, 0.5), (0.8, 0.25)  # mean and standard deviation
BATCH = re.compile(r"(?<!TOTAL_)BATCH", re.I)  # a total is reached by accumulation
STRUCTURE = 0.6  # standard deviation of what a candidate's edits do to the logarithm of a peak
NOISE, WORTH = 0.1, 4  # standard deviation, and of how many observations this is worth
SLACK, SLACK_DEVIATION, MOST_SLACK = 0.17, 0.12, math.log(1.5)
NEAR = 0.9  # of the limit: from there on a peak may have been held down by it
ROUNDS = 12  # of fitting, until it is settled which bounds matter
SURE = 1.96  # standard deviations: a probability below 2.5 % on one side
DEVICE = re.compile(r"out ?of ?(device )?memory", re.I)  # what is said where the host's memory is not meant
REFUSED = "estimated "


@dataclass(frozen=True)
class Program:
    """`lineage` are the keys of its structure and of its ancestors'; `sizes` are logarithms by address."""

    lineage: tuple[str, ...]
    sizes: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, lineage: Iterable[str], genome: Genome, params: Params) -> Program:
        """Sizes are the numbers that are at least 1 wherever they are tuned: no rates, no decays."""
        known = {k.address: max(1.0, params.get(k.address, k.default)) for k in genome.knobs if k.low >= 1}
        return cls(tuple(sorted(set(lineage))), tuple(sorted((a, math.log(size)) for a, size in known.items())))


@dataclass(frozen=True)
class Range:
    """Where the logarithm of a peak in MiB lies, as far as a trial says; both are the same where it was measured."""

    low: float
    high: float


class Law:
    """The regression over `found`, in which some peak was measured. Everything is in logarithms of MiB."""

    def __init__(self, found: Mapping[Program, Range]) -> None:
        self._first: dict[str, float] = {}
        for program in found:
            self._first = dict(program.sizes) | self._first
        structures = dict.fromkeys(key for program in found for key in program.lineage)
        self._columns = {name: i for i, name in enumerate(["", *self._first, *structures])}
        low, high = (np.array([getattr(r, side) for r in found.values()]) for side in ("low", "high"))
        exponents = [BATCH_EXPONENT if BATCH.search(name) else EXPONENT for name in self._first]
        self._prior = np.array([float(low[low == high].mean()), *(m for m, _ in exponents), *(0.0 for _ in structures)])
        self._spread = np.array([3.0, *(s for _, s in exponents), *(STRUCTURE for _ in structures)]) ** 2
        self._fit(np.array([self._row(program)[0] for program in found]), low, high)

    def _row(self, program: Program) -> tuple[np.ndarray, float]:
        """The features of a program, and the variance of what no trial has shown anything of."""
        row, unknown = np.zeros(len(self._columns)), 0.0
        row[0] = 1.0
        for address, size in program.sizes:
            if address in self._columns:
                row[self._columns[address]] = size - self._first[address]
            else:
                unknown += (EXPONENT[1] * size) ** 2
        for key in program.lineage:
            if key in self._columns:
                row[self._columns[key]] = 1.0
            else:
                unknown += STRUCTURE**2
        return row, unknown

    def _fit(self, rows: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        used, aim, self._noise = low == high, low, NOISE**2
        for _ in range(ROUNDS):
            some = rows[used]
            self._covariance = np.linalg.inv(np.diag(1 / self._spread) + some.T @ some / self._noise)
            residuals = aim[used] - some @ self._prior
            self._weights = self._prior + self._covariance @ some.T @ residuals / self._noise
            free = len(some) - ((some @ self._covariance) * some).sum() / self._noise
            left = float(((aim[used] - some @ self._weights) ** 2).sum())
            self._noise = (WORTH * NOISE**2 + left) / (WORTH + max(0.0, float(free)))
            here = rows @ self._weights
            aim = np.clip(here, low, high)
            used = (low == high) | (aim != here)

    def predict(self, program: Program) -> tuple[float, float]:
        """Mean and standard deviation of the logarithm of a peak."""
        row, unknown = self._row(program)
        return float(row @ self._weights), math.sqrt(float(row @ self._covariance @ row) + self._noise + unknown)

    def distance(self, one: Program, other: Program) -> float:
        """How uncertain the difference of two programs was before anything was measured: a variance."""
        (a, unknown_a), (b, unknown_b) = self._row(one), self._row(other)
        return float((a - b) ** 2 @ self._spread) + unknown_a + unknown_b


def hopeless(mean: float, deviation: float, limit: float) -> bool:
    """Whether a trial fits below `limit` MiB with a probability of less than 2.5 %."""
    return mean - SLACK - math.log(limit) > SURE * math.hypot(deviation, SLACK_DEVIATION)


def told(outcome: Outcome, purpose: str, limit: float) -> Range | None:
    """What an outcome on a device of `limit` MiB says of a peak, or on one of which it tells the memory; None: nothing.

    That memory was out is the program's word. It is believed where the judge saw at least half of the limit in use.
    """
    limit = outcome.metrics.get("device_memory_mb", limit)
    peak = outcome.metrics.get("peak_device_mb", 0.0)
    if outcome.status == "oom" and DEVICE.search(outcome.reason) and min(peak, limit) > 0:
        return Range(math.log(limit if peak >= limit / 2 else peak), math.inf)
    if outcome.status != "ok" or peak <= 0:
        return None
    high = math.log(peak)
    if purpose == "smoke" or peak >= NEAR * limit:  # too short to be looked at often; held down by the limit
        high = max(high, math.log(limit) + MOST_SLACK)
    return Range(math.log(peak), high)


def refused(outcome: Outcome) -> bool:
    """Whether a trial was not started because of its estimate."""
    return outcome.status == "oom" and not outcome.device and outcome.reason.startswith(REFUSED)
