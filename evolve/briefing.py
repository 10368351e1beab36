"""What an operator is told of a run: a snapshot, so that it may be read in a thread while the run goes on."""

from __future__ import annotations

from collections.abc import Iterator

from evolve.history import History
from evolve.model import Briefing, Candidate, Mating, Proposal
from evolve.tuner import importance

LATELY = 100  # asks that are looked through for children under way


def briefing(history: History, mating: Mating) -> Briefing:
    """The snapshot for one mating."""
    base = (mating.base,) if mating.base else ()
    concerned = {c.id: c for c in (*mating.parents, *base, *mating.inspirations)}
    settings = history.header["settings"]
    return Briefing(
        objectives=history.search.objectives,
        scale=settings.get("scale", ""),
        budget=settings["budget"],
        rungs=history.all_rungs,
        candidates=tuple(history.candidates.values()),
        losses={name: history.losses_of(c) for name, c in concerned.items()},
        logs={name: _last_log(history, c) for name, c in concerned.items()},
        importance=importance((knobs, history.study(name)) for knobs, name in history.recent),
        pending=tuple(_pending(history)),
        elsewhere=history.incoming.lines(),
    )


def _pending(history: History) -> Iterator[str]:
    """The hypotheses of children that were made and not told yet, of those asked for lately."""
    for index in range(max(1, len(history.matings) - LATELY), len(history.matings) + 1):
        made = history.proposals.get(index)
        if isinstance(made, Proposal) and made.edits and str(index) not in history.candidates:
            yield made.hypothesis


def _last_log(history: History, candidate: Candidate) -> str:
    """What the program printed in its last trial at the highest rung that it reached."""
    owner, best, last = f"ask/{candidate.index}", -1.0, ""
    for n in range(candidate.trials):
        outcome = history.outcomes.get((owner, n))
        if outcome and outcome.log_tail and history.trials[owner, n].rung >= best:
            best, last = history.trials[owner, n].rung, outcome.log_tail
    return last
