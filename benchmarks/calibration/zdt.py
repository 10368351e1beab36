"""NSGA-II on the problems of Zitzler, Deb & Thiele (2000): our selection, and three other implementations of it.

All get the same population, number of evaluations, simulated binary crossover (probability 0.9, eta 20; each number
with 0.5) and polynomial mutation (each number with 1 / n, eta 20), as in Deb et al. 2002, and keep repetitions. `ours`
is `evolve.selection` driven as they are, by generations, with tournaments on the order of the paper: by rank, then by
crowding. That is what should equal `pymoo`, which is told to compare so too. `deap` (the loop of its documentation) and
`pymoo_default` have tournaments by dominance, then crowding, as Deb's program has, and should equal each other.
`optuna` has them by dominance alone, and a pair has one child; neither can be set. `steady` is
`evolve.search.ParetoSearch` one child at a time, as in a run, but with the paper's tournaments, where a run draws most
parents from the front; it is expected to be ahead at equal evaluations (Durillo et al. 2009, on steady-state NSGA-II).
Each returns the objectives of all points that it evaluated.
"""

from __future__ import annotations

import importlib
import math
import random
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any

import numpy as np
import optuna
from deap import base, tools

from evolve import selection
from evolve.arms import Arm
from evolve.config import ConfigError
from evolve.model import Candidate, Estimate, Fitness, Genome, Objective
from evolve.search import ParetoSearch

Point = list[float]
Values = tuple[float, float]
Problem = Callable[[Point], Values]
DIMENSIONS = 30
ETA, CROSSOVER = 20.0, 0.9
OBJECTIVES = (Objective("f1"), Objective("f2"))
ARMS = {"vary": Arm(1, 1.0)}

optuna.logging.set_verbosity(optuna.logging.WARNING)


def _g(x: Point) -> float:
    return 1 + 9 * sum(x[1:]) / (len(x) - 1)


def zdt1(x: Point) -> Values:
    """Convex front f2 = 1 - sqrt(f1)."""
    return x[0], _g(x) * (1 - math.sqrt(x[0] / _g(x)))


def zdt2(x: Point) -> Values:
    """Concave front f2 = 1 - f1^2."""
    return x[0], _g(x) * (1 - (x[0] / _g(x)) ** 2)


def zdt3(x: Point) -> Values:
    """A front in five pieces."""
    ratio = x[0] / _g(x)
    return x[0], _g(x) * (1 - math.sqrt(ratio) - ratio * math.sin(10 * math.pi * x[0]))


PROBLEMS: dict[str, Problem] = {"zdt1": zdt1, "zdt2": zdt2, "zdt3": zdt3}


def ideal_front(name: str) -> list[Values]:
    """Points of the Pareto front, densely; those of zdt3 that are dominated are no harm to a hypervolume."""
    return [PROBLEMS[name]([at, *[0.0] * (DIMENSIONS - 1)]) for at in np.linspace(0, 1, 2001).tolist()]


class Variation:
    """deap's operators. They draw from the module `random`, which is seeded for each call, so nothing else matters."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)

    def start(self) -> Point:
        return [self._rng.random() for _ in range(DIMENSIONS)]

    def children(self, mother: Point, father: Point) -> tuple[Point, Point]:
        """Two children of copies of the parents."""
        random.seed(self._rng.getrandbits(64))
        one, other = list(mother), list(father)
        if random.random() < CROSSOVER:
            tools.cxSimulatedBinaryBounded(one, other, ETA, 0.0, 1.0)
        for child in (one, other):
            tools.mutPolynomialBounded(child, ETA, 0.0, 1.0, 1 / DIMENSIONS)
        return one, other


def candidate(index: int, values: Values, parents: tuple[str, ...] = ()) -> Candidate:
    """A confirmed candidate with these objectives and a structure of its own."""
    fitness = Fitness({o.name: Estimate(v, 3) for o, v in zip(OBJECTIVES, values, strict=True)})
    return Candidate(str(index), index, Genome("", str(index)), {}, parents, "vary", "ok", fitness=fitness)


def ours(problem: Problem, population: int, evaluations: int, seed: int) -> list[Values]:
    """By generations, on the order of `selection.survivors`; parents and children compete.

    Each member has two tournaments, as in Deb's own program, deap and pymoo: the best is a parent exactly twice. Drawn
    with replacement it is so on average only, and the population drifts.
    """
    rng, variation, found = Random(seed), Variation(seed), list[Values]()
    points: list[Point] = []

    def evaluated(point: Point) -> Candidate:
        points.append(point)
        found.append(problem(point))
        return candidate(len(found) - 1, found[-1])

    def tournaments() -> list[Point]:
        places = rng.sample(range(population), population)
        return [points[members[min(pair)].index] for pair in zip(places[::2], places[1::2], strict=True)]

    members = selection.ranked([evaluated(variation.start()) for _ in range(population)], OBJECTIVES, {})
    while len(found) < evaluations:
        drawn = [*tournaments(), *tournaments()]
        pairs = zip(drawn[::2], drawn[1::2], strict=True)
        children = [evaluated(child) for pair in pairs for child in variation.children(*pair)]
        members = selection.survivors([*members, *children], OBJECTIVES, {}, population)
    return found[:evaluations]


class _ByTournament(ParetoSearch):
    """All parents by tournament, as the paper has it."""

    def parent(self, rng: Random) -> Candidate:
        return self._tournament(rng, self.population)


def steady(problem: Problem, population: int, evaluations: int, seed: int) -> list[Values]:
    """Parents are drawn by two asks, each by tournament; each child is told as soon as it is evaluated."""
    search, variation = _ByTournament(OBJECTIVES, population, ARMS, seed), Variation(seed)
    found, points = list[Values](), list[Point]()

    def evaluate(point: Point, *parents: Candidate) -> None:
        points.append(point)
        found.append(problem(point))
        search.tell(candidate(len(found) - 1, found[-1], tuple(p.id for p in parents)))

    for _ in range(population):
        evaluate(variation.start())
    while len(found) < evaluations:
        # an arm with one parent leads to no merge, for which there must be a common ancestor
        mother, father = (search.ask(2 * len(found) + i).parents[0] for i in (0, 1))
        child, _ = variation.children(points[mother.index], points[father.index])
        evaluate(child, mother, father)
    return found


class _Minimised(base.Fitness):  # type: ignore[misc]
    weights = (-1.0, -1.0)


class _Individual(list[float]):
    def __init__(self, point: Point) -> None:
        super().__init__(point)
        self.fitness = _Minimised()


def generational(problem: Problem, population: int, evaluations: int, seed: int) -> list[Values]:
    """deap's selTournamentDCD and selNSGA2, parents and children compete."""
    variation, found = Variation(seed), list[Values]()

    def evaluated(point: Point) -> _Individual:
        individual = _Individual(point)
        found.append(problem(point))
        individual.fitness.values = found[-1]
        return individual

    members = tools.selNSGA2([evaluated(variation.start()) for _ in range(population)], population)
    while len(found) < evaluations:
        random.seed(f"{seed}:{len(found)}")
        parents = tools.selTournamentDCD(members, population)
        pairs = zip(parents[::2], parents[1::2], strict=True)
        children = [evaluated(child) for pair in pairs for child in variation.children(*pair)]
        members = tools.selNSGA2(members + children, population)
    return found[:evaluations]


def by_optuna(problem: Problem, population: int, evaluations: int, seed: int) -> list[Values]:
    """Optuna's NSGAIISampler with the same operators."""
    nsga2 = optuna.samplers.nsgaii
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.NSGAIISampler(
            population_size=population,
            crossover=nsga2.SBXCrossover(eta=ETA),
            crossover_prob=CROSSOVER,
            mutation=nsga2.PolynomialMutation(eta=ETA),
            seed=seed,
        )
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)

    def objective(trial: optuna.Trial) -> Values:
        return problem([trial.suggest_float(f"x{i}", 0.0, 1.0) for i in range(DIMENSIONS)])

    study.optimize(objective, n_trials=evaluations)
    return [(trial.values[0], trial.values[1]) for trial in study.trials]


def by_pymoo(
    problem: Problem, population: int, evaluations: int, seed: int, tournaments: str = "comp_by_rank_and_crowding"
) -> list[Values]:
    """pymoo's NSGA2 with the same operators. Raises `ConfigError` where pymoo is not installed."""
    parts = dict(_pymoo())
    found: list[Values] = []

    class Wrapped(parts["ElementwiseProblem"]):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(n_var=DIMENSIONS, n_obj=2, xl=0.0, xu=1.0)

        def _evaluate(self, x: Any, out: dict[str, Any], *_: object, **__: object) -> None:
            found.append(problem([float(v) for v in x]))
            out["F"] = found[-1]

    algorithm = parts["NSGA2"](
        pop_size=population,
        crossover=parts["SBX"](eta=ETA, prob=CROSSOVER),
        mutation=parts["PM"](eta=ETA, prob=1.0),  # of a child; of each number 1 / n
        eliminate_duplicates=False,
    )
    algorithm.tournament_type = tournaments
    parts["minimize"](Wrapped(), algorithm, ("n_eval", evaluations), seed=seed, verbose=False)
    return found[:evaluations]


def _pymoo() -> Iterator[tuple[str, Any]]:
    where = {
        "ElementwiseProblem": "pymoo.core.problem",
        "NSGA2": "pymoo.algorithms.moo.nsga2",
        "SBX": "pymoo.operators.crossover.sbx",
        "PM": "pymoo.operators.mutation.pm",
        "minimize": "pymoo.optimize",
    }
    for name, module in where.items():
        try:
            yield name, getattr(importlib.import_module(module), name)
        except ImportError as error:
            raise ConfigError(f"pymoo is missing ({error}): pip install -c constraints.txt 'pymoo>=0.6.2'") from error


METHODS: dict[str, Callable[[Problem, int, int, int], list[Values]]] = {
    "ours": ours,
    "steady": steady,
    "deap": generational,
    "optuna": by_optuna,
    "pymoo": by_pymoo,
    "pymoo_default": partial(by_pymoo, tournaments="comp_by_dom_and_crowding"),
}
