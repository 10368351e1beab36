"""Mutation by a language model: one structural change of one parent."""

from __future__ import annotations

from dataclasses import replace

from evolve.model import Briefing, Mating, Proposal, Rejected
from operators.llm import prompt
from operators.llm.children import child_of
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
            answer, made = child_of(parent, text, prompt.only_place(request), self._office.reader, briefing)
            return replace(made, idea=answer.idea if prompt.offered(request, answer.idea) else "")

        return self._office.converse("mutate", mating, briefing, prompt.mutation, child)
