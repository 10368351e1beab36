"""Nouns survive the way through JSON unchanged, whatever is in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve import records
from evolve.model import (
    Candidate,
    Cost,
    Edit,
    Estimate,
    Fitness,
    Genome,
    Knob,
    Mating,
    Outcome,
    Params,
    Proposal,
    Rejected,
    Trial,
)

TEXT = "lr = 1e-3  # naïve 模型 🙂\r\n\tx\u2028\x00"
KNOBS = (
    Knob("lr", "float", 1e-4, 1e-1, True, 1e-3),
    Knob("heads", "choice", 1, 8, False, 4, (1, 2, 4, 8)),
    Knob("layers", "int", 1, 12, False, 6),
)
GENOME = Genome(TEXT, "skeleton", KNOBS)
GENOMES = {GENOME.id: GENOME}
COST = Cost(1.5, 1000, 0.01)
EDIT = Edit("insert_after", "GPT.forward", "x = x * 2  # 🙂", "doubles")
FITNESS = Fitness({"loss": Estimate(2.5, 3, 0.01), "seconds": Estimate(4.0, 1, None, True)}, 0.25)


def candidate(name: str, **fields: Any) -> Candidate:
    return Candidate(name, int(name), GENOME, {"lr": 0.002, "heads": 8}, (), "grow", "ok", **fields)


FULL = candidate(
    "7",
    reason="because",
    rung=1.0,
    fitness=FITNESS,
    losses={"0.25": (3.0, 3.1), "1": (2.5, 2.4)},
    metrics={"tokens_per_second": 1e6},
    edits=(EDIT, Edit("delete", "@warmup")),
    hypothesis="twice is better",
    seconds=12.5,
    trials=9,
)


def travelled(record: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(record, allow_nan=False))


def test_genome() -> None:
    back = records.genome_from(travelled(records.genome_record(GENOME)))
    assert back == GENOME and back.id == GENOME.id and back.key == GENOME.key


@pytest.mark.parametrize("made", [Proposal(GENOME, (EDIT,), "why", {"lr": 1}, COST), Rejected("no idea", COST)])
def test_proposal(made: Proposal | Rejected) -> None:
    assert records.proposal_from(travelled(records.proposal_record(made)), GENOMES) == made


def test_trial() -> None:
    trial = Trial(GENOME, {"lr": 3e-4, "heads": 2}, 5.0, 0.25, "cpu", 2**31 - 1, "confirm")
    assert records.trial_from(travelled(records.trial_record(trial)), GENOMES) == trial
    assert TEXT not in json.dumps(records.trial_record(trial), ensure_ascii=False)


def test_outcome() -> None:
    outcome = Outcome("crashed", {}, "Traceback\n\udcff", 1.5, "cpu", "ZeroDivisionError in line 3")
    assert records.outcome_from(travelled(records.outcome_record(outcome))) == outcome


@pytest.mark.parametrize("told", [candidate("3"), FULL], ids=["bare", "full"])
def test_candidate(told: Candidate) -> None:
    assert records.candidate_from(travelled(records.candidate_record(told)), GENOMES) == told


def test_mating() -> None:
    known = {name: candidate(name) for name in "0123"}
    mating = Mating(9, "merge", (known["1"], known["2"]), known["0"], 2**32 - 1, (known["3"],))
    assert records.mating_from(travelled(records.mating_record(mating)), known) == mating
    alone = Mating(10, "tune", (known["0"],), None, 1)
    assert records.mating_from(travelled(records.mating_record(alone)), known) == alone


numbers = st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False))


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), numbers, max_size=4), st.text())
def test_parameters_keep_their_value_and_their_type(params: Params, reason: str) -> None:
    """An integer that came back as a float would be written into a program as `8.0`."""
    told = Candidate("1", 1, GENOME, params, (), "grow", "pruned", reason)
    back = records.candidate_from(travelled(records.candidate_record(told)), GENOMES)
    assert back == told
    assert [(type(v), repr(v)) for v in back.params.values()] == [(type(v), repr(v)) for v in params.values()]
