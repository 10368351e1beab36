"""SMAC3 as a sampler, where there is an environment for it: EVOLVE_SMAC names its interpreter."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from benchmarks.baselines.smac import METHOD
from benchmarks.comparison.models import by_default, check
from benchmarks.smac.draws import PYTHON, Smac, SmacDraws, SmacError, without_smac
from benchmarks.tasks.synthetic import OBJECTIVES, SEED
from evolve.config import ConfigError
from evolve.model import Params
from tests.evolve.individuals import individual

needs_smac = pytest.mark.skipif(bool(without_smac(None)), reason="no SMAC3: python -m benchmarks.smac DIR")


def begun(number: int = 1) -> SmacDraws:
    return Smac(4).begin(replace(individual(0, 3.0), genome=SEED), OBJECTIVES, number)


def loss(numbers: Params) -> float:
    return abs(math.log10(numbers["LEARNING_RATE"]) + 2) + numbers["DEPTH"] / 8


def series(draws: SmacDraws, trials: int) -> list[Params]:
    """Two under way at a time; each fifth fails."""
    found = [draws.ask(1)]
    for index in range(1, trials):
        found.append(draws.ask(index + 1))
        numbers = found[index - 1]
        draws.tell(individual(index, loss(numbers), verdict="failed" if index % 5 == 0 else "ok"))
    draws.close()
    return found


@pytest.mark.slow
@needs_smac
def test_it_finds_better_numbers_than_it_began_with_and_the_same_ones_again() -> None:
    first = series(begun(), 24)
    knobs = {k.address: k for k in SEED.knobs}
    for numbers in first:
        assert numbers.keys() == knobs.keys() and numbers["WIDTH"] in knobs["WIDTH"].values
        assert all(knobs[a].low <= v <= knobs[a].high for a, v in numbers.items())
    assert fmean(map(loss, first[-8:])) < 0.8 * fmean(map(loss, first[:8]))
    assert series(begun(), 8) == first[:8] != series(begun(2), 8)


@needs_smac
def test_a_process_that_is_gone_is_an_error() -> None:
    draws = begun()
    draws._process.kill()
    with pytest.raises(SmacError, match="exit code"):
        draws.ask(1)
    draws.close()


def test_without_its_environment_it_is_left_out_and_says_how_to_make_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for value in ("", str(tmp_path / "none")):
        monkeypatch.setenv(PYTHON, value)
        assert METHOD.name not in by_default(None)
        with pytest.raises(ConfigError, match=r"smac needs SMAC3 .* python -m benchmarks\.smac DIR"):
            check(["smac"], None)
