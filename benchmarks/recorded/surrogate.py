"""A surrogate for programs that are not in a recorded table: Gaussian process regression over genes, numbers and rung.

The kernel is a sum of a linear part (a gene shifts the loss by about the same wherever it is) and a squared exponential
one (interactions, optima), with one length for all genes, one for their own numbers, one for the rung and one for each
number of the seed program (Rasmussen & Williams 2006, chapters 2, 4 and 5). Hyperparameters maximise the marginal
likelihood on at most `MOST` trials. The rung is a coordinate as any other, so curves may cross, as real ones do. Learnt
is the logarithm of the loss, which is above 0: a few programs that diverge would else decide the fit.

All trials are learnt from by way of `INDUCING` of them (the projected process of section 8.3.4 there): time grows with
the trials, and not with their cube. A table with no more trials than that has the exact process.

A prediction is the mean of the process. What is judged by is one draw from it (by Matheron's rule, as in Wilson et al.
2020), the same for all: a function as smooth as the kernel has it, so that what is not known of a program is alike at
neighbouring numbers and rungs, and no search is paid for trying many. It is multiplied with what a seed makes: a
residual of the fit, as small as programs that were recorded with several seeds say. The same trial has the same loss.
Whether a trial fails is decided by the nearest recorded trials, by plain distance: what fails need not depend on what
the loss does. What it is charged is what those were charged, as a share of their budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from random import Random
from typing import Any

import numpy as np
from scipy import linalg, optimize

from benchmarks.recorded.rows import Row
from benchmarks.recorded.units import unit
from evolve.config import ConfigError
from evolve.model import Knob, Params

MOST = 600  # trials from which hyperparameters are learnt
NEAREST = 5  # trials that decide whether one fails
INDUCING = 1000  # trials by way of which all are learnt from
SMALLEST = 1e-6  # loss of which a logarithm is taken
REPEATS = 10  # trials of a program beyond its first that tell how much a seed does
FOLDS = 5
FEATURES = 1000  # of a function that is drawn
CHUNK = 256  # points that are predicted at once
Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Table:
    """Trials of a table as numbers: inputs (n, dimensions), losses (n,) with nan for a failure, and what else is known.

    `rows` (n,) is the row of each trial: those of one program stay together in cross-validation.
    """

    inputs: Array
    losses: Array
    shares: Array
    statuses: np.ndarray[Any, np.dtype[np.str_]]
    rows: Array
    rungs: Array

    def part(self, chosen: Array) -> Table:
        """The trials that are `chosen`, by an index or a mask."""
        return Table(*(getattr(self, field.name)[chosen] for field in fields(self)))


class Encoder:
    """A program as a point: a bit for each gene, a place for each number of the seed program, for each that genes
    bring (0.5 where the gene is not there), and the rung in octaves."""

    def __init__(self, seed: Sequence[Knob], genes: Sequence[str], others: Sequence[Knob]) -> None:
        self._seed, self._genes, self._others = tuple(seed), tuple(genes), tuple(others)

    @property
    def groups(self) -> Array:
        """For each coordinate the number of its length scale."""
        own = [3 + i for i in range(len(self._seed))]
        return np.array([0] * len(self._genes) + own + [1] * len(self._others) + [2])

    def points(self, genes: Sequence[str], params: Params, rungs: Sequence[float]) -> Array:
        """One for each rung (rungs, dimensions)."""
        bits = [float(gene in genes) for gene in self._genes]
        own = [unit(k, params.get(k.address, k.default)) for k in self._seed]
        others = [unit(k, params[k.address]) if k.address in params else 0.5 for k in self._others]
        return np.array([[*bits, *own, *others, math.log2(rung) / 4] for rung in rungs])


def encode(rows: Sequence[Row], encoder: Encoder, budget: float) -> Table:
    """The trials of `rows`."""
    trials = [(row, float(rung), m) for row in rows for rung, m in row.rungs.items()]
    return Table(
        inputs=np.concatenate([encoder.points(row.genes, row.knobs, list(map(float, row.rungs))) for row in rows]),
        losses=np.array([math.nan if m.loss is None else m.loss for _, _, m in trials]),
        shares=np.array([m.seconds / (budget * rung) for _, rung, m in trials]),
        statuses=np.array([m.status for _, _, m in trials]),
        rows=np.array([row.row for row, _, _ in trials]),
        rungs=np.array([rung for _, rung, _ in trials]),
    )


class Surrogate:
    """Fitted on a table. Raises `ConfigError` where fewer than ten of its trials have a loss."""

    def __init__(self, table: Table, groups: Array, hyper: Array | None = None) -> None:
        self._table = table
        self._groups = groups
        self._lengths = (table.inputs**2).sum(1)
        works = table.part(~np.isnan(table.losses))
        if len(works.losses) < 10:
            raise ConfigError(
                f"a surrogate needs ten trials with a loss, here are {len(works.losses)}: record more rows"
            )
        works = replace(works, losses=np.log(np.maximum(works.losses, SMALLEST)))
        self._mean = float(works.losses.mean())
        self._spread = float(works.losses.std()) or 1.0
        targets = (works.losses - self._mean) / self._spread
        order = np.random.default_rng(0).permutation(len(targets))
        some = order[:MOST]
        self.hyper = self._learn(works.inputs[some], targets[some]) if hyper is None else hyper
        self._inducing = works.inputs[order[:INDUCING]]
        self._prior = self._draw(works.inputs.shape[1])
        scatter = np.exp(self.hyper[2]) * np.random.default_rng(1).standard_normal(len(targets))
        unlike = targets - self._prior(works.inputs) - scatter
        self._weights, self._drawn = self._project(works.inputs, targets, unlike)
        residuals = works.losses - np.log(self.losses(works.inputs))
        self._by_seed = by_seed(works, float((residuals**2).mean()))
        self._residuals = np.sort(residuals)

    def losses(self, points: Array, drawn: bool = False) -> Array:
        """Of points (n, dimensions): of the mean of the process, or those of the one that is `drawn`."""
        weights = self._drawn if drawn else self._weights
        found = [self._kernel(chunk, self._inducing, self.hyper) @ weights for chunk in _chunks(points)]
        return np.exp(self._mean + self._spread * (np.concatenate(found) + (self._prior(points) if drawn else 0)))

    def noise(self, program: str, seed: int) -> float:
        """What a loss is multiplied with, the same for the same `program` (with numbers and rung) and seed."""
        return math.exp(math.sqrt(self._by_seed) * float(Random(f"{program}:{seed}").choice(self._residuals)))

    def statuses(self, points: Array) -> list[tuple[str, float]]:
        """What comes of each trial, and the share of its budget that it is charged."""
        apart = (_squares(chunk, self._table.inputs, self._lengths) for chunk in _chunks(points))
        return [self._status(distance) for distances in apart for distance in distances]

    def _status(self, distance: Array) -> tuple[str, float]:
        """Of a trial with these distances, squared, from all of the table."""
        nearest = np.argpartition(distance, NEAREST)[:NEAREST]
        nearest = nearest[np.lexsort((nearest, distance[nearest]))]
        weight = 1 / (distance[nearest] + 1e-3)
        failed = self._table.statuses[nearest] != "ok"
        fails = bool((weight * failed).sum() > weight.sum() / 2)
        alike = nearest[failed == fails]
        return str(self._table.statuses[alike[0]]), float(np.median(self._table.shares[alike]))

    def _project(self, inputs: Array, *targets: Array) -> list[Array]:
        """Weights of the inducing points (Rasmussen & Williams, equation 8.14, by way of two triangles), for each."""
        factor = linalg.cholesky(
            self._kernel(self._inducing, self._inducing, self.hyper) + 1e-6 * np.eye(len(self._inducing)), lower=True
        )
        half = linalg.solve_triangular(factor, self._kernel(self._inducing, inputs, self.hyper), lower=True)
        inner = half @ half.T + (np.exp(2 * self.hyper[2]) + 1e-6) * np.eye(len(factor))
        inner_factor = linalg.cho_factor(inner, lower=True)
        solved = (linalg.cho_solve(inner_factor, half @ each) for each in targets)
        return [linalg.solve_triangular(factor.T, whitened, lower=False) for whitened in solved]

    def _draw(self, dimensions: int) -> Callable[[Array], Array]:
        """A function of points (n, dimensions) drawn from the process before any trial, by Fourier features."""
        draw = np.random.default_rng(0)
        lengths = np.exp(self.hyper[3:])[self._groups]
        waves = draw.standard_normal((dimensions, FEATURES)) / lengths[:, None]
        phases, heights = draw.uniform(0, 2 * np.pi, FEATURES), draw.standard_normal(FEATURES)
        slopes = np.exp(self.hyper[1]) * draw.standard_normal(dimensions + 1)

        def drawn(points: Array) -> Array:
            bell = np.exp(self.hyper[0]) * math.sqrt(2 / FEATURES) * np.cos(points @ waves + phases) @ heights
            return bell + points @ slopes[1:] + slopes[0]

        return drawn

    def _kernel(self, left: Array, right: Array, hyper: Array) -> Array:
        lengths = np.exp(hyper[3:])[self._groups]
        left_scaled, right_scaled = left / lengths, right / lengths
        bell = np.exp(2 * hyper[0] - 0.5 * _squares(left_scaled, right_scaled, (right_scaled**2).sum(1)))
        return bell + np.exp(2 * hyper[1]) * (left @ right.T + 1)

    def _learn(self, inputs: Array, targets: Array) -> Array:
        """Logarithms of: amplitude, slope of the linear part, noise, lengths by group."""
        members = [inputs[:, self._groups == group] for group in range(self._groups.max() + 1)]
        squares = [((m[:, None] - m[None]) ** 2).sum(-1) for m in members]
        linear, identity = inputs @ inputs.T + 1, np.eye(len(targets))

        def cost(hyper: Array) -> tuple[float, Array]:
            """Negative logarithm of the marginal likelihood and its gradient (Rasmussen & Williams, equation 5.9)."""
            shares = np.exp(-2 * hyper[3:])
            bell = np.exp(2 * hyper[0] - 0.5 * sum(s * share for s, share in zip(squares, shares, strict=True)))
            slope, noise = np.exp(2 * hyper[1]) * linear, (np.exp(2 * hyper[2]) + 1e-6) * identity
            factor = linalg.cho_factor(bell + slope + noise, lower=True)
            solved = linalg.cho_solve(factor, targets)
            inverse = linalg.cho_solve(factor, identity) - np.outer(solved, solved)
            far = hyper[3:] - math.log(1.5)  # lengths are of the order of the space
            value = 0.5 * targets @ solved + np.log(np.diag(factor[0])).sum() + 0.5 * (far**2).sum()
            moved = [
                2 * bell,
                2 * slope,
                2 * noise,
                *(bell * s * share for s, share in zip(squares, shares, strict=True)),
            ]
            gradient = np.array([0.5 * (inverse * change).sum() for change in moved])
            gradient[3:] += far
            return float(value), gradient

        start = np.concatenate(([0.0, -1.5, -1.5], np.full(len(members), math.log(1.5))))
        bounds = [(-4.0, 2.0), (-5.0, 1.0), (-5.0, 0.0), *[(-2.0, 4.0)] * len(members)]
        return np.array(optimize.minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds).x)


def _chunks(points: Array) -> Iterator[Array]:
    return (points[i : i + CHUNK] for i in range(0, len(points), CHUNK))


def _squares(left: Array, right: Array, lengths: Array) -> Array:
    """Squared distances of each of `left` to each of `right`, whose squared `lengths` are known."""
    return np.maximum((left**2).sum(1)[:, None] + lengths - 2 * left @ right.T, 0)


def by_seed(table: Table, variance: float) -> float:
    """The share of the residuals' `variance` that a seed makes: pooled over trials of one program, numbers and rung."""
    _, program = np.unique(table.inputs, axis=0, return_inverse=True)
    counts = np.bincount(program)
    more = len(program) - len(counts)
    if more < REPEATS or variance == 0:
        return 1.0
    means = np.bincount(program, table.losses) / counts
    return min(1.0, float(((table.losses - means[program]) ** 2).sum()) / more / variance)


def cross_validated(table: Table, groups: Array, hyper: Array) -> dict[str, Any]:
    """How well programs are predicted whose row was left out, each of five folds in turn: over trials that have a loss.

    Root of the mean squared error, the spread of the losses beside it, rank correlation (Spearman) in all and at each
    rung, and of failures the share that is foretold and of successes the share that is mistaken for one. The
    hyperparameters are those of the whole table.
    """
    from scipy import stats  # takes seconds to import, and a search needs none of it

    predicted = np.full(len(table.losses), np.nan)
    fails = np.zeros(len(table.losses), bool)
    rows = np.unique(table.rows)
    fold_of = dict(zip(rows, np.random.default_rng(0).permutation(len(rows)) % FOLDS, strict=True))
    folds = np.array([fold_of[row] for row in table.rows])
    for fold in np.unique(folds):
        out = np.flatnonzero(folds == fold)
        fitted = Surrogate(table.part(folds != fold), groups, hyper)
        predicted[out] = fitted.losses(table.inputs[out])
        fails[out] = [status != "ok" for status, _ in fitted.statuses(table.inputs[out])]
    works = ~np.isnan(table.losses)
    error = predicted[works] - table.losses[works]
    ranks = {"all": works, **{f"{rung:g}": works & (table.rungs == rung) for rung in np.unique(table.rungs)}}
    return {
        "trials": len(works),
        "with_loss": int(works.sum()),
        "rmse": float(np.sqrt((error**2).mean())),
        "standard_deviation": float(table.losses[works].std()),
        "spearman": {
            name: float(stats.spearmanr(predicted[chosen], table.losses[chosen]).statistic)
            for name, chosen in ranks.items()
            if chosen.sum() > 2
        },
        "failures_foretold": float(fails[~works].mean()) if (~works).any() else None,
        "successes_mistaken": float(fails[works].mean()),
    }
