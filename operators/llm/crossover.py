"""Crossover with a language model: the three-way merge first, the model only for places that both parents changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from evolve.journal import cut
from evolve.model import Briefing, Candidate, Mating, Proposal, Rejected
from operators.addresses import FILE
from operators.crossover import anchor
from operators.genome import NotAllowed
from operators.llm import prompt
from operators.llm.answer import Answer, Side
from operators.llm.children import check_new, edited, parsed
from operators.llm.dialogue import Unusable
from operators.llm.office import Office
from operators.llm.prompt import Setting
from operators.llm.wire import Block, Request
from operators.merge import Conflict, MergeError, merge
from operators.tree import diff


@dataclass(frozen=True)
class _Texts:
    """The three versions of a program that are merged."""

    base: str
    left: str
    right: str


class Crossover:
    """An `Operator` with two parents."""

    arity = 2

    def __init__(self, office: Office) -> None:
        self.name = f"crossover@{office.model}"
        self.mended_by = f"repair@{office.model}"
        self._office = office

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        """What only one parent changed is taken from it; if that settles all, no model is asked."""
        left, right = mating.parents
        if mating.base is None:
            return Rejected(f"{left.id} and {right.id} have no common ancestor", stage="edits")
        texts = _Texts(mating.base.genome.source, left.genome.source, right.genome.source)
        try:
            merged = merge(texts.base, texts.left, texts.right)
            if any(conflict.address == FILE for conflict in merged.conflicts):
                return Rejected(f"{left.id} and {right.id} do not fit together", stage="edits")
            if not merged.conflicts:
                return self._clean(mating, briefing, merged.source, merged.origins)
        except MergeError as error:
            return Rejected(f"merge of {left.id} and {right.id}: {error}", stage="edits")

        def ask(mating: Mating, briefing: Briefing, setting: Setting) -> tuple[Block, ...]:
            return prompt.crossing(mating, briefing, setting, merged.source, list(map(_shown, merged.conflicts)))

        def child(text: str, _: Request) -> Proposal:
            answer = parsed(text, takes=True)
            _check_settled(merged.conflicts, answer)
            sides: dict[str, Side] = {address: side for side, address in answer.takes}
            chosen = merge(texts.base, texts.left, texts.right, lambda address: sides.get(address, "left"))
            places = {conflict.address for conflict in merged.conflicts}
            genome = edited(self._office.reader, chosen.source, answer, places)
            made = _proposal(genome, left, right, chosen.origins, answer.hypothesis)
            check_new(genome, mating.parents, briefing)
            return replace(made, expected=answer.expected)

        return self._office.converse("crossover", mating, briefing, ask, child)

    def _clean(
        self, mating: Mating, briefing: Briefing, source: str, origins: Mapping[str, str]
    ) -> Proposal | Rejected:
        """The child of a merge without conflicts."""
        left, right = mating.parents
        base = mating.base.id if mating.base else ""
        try:
            genome = self._office.reader.read(source)
            check_new(genome, mating.parents, briefing)
        except NotAllowed as error:
            return Rejected(f"merge of {left.id} and {right.id}: {error}", stage="rules")
        except Unusable:
            return Rejected(f"merge of {left.id} and {right.id} is nothing new", stage="known")
        what = f" ({cut(right.hypothesis, 100)})" if right.edits else ""
        return _proposal(
            genome, left, right, origins, f"what {right.id} changed since {base}{what} also helps {left.id}"
        )


def _proposal(genome: Any, left: Candidate, right: Candidate, origins: Mapping[str, str], why: str) -> Proposal:
    edits = tuple(diff(left.genome.source, genome.source, note=f"with {right.id}"))
    return Proposal(genome, edits, why, anchor(genome, left, right, origins))


def _check_settled(conflicts: tuple[Conflict, ...], answer: Answer) -> None:
    """Every conflict needs a TAKE or an edit of its place, and every TAKE a conflict. Raises Unusable."""
    places = {conflict.address for conflict in conflicts}
    taken, edits = {address for _, address in answer.takes}, {edit.target for edit in answer.edits}
    if unknown := sorted(taken - places):
        raise Unusable(
            "edits", f"TAKE {unknown[0]}: that is no place in conflict; those are {', '.join(sorted(places))}."
        )
    if open_ones := sorted(places - taken - edits):
        raise Unusable(
            "edits", f"not settled: {', '.join(open_ones)}. Write TAKE left, TAKE right or an EDIT for each."
        )


def _shown(conflict: Conflict) -> dict[str, Any]:
    versions = [(side, getattr(conflict, side)) for side in ("base", "left", "right")]
    return {"address": conflict.address, "reason": conflict.reason, "versions": versions}
