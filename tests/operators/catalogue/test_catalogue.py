"""What the catalogue as a whole promises: each idea says what it is and whence, and nothing in it says what works."""

from __future__ import annotations

import random
import re
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import libcst as cst
import pytest

from evolve.model import Briefing, Candidate, Genome, Mating, Proposal
from operators import mutate
from operators.catalogue import Refused, transformations
from operators.genome import Reader
from tests.operators.catalogue.harness import SCRIPTS, refusal

# Known dead ends, neutral moves and removals, each with where that is said. "autoresearch" is the published log of 125
# experiments of karpathy/autoresearch, "records" are those of KellerJordan/modded-nanogpt.
NOWHERE = "neutral: neither kept in autoresearch nor part of a record"
UNPROMISING = {
    "adaptive_clipping": NOWHERE,
    "amsgrad": NOWHERE,
    "clip_per_parameter": NOWHERE,
    "clip_removal": "removal: takes a line away",
    "drop_first_mlp": "removal: takes parameters away",
    "dropout": "dead end: against overfitting, which one pass over a text does not do",
    "fused_adamw": "neutral: the same update by another kernel",
    "gradient_accumulation": "dead end: halving the batch was the largest gain of autoresearch",
    "gradient_centralization": NOWHERE,
    "grouped_query": "neutral: its paper promises cheaper inference at nearly equal quality, Ainslie et al. 2023",
    "inverse_sqrt": NOWHERE,
    "label_smoothing": "dead end: hurts perplexity, Vaswani et al. 2017, section 5.4",
    "lion": NOWHERE,
    "lookahead": NOWHERE,
    "multi_query": "dead end: +0.008 bpb in autoresearch",
    "no_position_embedding": "removal: takes parameters away",
    "norm_no_affine": "removal: takes parameters away",
    "parallel_block": "dead end: +0.011 bpb in autoresearch",
    "post_norm": "dead end: hard to train without a warm-up, Xiong et al. 2020",
    "remove_biases": "removal: takes parameters away",
    "rmsnorm": "neutral: its paper promises comparable quality in less time, Zhang & Sennrich 2019",
    "tie_head": "dead end: 3.2 bpb in autoresearch; untying is record 8",
    "warmup": "dead end: any learning-rate warm-up in autoresearch",
    "z_loss": "neutral: for stability, Chowdhery et al. 2022, section 5",
}
CITED = re.compile(
    r"\b(19|20)\d\d\b|arXiv:\d{4}\.\d{5}|modded-nanogpt records? \d+|[\w-]+/[\w-]+, \w+"
    r"|PyTorch documentation, torch\.\w+"
)


@pytest.mark.parametrize("name", transformations())
def test_an_idea_is_one_sentence_and_its_source_can_be_looked_up(name: str) -> None:
    move = transformations()[name]
    assert re.fullmatch(r"[A-Z](?:(?![.!?]\s).)*[.]", move.IDEA)
    assert [part for part in move.SOURCE.split("; ") if not CITED.search(part)] == []


def test_a_third_of_the_catalogue_is_known_not_to_help() -> None:
    assert set(UNPROMISING) <= set(transformations())
    assert len(UNPROMISING) >= len(transformations()) / 3


def test_every_transformation_that_applies_is_drawn_equally_often(monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = {name: refusal(move, SCRIPTS["plain"]) for name, move in transformations().items()}
    applicable = [name for name, reason in reasons.items() if not reason]
    assert 0 < len(applicable) < len(reasons)

    def stub(reason: str) -> Any:
        def apply(module: cst.Module, rng: random.Random) -> cst.Module:
            if reason:
                raise Refused(reason)
            return module

        return SimpleNamespace(IDEA="", apply=apply)

    stubs = {name: stub(reason) for name, reason in reasons.items()}
    monkeypatch.setattr(mutate, "transformations", lambda: stubs)
    monkeypatch.setattr(mutate, "diff", lambda before, after, note: ())
    genome = Genome("")
    operator = mutate.Catalogue(cast(Reader, SimpleNamespace(read=lambda source: genome)))
    parent = cast(Candidate, SimpleNamespace(genome=genome, params={}))
    drawn: Counter[str] = Counter()
    for seed in range(60 * len(applicable)):
        proposal = operator.propose(Mating(0, "catalogue", (parent,), None, seed), Briefing())
        assert isinstance(proposal, Proposal)
        drawn[proposal.hypothesis.partition(":")[0]] += 1
    assert set(drawn) == set(applicable)
    assert all(25 <= count <= 95 for count in drawn.values())  # 60, give or take four and a half deviations
