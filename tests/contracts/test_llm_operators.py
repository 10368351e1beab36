"""Operators that ask a language model keep the contract of operators, whatever the model answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolve.model import Candidate
from evolve.protocols import Operator
from operators.llm.crossover import Crossover
from operators.llm.mutate import Mutate
from operators.llm.office import Office
from operators.llm.repair import Repair
from operators.llm.wire import Request
from tests.contracts.suites import OperatorContract
from tests.llm import family
from tests.llm.answers import answer, edit
from tests.llm.script import Said, Script

GATED = "    def forward(self, x):\n        return self.proj(F.silu(self.fc(x)).square())\n"


def said(request: Request) -> Said:
    """A function of the question alone, as a server's answer at temperature 0 would be."""
    return answer(edit("replace MLP.forward", GATED))


def office(folder: Path) -> Office:
    return family.office(folder, Script(said))


class TestOperatorsOfALanguageModel(OperatorContract):
    @pytest.fixture(scope="class", params=[Mutate, Crossover, Repair])
    @classmethod
    def operator(cls, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Operator:
        return request.param(office(tmp_path_factory.mktemp("target")))  # type: ignore[no-any-return]

    @pytest.fixture(scope="class")
    @classmethod
    def parents(cls) -> list[Candidate]:
        """The seed and two that are at odds about `MLP.forward`."""
        return [family.seed(), *family.parents()]

    def test_its_name_says_what_it_does_and_who_is_asked(self, operator: Operator) -> None:
        assert operator.name == f"{type(operator).__name__.lower()}@{family.MODEL}"
        assert operator.mended_by == ("" if isinstance(operator, Repair) else f"repair@{family.MODEL}")
