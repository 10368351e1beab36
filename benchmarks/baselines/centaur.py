"""CMA-ES of which a language model takes over three trials in ten (Ferreira et al. 2026, arXiv 2603.24647).

The model sees the ranges, the best five and the latest twenty trials, and proposes numbers; whatever it proposes,
CMA-ES is told as if it had drawn it. Other than in the paper the model does not see the mean and the covariance of
CMA-ES. An answer that cannot be used is no trial. CMA-ES is as for `cmaes`, but without margin, which cannot be told
what another drew.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from benchmarks.comparison.advised import Advised, name_of
from benchmarks.comparison.method import Given, Method, Setup, without_model
from benchmarks.comparison.numbers import OPERATOR, Numbers, Sampled
from benchmarks.comparison.samplers import Draws, cma_es
from evolve.model import Candidate, Mating, Objective
from evolve.protocols import Operator
from operators.llm.arms import Opened

SHARE = 0.3  # of the asks, for the model


class Shared(Numbers):
    """Each ask goes to CMA-ES or, with probability `SHARE`, to one of the models."""

    def __init__(self, objectives: Sequence[Objective], size: int, seed: int, models: Sequence[str]) -> None:
        super().__init__(objectives, size, seed)
        self._models = models

    def ask(self, index: int) -> Mating:
        mating = super().ask(index)
        rng = Random(f"{self._seed}:{index}")
        if rng.random() >= SHARE:
            return mating
        return Mating(index, name_of(rng.choice(self._models)), mating.parents, None, index)


class Learning(Sampled):
    """What CMA-ES draws that learns of the model's trials too."""

    def _take(self, step: int | Candidate) -> None:
        if isinstance(self._draws, Draws) and isinstance(step, Candidate) and step.operator != OPERATOR:
            if step.verdict in ("ok", "failed"):
                self._draws.learn(step)
        else:
            super()._take(step)


def setup(given: Given, seed: int) -> Setup:
    language = given.language
    assert language is not None
    search = Shared(given.plan.objectives, given.population, seed, language.models)

    def asking(opened: Opened) -> dict[str, Operator]:
        limits = language.answer_tokens, language.prompt_tokens
        return {name_of(model): Advised(opened.desk, model, *limits) for model in language.models}

    return Setup(search, {OPERATOR: Learning(search, cma_es(margin=False), seed)}, given.by_loss, asking=asking)


METHOD = Method(
    "centaur", "CMA-ES with 30 % of the trials by a language model (Ferreira et al. 2026)", setup, without_model
)
