"""The built-in search and tuner keep their contracts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from evolve.arms import Arm
from evolve.model import Knob
from evolve.search import ParetoSearch
from evolve.tuner import Study, TpeTuner
from tests.contracts.suites import SearchContract, TunerContract
from tests.evolve.individuals import TWO


class TestParetoSearch(SearchContract):
    @pytest.fixture
    def make(self) -> Callable[[], ParetoSearch]:
        return lambda: ParetoSearch(TWO, 8, {"grow": Arm(1, 0.5), "merge": Arm(2, 0.5)}, 0)


class TestTpeTuner(TunerContract):
    @pytest.fixture
    def make(self) -> Callable[[Sequence[Knob], int], TpeTuner]:
        return lambda knobs, seed: TpeTuner({}, Study(()), seed)
