"""What the trials of a run say of numbers: what a tuner begins with. A part of the history."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean

from evolve.measured import Measured
from evolve.model import Candidate, Outcome, Params, Trial
from evolve.search import ParetoSearch
from evolve.tuner import Study

Tried = tuple[Params, float | None]  # the numbers of a trial and its loss, None for a failure


class Studied(Measured):
    """Trials by program: those that tuned it at its low rung, and what it was trained with at the full budget."""

    def __init__(self, search: ParetoSearch) -> None:
        super().__init__(search)
        self.studies: defaultdict[str, list[Tried]] = defaultdict(list)  # tuning trials at the low rung, by owner
        self.rungs_of: dict[str, tuple[float, ...]] = {}
        self._trained: defaultdict[str, list[float]] = defaultdict(list)  # losses at the full budget, by owner

    def study(self, owner: str) -> Study:
        """The low-rung trials of one candidate."""
        return Study(tuple(self.studies[owner]))

    def study_of_lineage(self, candidate: Candidate, low: float | None = None) -> Study:
        """The trials at the rung `low` of a candidate and of the ancestors whose study it continues, oldest first.

        Who was tuned at another rung adds nothing: losses at different budgets cannot be compared. None is the lowest.
        """
        low = self.all_rungs[0] if low is None else low
        trials = self._study_at(low, candidate)
        while candidate.parents and self.candidates[candidate.parents[0]].genome.key == candidate.genome.key:
            candidate = self.candidates[candidate.parents[0]]
            trials = [*self._study_at(low, candidate), *trials]
        return Study(tuple(trials))

    def _study_at(self, low: float, candidate: Candidate) -> list[Tried]:
        owner = f"ask/{candidate.index}"
        tuned = list(self.studies[owner]) if self._low_rung_of(owner) == low else []
        trained = self._trained[owner] if low == 1.0 else []
        return [*tuned, (candidate.params, fmean(trained))] if trained else tuned

    def _low_rung_of(self, owner: str) -> float:
        return self.rungs_of.get(owner, self.all_rungs)[0]

    def _study(self, owner: str, trial: Trial, outcome: Outcome) -> None:
        """An outcome that counts."""
        if trial.purpose == "smoke":  # no score is asked of it
            return
        loss = outcome.metrics[self.loss] if outcome.status == "ok" else None
        if trial.purpose == "tune" and trial.rung == self._low_rung_of(owner):
            self.studies[owner].append((trial.params, loss))
        elif trial.rung == 1.0 and loss is not None and owner.startswith("ask/"):
            self._trained[owner].append(loss)
