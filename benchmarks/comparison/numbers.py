"""Optuna's samplers as methods: numbers for the seed program, whose structure stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import optuna

from evolve.model import Briefing, Candidate, Mating, Objective, Params, Proposal, Rejected
from evolve.search import ParetoSearch
from evolve.tuner import coded, decoded, distribution

OPERATOR = "numbers"
MOST = 1 << 20  # candidates of a run
NewSampler = Callable[[int], optuna.samplers.BaseSampler]


def uniform(seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler(seed)


def tpe(seed: int) -> optuna.samplers.BaseSampler:
    """With Optuna's ten trials at random first."""
    return optuna.samplers.TPESampler(multivariate=True, seed=seed)


class Numbers(ParetoSearch):
    """All children are the seed program's. A mating's `seed` holds how many candidates had been told by then.

    So the numbers that follow from it are the same whenever they are drawn, also after a cut.
    """

    def __init__(self, objectives: Sequence[Objective], size: int, seed: int) -> None:
        super().__init__(objectives, size, {}, seed)

    def ask(self, index: int) -> Mating:
        if "0" not in self.archive:
            raise ValueError("the seed program has to be told before the first ask")
        return Mating(index, OPERATOR, (self.archive["0"],), None, index * MOST + len(self.archive))


class Sampled:
    """An `Operator`: what a sampler says, given the losses at the full budget that `search` had been told.

    The sampler is made anew for each child from a seed of its own. A failure is told as pruned, which TPE counts as
    worse than any loss.
    """

    name, arity, mended_by, structural = OPERATOR, 1, "", False

    def __init__(self, search: Numbers, sampler: NewSampler, seed: int) -> None:
        self._search = search
        self._sampler = sampler
        self._seed = seed

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        seed = mating.parents[0]
        told = list(self._search.archive.values())[: mating.seed % MOST]
        rng = Random(f"{self._seed}:{mating.index}:numbers")
        return Proposal(seed.genome, (), "a sampler's numbers", self._draw(seed, told, rng.getrandbits(32)))

    def _draw(self, seed: Candidate, told: Sequence[Candidate], number: int) -> Params:
        loss = self._search.objectives[0].name
        study = optuna.create_study(direction="minimize", sampler=self._sampler(number))
        knobs = seed.genome.knobs
        space = {k.address: distribution(k) for k in knobs}
        for candidate in told:
            values = {k.address: coded(k, candidate.params.get(k.address, k.default)) for k in knobs}
            if candidate.fitness:
                value = candidate.fitness.values[loss].mean
                study.add_trial(optuna.trial.create_trial(params=values, distributions=space, value=value))
            elif candidate.verdict == "failed":
                state = optuna.trial.TrialState.PRUNED
                study.add_trial(optuna.trial.create_trial(params=values, distributions=space, state=state))
        trial = study.ask(space)
        return {k.address: decoded(k, trial.params[k.address]) for k in knobs}
