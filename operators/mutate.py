"""Mutation without an LLM: one transformation of the catalogue, by what its children came to in this run.

What was not tried comes first. Which one of the others is Thompson sampling (Thompson 1933) with uniform priors over
how often a child that it made was better than its parent, at the full budget and in any program.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from random import Random

import libcst as cst

from evolve.model import Briefing, Mating, Proposal, Rejected
from operators.catalogue import Refused, transformations
from operators.genome import NotAllowed, Reader
from operators.knobs import inherit
from operators.tree import diff


class Catalogue:
    """An `Operator` with one parent."""

    name = "catalogue"
    arity = 1
    mended_by = ""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        """A child that differs from its parent by one transformation."""
        parent = mating.parents[0]
        rng = Random(mating.seed)
        chances = promising(briefing, rng)
        names = sorted(transformations(), key=chances.__getitem__, reverse=True)
        reason = ""
        for name in names:
            try:
                genome = self._reader.read(transformed(parent.genome.source, name, rng))
            except (Refused, NotAllowed) as refusal:
                reason = f"{name}: {refusal}"
                continue
            edits = tuple(diff(parent.genome.source, genome.source, note=name))
            hypothesis = f"{name}: {transformations()[name].IDEA}"
            return Proposal(genome, edits, hypothesis, inherit(genome.knobs, parent.params))
        return Rejected(f"no transformation applies; the last one said: {reason}")


def promising(briefing: Briefing, rng: Random) -> dict[str, float]:
    """For each transformation a draw of the chance that its next child is better; above 1 for what was not tried.

    What a child under way tries counts as tried, and so does what made a program that was there before.
    """
    measured, served = Counter[str](), Counter[str]()
    tried = {hypothesis.partition(":")[0] for hypothesis in briefing.pending}
    for candidate in briefing.candidates:
        if candidate.operator == Catalogue.name and candidate.edits:
            name = candidate.edits[0].note
            tried.add(name)
            measured[name] += candidate.verdict in ("ok", "pruned", "failed")
            served[name] += candidate.verdict == "ok" and candidate.effect is not None and candidate.effect.delta < 0
    chances = {}
    for name in sorted(transformations()):
        better = rng.betavariate(1 + served[name], 1 + measured[name] - served[name])
        chances[name] = better if name in tried else 1 + better
    return chances


def transformed(source: str, name: str, rng: Random) -> str:
    """A program after one transformation of the catalogue. Raises `Refused` where its precondition fails."""
    return transformations()[name].apply(_tree(source), rng).code


@lru_cache(maxsize=8)
def _tree(source: str) -> cst.Module:
    """The syntax tree of a parent: the same for each of its children, with all that was recognised in it."""
    return cst.parse_module(source)
