"""What the candidates of a run were measured with, and what they changed. A part of the history."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from evolve.correlation import Correlation, spearman
from evolve.effects import effect, least_gain, means, noise
from evolve.model import Candidate, Effect
from evolve.search import ParetoSearch


class Measured:
    """Losses by rung and effects. `deciding` holds the loss of each answer that let a candidate go on, by its owner."""

    def __init__(self, search: ParetoSearch) -> None:
        self.search = search
        self.header: dict[str, Any] = {}
        self.seen_losses: defaultdict[str, list[float]] = defaultdict(list)
        self.deciding: dict[tuple[str, str], float] = {}

    @property
    def candidates(self) -> dict[str, Candidate]:
        return self.search.archive

    @property
    def seed(self) -> Candidate | None:
        return self.candidates.get("0")

    @property
    def all_rungs(self) -> tuple[float, ...]:
        return tuple(self.header["rungs"])

    @property
    def loss(self) -> str:
        """Name of the first objective."""
        return self.search.objectives[0].name

    def noise(self, rung: float) -> float | None:
        """Standard deviation of one training's loss at a rung; None where nobody was trained there twice."""
        return noise(self.candidates.values(), rung)

    def rung_losses(self, candidate: Candidate) -> dict[str, float]:
        """The best loss of a candidate at each rung on the way up, and its mean at the full budget."""
        names = [f"{rung:g}" for rung in self.all_rungs]
        found = {name: self.deciding.get((f"ask/{candidate.index}", name)) for name in names}
        if candidate.fitness and candidate.index > 0:
            found[names[-1]] = candidate.fitness.values[self.loss].mean
        return {name: loss for name, loss in found.items() if loss is not None}

    def losses_of(self, candidate: Candidate) -> dict[str, float]:
        """The loss of a candidate at each rung that it was trained at: the best of its trials there, or a mean."""
        return self.rung_losses(candidate) or means(candidate.losses)

    def effect_of(self, candidate: Candidate) -> Effect | None:
        """What a candidate changed against the best of its nearest measured ancestors; None for the seed.

        Against one parent alone, the merge of a good program into a bad one would count as progress.
        """
        if self.seed is None:
            return None
        losses = self.losses_of(candidate)
        against = [(parent, self.losses_of(parent)) for parent in self._measured_ancestors(candidate)]
        return least_gain(effect(candidate, losses, parent, known, self.noise) for parent, known in against)

    def _measured_ancestors(self, candidate: Candidate) -> list[Candidate]:
        """The nearest ones on every line that have a loss that was not cheated; the first parent's come first."""
        found: dict[str, Candidate] = {}
        for parent in (self.candidates[name] for name in candidate.parents):
            counts = self.losses_of(parent) and not parent.quarantined
            nearest = [parent] if counts else self._measured_ancestors(parent)
            found |= {ancestor.id: ancestor for ancestor in nearest}
        return list(found.values())

    def measured_ancestor(self, candidate: Candidate) -> Candidate | None:
        """The nearest one along first parents that has a loss: whose numbers a child inherits."""
        while candidate.parents:
            candidate = self.candidates[candidate.parents[0]]
            if self.losses_of(candidate):
                return candidate
        return None

    def rung_correlation(self, low: str, high: str) -> Correlation | None:
        """Spearman's between the losses at two rungs, over all candidates that reached both.

        Corrected for the fact that these are the better ones of those that were seen at the low rung.
        """
        rows = map(self.rung_losses, self.candidates.values())
        pairs = [(r[low], r[high]) for r in rows if low in r and high in r]
        return spearman(pairs, self.seen_losses[low])
