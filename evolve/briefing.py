"""What an operator is told of a run: a snapshot, so that it may be read in a thread while the run goes on."""

from __future__ import annotations

from evolve.history import History
from evolve.model import Briefing, Candidate, Mating
from evolve.tuner import importance


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
    )


def _last_log(history: History, candidate: Candidate) -> str:
    """What the program printed in its last trial."""
    owner, last = f"ask/{candidate.index}", ""
    for n in range(candidate.trials):
        outcome = history.outcomes.get((owner, n))
        last = outcome.log_tail if outcome and outcome.log_tail else last
    return last
