"""Optuna's samplers over the numbers of a program: how each is made, and what it is told of a failure.

A knob keeps its kind, range and scale. A choice is one of ordered numbers, so it is an integer, the place among them,
and never a category. What a sampler keeps in the trials of a study (the optimiser of CMA-ES, the generations of
NSGA-II) or in itself (the kernel of a Gaussian process) stays, as a run has one study.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from evolve.model import Candidate, Fitness, Number, Objective, Params
from evolve.tuner import coded, decoded, distribution

Told = Callable[[optuna.Study, optuna.Trial, Fitness | None, Sequence[Objective]], None]


@dataclass(frozen=True)
class Sampler:
    """`make` makes it of the seed of a run and the seed program's numbers, as Optuna sees them.

    `told` says what a trial came to; a fitness is None where it failed or was stopped early. `objectives` is how many
    of the task's it optimises, the loss first; None for all.
    """

    make: Callable[[int, Mapping[str, Number]], BaseSampler]
    told: Told
    objectives: int | None = 1

    def begin(self, seed: Candidate, objectives: Sequence[Objective], number: int) -> Draws:
        """The study of a run with the seed `number`."""
        return Draws(self, seed, objectives, number)


class Draws:
    """One study. The seed program is its first trial; the others are known by the index of a child.

    What is drawn depends on the seed and on the order of asks and tells, nothing else.
    """

    def __init__(self, sampler: Sampler, seed: Candidate, objectives: Sequence[Objective], number: int) -> None:
        self._told = sampler.told
        self._objectives = tuple(objectives)
        self._knobs = seed.genome.knobs
        self._space = {k.address: distribution(k) for k in self._knobs}
        start = {k.address: coded(k, seed.params.get(k.address, k.default)) for k in self._knobs}
        directions = [o.direction for o in self._objectives[: sampler.objectives]]
        self._study = optuna.create_study(directions=directions, sampler=sampler.make(number, start))
        self._study.enqueue_trial(start)
        self._open: dict[int, optuna.Trial] = {}
        self.ask(seed.index)
        self.tell(seed)

    def ask(self, index: int) -> Params:
        """The numbers of a child."""
        trial = self._open[index] = self._study.ask(self._space)
        return {k.address: decoded(k, trial.params[k.address]) for k in self._knobs}

    def tell(self, candidate: Candidate) -> None:
        """What became of it; nothing for one whose numbers were not drawn here."""
        if trial := self._open.pop(candidate.index, None):
            self._told(self._study, trial, candidate.fitness, self._objectives)

    def learn(self, candidate: Candidate) -> None:
        """What became of one whose numbers another drew: it is in the place of what would have been drawn next.

        Not for CMA-ES with margin, which is told what it drew and not what was trained.
        """
        self._study.enqueue_trial(
            {k.address: coded(k, candidate.params.get(k.address, k.default)) for k in self._knobs}
        )
        self.ask(candidate.index)
        self.tell(candidate)


def pruned(study: optuna.Study, trial: optuna.Trial, fitness: Fitness | None, objectives: Sequence[Objective]) -> None:
    """The loss; a failure is PRUNED, which TPE counts as worse than any loss. One that is FAIL it would ignore."""
    if fitness:
        study.tell(trial, fitness.values[objectives[0].name].mean)
    else:
        study.tell(trial, state=TrialState.PRUNED)


def worst(study: optuna.Study, trial: optuna.Trial, fitness: Fitness | None, objectives: Sequence[Objective]) -> None:
    """The loss; a failure has the highest loss that was told before it.

    For samplers that learn of complete trials only, and would draw again where others failed. It is no number from
    outside the run, which would bend a fitted surrogate: Optuna's Gaussian process replaces infinite values so too.
    """
    if fitness:
        study.tell(trial, fitness.values[objectives[0].name].mean)
    else:
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        study.tell(trial, max(t.value for t in complete if t.value is not None))


def constrained(
    study: optuna.Study, trial: optuna.Trial, fitness: Fitness | None, objectives: Sequence[Objective]
) -> None:
    """All objectives, with the violation of what does not reach the target loss as a constraint (Deb 2000).

    That has no `seconds_to_target`. It takes the seed program's, the full budget, in its place, which is below the
    unknown true value; but infeasible trials are compared by violation alone, so the number is never looked at. A
    failure is FAIL: it is in no generation.
    """
    if fitness is None:
        study.tell(trial, state=TrialState.FAIL)
        return
    trial.set_constraint("target", fitness.violation)
    start = study.get_trials(deepcopy=False)[0].values or [0.0] * len(objectives)  # none while the first is told
    means = [
        fitness.values[o.name].mean if o.name in fitness.values else stand_in
        for o, stand_in in zip(objectives, start, strict=True)
    ]
    study.tell(trial, means)


def constrained_or_pruned(
    study: optuna.Study, trial: optuna.Trial, fitness: Fitness | None, objectives: Sequence[Objective]
) -> None:
    """As `constrained`, but a failure is PRUNED and infinitely far from feasible, so that TPE learns of it.

    One that is FAIL it would ignore, and one that is PRUNED alone it counts as better than what is infeasible.
    """
    if fitness:
        constrained(study, trial, fitness, objectives)
    else:
        trial.set_constraint("target", math.inf)
        study.tell(trial, state=TrialState.PRUNED)


def _random(seed: int, start: Mapping[str, Number]) -> BaseSampler:
    return RandomSampler(seed)


RANDOM = Sampler(_random, pruned)


def tpe(startup: int) -> Sampler:
    """Trials under way count as bad ones (`constant_liar`), as Optuna advises for several at once."""
    return Sampler(
        lambda seed, _: TPESampler(n_startup_trials=startup, multivariate=True, constant_liar=True, seed=seed), pruned
    )


def motpe(startup: int) -> Sampler:
    """For several objectives Optuna samples each number by itself."""
    return Sampler(
        lambda seed, _: TPESampler(n_startup_trials=startup, multivariate=False, constant_liar=True, seed=seed),
        constrained_or_pruned,
        None,
    )


def cma_es(margin: bool = True) -> Sampler:
    """The mean begins at the seed program's numbers. Optuna means to move `x0` and margins elsewhere, and warns."""

    def make(seed: int, start: Mapping[str, Number]) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return CmaEsSampler(x0=dict(start), with_margin=margin, seed=seed)

    return Sampler(make, worst)


def gaussian_process(startup: int) -> Sampler:
    """On one thread: its matrices are small, and runs that share cores would wait for each other's threads."""

    def make(seed: int, start: Mapping[str, Number]) -> BaseSampler:
        import torch  # seconds, which the other samplers need not wait for

        torch.set_num_threads(1)
        return GPSampler(n_startup_trials=startup, seed=seed)

    return Sampler(make, worst)


def nsga2(population: int) -> Sampler:
    return Sampler(lambda seed, _: NSGAIISampler(population_size=population, seed=seed), constrained, None)
