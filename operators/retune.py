"""The same program with other numbers, as the tuner says, of one that is already good."""

from __future__ import annotations

from evolve.model import Briefing, Mating, Proposal, Rejected
from operators.genome import Reader


class Retune:
    """An `Operator` with one parent and no edits: only the tuner has work to do."""

    name = "tune"
    arity = 1
    mended_by = ""
    structural = False

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        """The parent itself, to be trained with numbers that the tuner chooses around its own."""
        parent = mating.parents[0]
        if not parent.genome.knobs:
            return Rejected("the program has no numbers to tune")
        return Proposal(parent.genome, (), "this structure has better numbers than those found so far", parent.params)
