"""What became of the numbers that a child came with: they are tuned, so it may end with others, or with none better."""

from __future__ import annotations

from evolve.history import History
from evolve.incoming import PERSON
from evolve.model import Candidate, Params, Proposal


def anchor(history: History, candidate: Candidate) -> Params:
    """The numbers that a child was proposed with; empty without any."""
    made = history.proposals.get(candidate.index)
    return made.anchor if isinstance(made, Proposal) else {}


def tried(history: History, candidate: Candidate) -> str:
    """The loss of the numbers that a person brought, and of the best where a child was tuned and no effect measured.

    "" for those of whom the effect says all, and for those who were not tuned.
    """
    owner = f"ask/{candidate.index}"
    trials = history.study(owner).trials
    brought = candidate.operator == PERSON
    if not trials or not candidate.index or not (brought or candidate.effect is None):
        return ""
    low = history.rungs_of.get(owner, history.all_rungs)[0]
    said = []
    came = anchor(history, candidate)
    if brought and (as_brought := [loss for params, loss in trials if came.items() <= params.items()]):
        loss = as_brought[0]
        said.append("as they were brought they " + ("failed" if loss is None else f"gave {history.loss} {loss:.4f}"))
    losses = [loss for _, loss in trials if loss is not None]
    if losses:
        said.append(f"the best of {len(trials)} tried gave {min(losses):.4f}")
    if (known := _known(history, candidate, low)) is not None:
        said.append(f"the best known of this structure {known:.4f}")
    return f"at {low:g} of the budget {', '.join(said)}" if said else ""


def _known(history: History, candidate: Candidate, low: float) -> float | None:
    """The lowest loss at the rung `low` of the ancestors whose study the child continued; None if it began one."""
    parent = history.candidates[candidate.parents[0]]
    if parent.genome.key != candidate.genome.key:
        return None
    losses = [loss for _, loss in history.study_of_lineage(parent, low).trials if loss is not None]
    return min(losses, default=None)
