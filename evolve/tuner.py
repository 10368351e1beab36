"""Numbers for one genome: Optuna's TPE, started from the parent. The only file that searches with optuna.

A study of a new structure lives for a few trials, too few for a sampler that starts at random. So it begins at the
parent's parameters and takes small steps from them, until it or its ancestors of the same structure have enough trials
for TPE. A model of all programs' trials draws numbers that served most of them, where the parent's are those that
served the best: it was worse (benchmarks/results/table). Every draw depends on the seed and on what was told, nothing
else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import optuna

from evolve.model import Knob, Number, Params

STARTUP = 5  # trials before TPE takes over from small steps
DRAWS = 16  # until one is new; a space of few choices may have no new one
STEP = 0.12  # standard deviation of a start-up step, as a share of a knob's range

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Study:
    """What is known of one genome at the low rung: (parameters, loss or None for a failure), the anchor first."""

    trials: tuple[tuple[Params, float | None], ...]


class TpeTuner:
    """A `Tuner` around `anchor`. `known` are trials of its ancestors with the same structure."""

    def __init__(self, anchor: Params, known: Study, seed: int) -> None:
        self._anchor = anchor
        self._trials = list(known.trials)
        self._seed = seed

    @property
    def best(self) -> float:
        """The lowest loss of the genome so far; infinite without any."""
        return min((loss for _, loss in self._trials if loss is not None), default=math.inf)

    def ask(self, knobs: Sequence[Knob]) -> Params:
        """The anchor first, then small steps from it, then TPE."""
        start = first_parameters(knobs, self._anchor)
        seen = [params for params, _ in self._trials]
        rng = Random(f"{self._seed}:{len(seen)}")
        ready = sum(loss is not None for _, loss in self._trials) >= STARTUP
        params: Params = start
        for _ in range(DRAWS):
            if params not in seen:
                break
            step = self._tpe(knobs, start, rng.getrandbits(32)) if ready else small_step(knobs, start, rng)
            params = start | step
        return params

    def tell(self, params: Params, loss: float | None) -> None:
        self._trials.append((dict(params), loss))

    def _tpe(self, knobs: Sequence[Knob], start: Params, seed: int) -> dict[str, Number]:
        """A failure is told as pruned, which TPE counts as worse than any loss; trials that failed it would ignore.

        A number that an earlier trial did not have counts there as it is in `start`.
        """
        sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP, multivariate=True, seed=seed)
        study = optuna.create_study(direction="minimize", sampler=sampler)
        space = {k.address: distribution(k) for k in knobs}
        for params, loss in self._trials:
            values = {k.address: coded(k, params.get(k.address, start[k.address])) for k in knobs}
            state = optuna.trial.TrialState.PRUNED if loss is None else optuna.trial.TrialState.COMPLETE
            study.add_trial(optuna.trial.create_trial(params=values, distributions=space, value=loss, state=state))
        trial = study.ask(space)
        return {k.address: decoded(k, trial.params[k.address]) for k in knobs}


def first_parameters(knobs: Sequence[Knob], inherited: Params) -> dict[str, Number]:
    """A value for each knob: the inherited one, moved into the knob's range, or the default."""
    return {k.address: _inside(k, inherited.get(k.address, k.default)) for k in knobs}


def importance(studies: Iterable[tuple[Sequence[Knob], Study]]) -> dict[str, float]:
    """How much of the loss each knob explains: squared correlation within studies, pooled, shrunk by n / (n + 8).

    Values in 0..1 by address. Values of a knob are taken on its own scale (log where it is declared so).
    """
    points: dict[str, list[tuple[float, float]]] = {}
    for knobs, study in studies:
        trials = [(params, loss) for params, loss in study.trials if loss is not None]
        if len(trials) < 3:
            continue
        losses = np.array([loss for _, loss in trials])
        for knob in knobs:
            units = np.array([_unit(knob, params.get(knob.address, knob.default)) for params, _ in trials])
            if np.ptp(units) > 0:
                centred = zip(units - units.mean(), losses - losses.mean(), strict=True)
                points.setdefault(knob.address, []).extend((float(u), float(v)) for u, v in centred)
    return {address: _explained(np.array(p)) for address, p in points.items()}


def _explained(points: np.ndarray) -> float:
    u, v = points[:, 0], points[:, 1]
    norm = float((u * u).sum() * (v * v).sum())
    return float((u * v).sum()) ** 2 / norm * len(points) / (len(points) + 8) if norm > 0 else 0.0


def small_step(tuned: Sequence[Knob], start: Params, rng: Random) -> dict[str, Number]:
    """Half of the knobs, at least one, moved by a normal step on their own scale."""
    moved = [k for k in tuned if rng.random() < 0.5] or ([rng.choice(tuned)] if tuned else [])
    return {k.address: _from_unit(k, _unit(k, start[k.address]) + rng.gauss(0, _width(k))) for k in moved}


def _width(knob: Knob) -> float:
    """At least most of one step of a discrete knob, so that it does move."""
    steps = len(knob.values) - 1 if knob.kind == "choice" else knob.high - knob.low if knob.kind == "int" else 0
    return max(STEP, 0.8 / steps) if steps else STEP


def _unit(knob: Knob, value: Number) -> float:
    """`value` on a scale of 0 to 1 over the knob's range."""
    if knob.kind == "choice":
        return _index(knob, value) / max(1, len(knob.values) - 1)
    low, high, at = knob.low, knob.high, _inside(knob, value)
    if knob.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / (high - low) if high > low else 0.0


def _from_unit(knob: Knob, unit: float) -> Number:
    unit = min(1.0, max(0.0, unit))
    if knob.kind == "choice":
        return knob.values[round(unit * (len(knob.values) - 1))]
    if knob.log:
        value = math.exp(math.log(knob.low) + unit * (math.log(knob.high) - math.log(knob.low)))
    else:
        value = knob.low + unit * (knob.high - knob.low)
    return decoded(knob, value)


def distribution(knob: Knob) -> optuna.distributions.BaseDistribution:
    if knob.kind == "choice":  # ordered, so an index keeps more than a category would
        return optuna.distributions.IntDistribution(0, len(knob.values) - 1)
    if knob.kind == "int":
        return optuna.distributions.IntDistribution(int(knob.low), int(knob.high), log=knob.log)
    return optuna.distributions.FloatDistribution(knob.low, knob.high, log=knob.log)


def coded(knob: Knob, value: Number) -> Number:
    """What Optuna sees; a parent's value outside the child's range becomes the nearest inside."""
    return _index(knob, value) if knob.kind == "choice" else _inside(knob, value)


def decoded(knob: Knob, value: Number) -> Number:
    """The number itself; floats with four significant digits, as they are written into a program."""
    if knob.kind == "choice":
        return knob.values[int(value)]
    return _inside(knob, value if knob.kind == "int" else float(f"{value:.4g}"))


def _inside(knob: Knob, value: Number) -> Number:
    """The nearest value that the knob allows."""
    if knob.kind == "choice":
        return knob.values[_index(knob, value)]
    inside = min(knob.high, max(knob.low, value))
    return round(inside) if knob.kind == "int" else inside


def _index(knob: Knob, value: Number) -> int:
    """The place of the nearest of the knob's values."""
    return min(range(len(knob.values)), key=lambda i: abs(knob.values[i] - value))
