"""Mutation by a language model: one structural change of one parent."""

from __future__ import annotations

from evolve.model import Briefing, Mating, Proposal, Rejected
from operators.knobs import inherit
from operators.llm import prompt
from operators.llm.children import check_new, edited, parsed, rewritten
from operators.llm.office import Office
from operators.llm.wire import Request


class Mutate:
    """An `Operator` with one parent."""

    arity = 1

    def __init__(self, office: Office) -> None:
        self.name = f"mutate@{office.model}"
        self.mended_by = f"repair@{office.model}"
        self._office = office

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        """The child that the model describes; an answer that cannot be used has one more turn."""
        parent = mating.parents[0]

        def child(text: str, request: Request) -> Proposal:
            place = prompt.only_place(request)
            answer = rewritten(text, place) if place else parsed(text)
            genome = edited(self._office.reader, parent.genome.source, answer)
            check_new(genome, [parent], briefing)
            anchor = inherit(genome.knobs, parent.params)
            idea = answer.idea if prompt.offered(request, answer.idea) else ""
            return Proposal(genome, answer.edits, answer.hypothesis, anchor, expected=answer.expected, idea=idea)

        return self._office.converse("mutate", mating, briefing, prompt.mutation, child)
