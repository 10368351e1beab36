"""A surrogate for programs that are not in a recorded table: Gaussian process regression over genes, numbers and rung.

The kernel is a sum of a linear part (a gene shifts the loss by about the same wherever it is) and a squared exponential
one (interactions, optima), with one length for all genes, one for their own numbers, one for the rung and one for each
number of the seed program (Rasmussen & Williams 2006, chapters 2, 4 and 5). Hyperparameters maximise the marginal
likelihood on at most `MOST` trials. The rung is a coordinate as any other, so curves may cross, as real ones do.

A prediction is the mean of the process, plus a residual of the fit that is drawn by program, numbers, rung and seed:
the same trial has the same loss, another seed another one. Whether a trial fails is decided by the nearest recorded
trials, by plain distance: what fails need not depend on what the loss does. What it is charged is what those were
charged, as a share of their budget.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from scipy import linalg, optimize, stats

from benchmarks.recorded.rows import Row
from benchmarks.recorded.units import unit
from evolve.model import Genome, Knob, Params

MOST = 600  # trials from which hyperparameters are learnt
NEAREST = 5  # trials that decide whether one fails
FOLDS = 5
Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Table:
    """Trials of a table as numbers: inputs (n, dimensions), losses (n,) with nan for a failure, and what else is known.

    `rows` (n,) is the row of each trial: those of one program stay together in cross-validation.
    """

    inputs: Array
    losses: Array
    shares: Array
    statuses: tuple[str, ...]
    rows: Array
    rungs: Array


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

    def point(self, genes: Sequence[str], params: Params, rung: float) -> Array:
        bits = [float(gene in genes) for gene in self._genes]
        own = [unit(k, params.get(k.address, k.default)) for k in self._seed]
        others = [unit(k, params[k.address]) if k.address in params else 0.5 for k in self._others]
        return np.array([*bits, *own, *others, math.log2(rung) / 4])


def encode(rows: Sequence[Row], encoder: Encoder, budget: float) -> Table:
    """The trials of `rows`."""
    trials = [(row, float(rung), m) for row in rows for rung, m in row.rungs.items()]
    return Table(
        inputs=np.array([encoder.point(row.genes, row.knobs, rung) for row, rung, _ in trials]),
        losses=np.array([math.nan if m.loss is None else m.loss for _, _, m in trials]),
        shares=np.array([m.seconds / (budget * rung) for _, rung, m in trials]),
        statuses=tuple(m.status for _, _, m in trials),
        rows=np.array([row.row for row, _, _ in trials]),
        rungs=np.array([rung for _, rung, _ in trials]),
    )


def others_of(genomes: Sequence[Genome], seed: Genome) -> list[Knob]:
    """The numbers that genes bring, in order of their address; the first declaration of each."""
    found = {k.address: k for genome in reversed(genomes) for k in genome.knobs}
    return [found[address] for address in sorted(found.keys() - {k.address for k in seed.knobs})]


class Surrogate:
    """Fitted on a table. Raises ValueError where fewer than ten of its trials have a loss."""

    def __init__(self, table: Table, groups: Array, hyper: Array | None = None) -> None:
        self._table = table
        self._groups = groups
        works = ~np.isnan(table.losses)
        if works.sum() < 10:
            raise ValueError(f"a surrogate needs ten trials with a loss, the table has {works.sum()}")
        self._inputs, losses = table.inputs[works], table.losses[works]
        self._mean = float(losses.mean())
        self._spread = float(losses.std()) or 1.0
        targets = (losses - self._mean) / self._spread
        self.hyper = self._learn(targets) if hyper is None else hyper
        kernel = self._kernel(self._inputs, self._inputs, self.hyper)
        noisy = kernel + (np.exp(2 * self.hyper[2]) + 1e-8) * np.eye(len(kernel))
        self._weights = linalg.cho_solve(linalg.cho_factor(noisy, lower=True), targets)
        self._residuals = np.sort(losses - self._predict(self._inputs))

    def loss(self, point: Array) -> float:
        """Without noise."""
        return float(self._predict(point[None])[0])

    def noise(self, key: str) -> float:
        """A residual of the fit, the same for the same `key`."""
        return float(Random(key).choice(self._residuals))

    def status(self, point: Array) -> tuple[str, float]:
        """What comes of a trial, and the share of its budget that it is charged."""
        distance = ((self._table.inputs - point) ** 2).sum(axis=1)
        nearest = np.argsort(distance, kind="stable")[:NEAREST]
        weight = 1 / (distance[nearest] + 1e-3)
        failed = np.array([self._table.statuses[i] != "ok" for i in nearest])
        fails = bool((weight * failed).sum() > weight.sum() / 2)
        alike = nearest[failed == fails]
        return self._table.statuses[alike[0]], float(np.median(self._table.shares[alike]))

    def _predict(self, points: Array) -> Array:
        return self._mean + self._spread * (self._kernel(points, self._inputs, self.hyper) @ self._weights)

    def _kernel(self, left: Array, right: Array, hyper: Array) -> Array:
        lengths = np.exp(hyper[3:])[self._groups]
        a, b = left / lengths, right / lengths
        squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
        return np.exp(2 * hyper[0]) * np.exp(-0.5 * np.maximum(squares, 0)) + np.exp(2 * hyper[1]) * (
            left @ right.T + 1
        )

    def _learn(self, targets: Array) -> Array:
        """Logarithms of: amplitude, slope of the linear part, noise, lengths by group."""
        some = np.random.default_rng(0).permutation(len(targets))[:MOST]
        inputs, targets = self._inputs[some], targets[some]
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


def cross_validated(table: Table, groups: Array, hyper: Array) -> dict[str, Any]:
    """How well programs are predicted whose row was left out, each of five folds in turn: over trials that have a loss.

    Root of the mean squared error, the spread of the losses beside it, rank correlation (Spearman) in all and at each
    rung, and of failures the share that is foretold and of successes the share that is mistaken for one. The
    hyperparameters are those of the whole table.
    """
    predicted = np.full(len(table.losses), np.nan)
    fails = np.zeros(len(table.losses), bool)
    rows = np.unique(table.rows)
    fold_of = dict(zip(rows, np.random.default_rng(0).permutation(len(rows)) % FOLDS, strict=True))
    folds = np.array([fold_of[row] for row in table.rows])
    for fold in range(FOLDS):
        fitted = Surrogate(_part(table, folds != fold), groups, hyper)
        for i in np.flatnonzero(folds == fold):
            predicted[i] = fitted.loss(table.inputs[i])
            fails[i] = fitted.status(table.inputs[i])[0] != "ok"
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


def _part(table: Table, chosen: Array) -> Table:
    statuses = tuple(status for status, keep in zip(table.statuses, chosen, strict=True) if keep)
    arrays = (table.inputs, table.losses, table.shares, table.rows, table.rungs)
    inputs, losses, shares, rows, rungs = (array[chosen] for array in arrays)
    return Table(inputs, losses, shares, statuses, rows, rungs)
