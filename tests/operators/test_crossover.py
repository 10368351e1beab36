"""Crossover without an LLM: what a child starts with, and which matings have none."""

from __future__ import annotations

from collections.abc import Mapping

from evolve.model import Briefing, Candidate, Mating, Number, Proposal, Rejected, Rules
from operators.crossover import Merge
from operators.genome import Reader
from tests.operators.strategies import AUTORESEARCH

READER = Reader(Rules())


def candidate(name: str, source: str, params: Mapping[str, Number] | None = None) -> Candidate:
    return Candidate(name, 0, READER.read(source), params or {}, (), "seed", "ok")


def child(left: Candidate, right: Candidate, base: Candidate | None) -> Proposal | Rejected:
    return Merge(READER).propose(Mating(0, "merge", (left, right), base, 0), Briefing())


BASE = candidate("base", AUTORESEARCH)
ACTIVATION = AUTORESEARCH.replace("F.relu(self.c_fc(x)).square()", "F.silu(self.c_fc(x))")
OPTIMIZER = AUTORESEARCH.replace("    eps=1e-10,\n", "    eps=1e-10,\n    amsgrad=True,\n")


def test_a_number_follows_the_loose_statement_that_it_stands_in() -> None:
    left = candidate("left", ACTIVATION, {"adam/AdamW(eps)": 2e-10, "MATRIX_LR": 0.03})
    right = candidate("right", OPTIMIZER, {"adam/AdamW(eps)": 5e-10, "MATRIX_LR": 0.05})
    proposal = child(left, right, BASE)
    assert isinstance(proposal, Proposal)
    assert proposal.anchor["adam/AdamW(eps)"] == 5e-10
    assert proposal.anchor["MATRIX_LR"] == 0.03


def test_parents_without_an_ancestor_or_with_nothing_to_mix_have_no_child() -> None:
    left, right = candidate("left", ACTIVATION), candidate("right", OPTIMIZER)
    assert "no common ancestor" in str(child(left, right, None))
    assert "equals one of them" in str(child(BASE, right, BASE))
