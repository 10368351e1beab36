"""The evolutionary search: NSGA-II's selection over an archive, one child at a time (steady state, so asynchronous).

`ask(i)` draws from a generator seeded by (run seed, i) and looks at nothing but what was told, so replaying the log
gives the same population and the same next ask.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from evolve import selection
from evolve.arms import Arm, Arms
from evolve.model import Candidate, Mating, Objective
from evolve.quarantine import PREFIX

INSPIRATIONS = 3
SAMPLE = 3  # members of the front, the newest of which is a parent
EXPLORE = 8  # once in so many times a parent is drawn from all of the population
ANCESTORS = 64  # looked at for a common one


class ParetoSearch:
    """A `Search` with a population of `size`, whose children are made by the operators of `arms`."""

    def __init__(self, objectives: Sequence[Objective], size: int, arms: Mapping[str, Arm], seed: int) -> None:
        self.objectives = tuple(objectives)
        self.arms = Arms(arms)
        self._size = size
        self._seed = seed
        self._children: Counter[str] = Counter()
        self._mated: set[tuple[str, str]] = set()
        self.archive: dict[str, Candidate] = {}
        self.population: list[Candidate] = []
        self.front: list[Candidate] = []

    def tell(self, candidate: Candidate) -> None:
        """Every finished candidate, also pruned, failed and duplicate ones: they count as children."""
        self.archive[candidate.id] = candidate
        if candidate.operator in self.arms:
            self.arms.tell(candidate.operator, _gain(candidate), candidate.seconds, candidate.cost.usd)
        self._children.update(candidate.parents)
        if len(candidate.parents) == 2:
            self._mated.add(_pair(*(self.archive[parent] for parent in candidate.parents)))
        if candidate.verdict == "ok" and not candidate.quarantined:
            pool = [*self.population, candidate]
            self.population = selection.survivors(pool, self.objectives, self._children, self._size)
            self.front = selection.front([*self.front, candidate], self.objectives)

    def quarantine(self, marked: Mapping[str, str]) -> None:
        """Take those out of the search whom `marked` names with their violation, and take back whom it no longer names.

        What they crowded out comes back: population and front are chosen anew from all who were told.
        """
        for name, candidate in self.archive.items():
            violation = marked.get(name) or (candidate.quarantined if candidate.reason.startswith(PREFIX) else "")
            if violation != candidate.quarantined:
                self.archive[name] = marked_one = replace(candidate, quarantined=violation)
                if candidate.operator in self.arms:
                    self.arms.amend(candidate.operator, _gain(candidate), _gain(marked_one))
        pool = [c for c in self.archive.values() if c.verdict == "ok" and not c.quarantined]
        self.population = selection.survivors(pool, self.objectives, self._children, self._size)
        self.front = selection.front(pool, self.objectives)

    def ask(self, index: int) -> Mating:
        """Who has the next child. Raises ValueError before the seed was told, LookupError without an operator."""
        if not self.population:
            raise ValueError("the seed program has to be told before the first ask")
        rng = Random(f"{self._seed}:{index}")
        name = self.arms.draw(rng)
        parent = self.parent(rng)
        seed = rng.getrandbits(32)
        if self.arms.arity(name) == 2:
            if mates := self._mates(parent):
                mate = self._tournament(rng, mates)
                base = self.common_ancestor(parent, mate)
                return Mating(index, name, (parent, mate), base, seed, self._inspirations(rng, (parent, mate)))
            name = self.arms.draw(rng, (1,))
        return Mating(index, name, (parent,), None, seed, self._inspirations(rng, (parent,)))

    def asked(self, mating: Mating) -> None:
        """An ask was written down, by this process or one before it. Nothing follows from that here."""

    def rungs(self, mating: Mating, usual: tuple[float, ...]) -> tuple[float, ...]:
        """The shares of the budget that a child climbs; one with other numbers alone is trained with all of it."""
        return usual[-1:] if self.numbers_only(mating) else usual

    def numbers_only(self, mating: Mating) -> bool:
        """Whether a child is its parent with other numbers, since its operator makes no new structure."""
        return mating.operator in self.arms and not self.arms.structural(mating.operator)

    def smokes(self, mating: Mating) -> bool:
        """Whether a child has a smoke test before it is trained. One whose parent was the same has none to pass."""
        return not self.numbers_only(mating)

    def parent(self, rng: Random) -> Candidate:
        """Whose child the next one is; the population is not empty.

        The newest of a sample of the front, so that children add to what was gained last; once in `EXPLORE` times a
        tournament's winner.
        """
        if not self.front or rng.randrange(EXPLORE) == 0:
            return self._tournament(rng, self.population)
        return max((rng.choice(self.front) for _ in range(SAMPLE)), key=lambda member: member.index)

    def _tournament(self, rng: Random, pool: Sequence[Candidate]) -> Candidate:
        """Binary tournament on (rank, crowding, children), with the order of now."""
        order = selection.ranked(pool, self.objectives, self._children)
        return order[min(rng.randrange(len(order)), rng.randrange(len(order)))]

    def _mates(self, parent: Candidate) -> list[Candidate]:
        """Who differs from `parent` such that a merge over their common ancestor can be something new."""
        return [
            other
            for other in self.population
            if other.genome.skeleton != parent.genome.skeleton
            and _pair(parent, other) not in self._mated
            and (base := self.common_ancestor(parent, other)) is not None
            and base.genome.skeleton not in (parent.genome.skeleton, other.genome.skeleton)
        ]

    def common_ancestor(self, left: Candidate, right: Candidate) -> Candidate | None:
        """The common ancestor with the fewest edits to both."""
        edits_left, edits_right = self._ancestors(left), self._ancestors(right)
        shared = edits_left.keys() & edits_right.keys()
        best = min(shared, key=lambda i: (edits_left[i] + edits_right[i], self.archive[i].index), default=None)
        return self.archive[best] if best else None

    def _ancestors(self, candidate: Candidate) -> dict[str, int]:
        """The nearest ancestors (and the candidate itself) with the number of edits on the shortest way to each."""
        distance: dict[str, int] = {}
        queue = [(0, candidate.id)]
        while queue and len(distance) < ANCESTORS:
            steps, name = heapq.heappop(queue)
            if name in distance:
                continue
            distance[name] = steps
            ancestor = self.archive[name]
            for parent in ancestor.parents:
                heapq.heappush(queue, (steps + max(1, len(ancestor.edits)), parent))
        return distance

    def _inspirations(self, rng: Random, parents: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """A few unlike individuals: members of other skeletons."""
        taken = {p.genome.skeleton for p in parents}
        others = [c for c in self.population if c.genome.skeleton not in taken]
        return tuple(rng.sample(others, min(INSPIRATIONS, len(others))))


def _gain(candidate: Candidate) -> float:
    """By how much the child is better than the better of its parents; noise and what was cheated count nothing."""
    effect = None if candidate.quarantined else candidate.effect
    return -effect.delta if effect and effect.clear and effect.delta < 0 else 0.0


def _pair(left: Candidate, right: Candidate) -> tuple[str, str]:
    """The two structures: with other numbers their merge is the same."""
    a, b = left.genome.skeleton, right.genome.skeleton
    return (a, b) if a < b else (b, a)
