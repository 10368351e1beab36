"""Crossover without an LLM: the three-way merge of two parents over their common ancestor; conflicts by a coin."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Literal

from evolve.model import Briefing, Candidate, Genome, Mating, Number, Proposal, Rejected
from operators.addresses import address_at
from operators.genome import NotAllowed, Reader
from operators.knobs import inherit
from operators.literals import literals
from operators.merge import MergeError, merge
from operators.tree import diff


class Merge:
    """An `Operator` with two parents."""

    name = "merge"
    arity = 2
    mended_by = ""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        """What only one parent changed is taken from it; a child that equals a parent is no child."""
        left, right = mating.parents
        if mating.base is None:
            return Rejected(f"{left.id} and {right.id} have no common ancestor")
        rng = Random(mating.seed)

        def coin(address: str) -> Literal["left", "right"]:
            return rng.choice(("left", "right"))

        base = mating.base.genome.source
        try:
            merged = merge(base, left.genome.source, right.genome.source, coin)
            genome = self._reader.read(merged.source)
        except (MergeError, NotAllowed) as refusal:
            return Rejected(f"merge of {left.id} and {right.id}: {refusal}")
        if genome.skeleton in (left.genome.skeleton, right.genome.skeleton):
            return Rejected(f"merge of {left.id} and {right.id} equals one of them")
        return Proposal(
            genome=genome,
            edits=tuple(diff(left.genome.source, genome.source, note=f"from {right.id}")),
            hypothesis=f"what {right.id} changed since {mating.base.id} also helps {left.id}"
            + (f" ({len(merged.conflicts)} conflicts)" if merged.conflicts else ""),
            anchor=anchor(genome, left, right, merged.origins),
        )


def anchor(genome: Genome, left: Candidate, right: Candidate, origins: Mapping[str, str]) -> dict[str, Number]:
    """First parameters of a merged child: the value of each knob follows its node's origin, else `left`'s."""
    from_left, from_right = inherit(genome.knobs, left.params), inherit(genome.knobs, right.params)
    theirs = {k.address for k in right.genome.knobs} - {k.address for k in left.genome.knobs}
    lines = {literal.address: literal.span[0] for literal in literals(genome.source)}
    chosen = dict(from_left)
    for knob in genome.knobs:
        node = address_at(genome.source, lines[knob.address])
        if origins.get(node) == "right" or knob.address in theirs:
            chosen[knob.address] = from_right[knob.address]
    return chosen
