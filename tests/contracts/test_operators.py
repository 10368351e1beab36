"""The built-in operators, and those of the toy target, keep their contract."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from evolve.config import load_target
from evolve.model import Candidate, Genome
from evolve.plugins import OPERATORS, READER, load
from evolve.protocols import Operator
from tests.contracts.suites import OperatorContract
from tests.evolve import toy
from tests.evolve.individuals import individual

TARGET = Path(__file__).parents[2] / "train_target"


def measured(index: int, genome: Genome, *parents: int) -> Candidate:
    params = {k.address: k.default for k in genome.knobs}
    return replace(individual(index, 5.0, 5.0, parents=parents), genome=genome, params=params)


class TestToyOperators(OperatorContract):
    @pytest.fixture(scope="class", params=[toy.Grow, toy.Merge, toy.Tune])
    @classmethod
    def operator(cls, request: pytest.FixtureRequest) -> Operator:
        return request.param()  # type: ignore[no-any-return]

    @pytest.fixture(scope="class")
    @classmethod
    def parents(cls) -> list[Candidate]:
        sources = [toy.SEED.source, toy.SEED.source + "\nt1 = 1.0", toy.SEED.source + "\nt2 = 1.0"]
        return [measured(i, toy.read(s), *((0,) if i else ())) for i, s in enumerate(sources)]


@cache
def reader() -> Any:
    return load(READER)(load_target(TARGET).rules)


@cache
def family() -> list[Candidate]:
    """The seed program and two children that change different places of it."""
    seed = measured(0, reader().read(load_target(TARGET).source))
    children = []
    for index, name in enumerate(("label_smoothing", "rmsnorm"), 1):
        module = load("libcst:parse_module")(seed.genome.source)
        move = load(f"operators.catalogue.{name}:apply")
        children.append(measured(index, reader().read(move(module, load("random:Random")(0)).code), 0))
    return [seed, *children]


class TestBuiltInOperators(OperatorContract):
    @pytest.fixture(scope="class", params=sorted(OPERATORS))
    @classmethod
    def operator(cls, request: pytest.FixtureRequest) -> Operator:
        return load(OPERATORS[request.param])(reader())  # type: ignore[no-any-return]

    @pytest.fixture(scope="class")
    @classmethod
    def parents(cls) -> list[Candidate]:
        return family()

    def test_its_name_is_the_one_it_is_called_by(self, operator: Operator) -> None:
        assert operator.name in OPERATORS and isinstance(operator, load(OPERATORS[operator.name]))
