"""Which operator makes the next child: fixed shares between groups of operators, a cost-aware bandit inside a group.

An arm is an operator by name; where language models are operators, each model with each way of asking it is one
(`mutate@one`, `crossover@other`). How much of a run they may have is known to whoever starts it, so the share of a
group is fixed; which model is worth its price is not, so its arms share alike at first, then by gain per cost.

ShinkaEvolve (arXiv 2509.19349) chooses its models by UCB; its code also weighs cost, and has a variant that samples.
Here it is Thompson sampling, because children are made side by side: until a result comes, UCB names the same arm again
and again, and a sample does not (Chapelle and Li 2011, on delayed feedback).

A repair (`repair@one`) is no arm, since nobody draws it: what repairs cost and gain is told of no arm, so a model whose
children crash often looks cheaper here than it is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from statistics import fmean, median_low

ENOUGH = 8  # finished pulls of every arm, before what they gained says anything
TAIL = 2.0  # times a usual gain is the most that one counts
FLOOR = 0.1  # of a group's draws are uniform: a search changes, and who gained nothing early may gain late
PRIOR = 8  # pulls of mean cost that the group's mean counts for in an arm's: most gains are 0 and a few are large
CHEAPEST = 0.25  # of the mean cost is the least that a pull counts: who refuses at once takes a place too
SAMPLES = 2000  # behind a reported share: its standard error is at most 1.1 percentage points


@dataclass(frozen=True)
class Arm:
    """An operator that takes `arity` parents. `weight` is that of its group; without a group it is one of its own.

    `structural`: it makes new structures, not only new numbers.
    """

    arity: int
    weight: float
    group: str = ""
    structural: bool = True


@dataclass(frozen=True)
class Tally:
    """The finished pulls of an arm: how many, which gains they had, what they cost in all."""

    pulls: int = 0
    gains: tuple[float, ...] = ()  # those above 0, ascending
    seconds: float = 0.0
    usd: float = 0.0

    @property
    def mean(self) -> float:
        """Gain a pull, 0 before the first."""
        return math.fsum(self.gains) / self.pulls if self.pulls else 0.0


class Arms:
    """The arms of a run. A draw depends on its generator and on what was told, and leaves nothing behind."""

    def __init__(self, arms: Mapping[str, Arm]) -> None:
        """Raises ValueError for an arity other than 1 and 2, a weight not above 0, two weights in one group."""
        weights: dict[tuple[str, str], float] = {}
        for name, arm in arms.items():
            if arm.arity not in (1, 2) or not 0 < arm.weight < math.inf:
                raise ValueError(f"arm {name}: its arity must be 1 or 2 and its weight above 0")
            if weights.setdefault(_group(name, arm), arm.weight) != arm.weight:
                raise ValueError(f"arm {name}: another arm of group {arm.group!r} has another weight")
        self._arms = {name: arms[name] for name in sorted(arms)}
        self._tallies = dict.fromkeys(self._arms, Tally())
        self._closed: set[str] = set()

    def __contains__(self, name: object) -> bool:
        return name in self._arms

    def arity(self, name: str) -> int:
        """How many parents an arm takes. Raises KeyError for an unknown one."""
        return self._arms[name].arity

    def structural(self, name: str) -> bool:
        """Whether an arm makes new structures. Raises KeyError for an unknown one."""
        return self._arms[name].structural

    def open(self, arity: int, structural: bool = False) -> bool:
        """Whether an arm that takes so many parents is open; with `structural`, one that makes new structures."""
        return any(
            arm.arity == arity and name not in self._closed and (arm.structural or not structural)
            for name, arm in self._arms.items()
        )

    def close(self, name: str) -> None:
        """Draw an arm no longer (its model is unknown, its budget is used). Raises KeyError for an unknown one."""
        if name not in self:
            raise KeyError(name)
        self._closed.add(name)

    def reopen(self) -> None:
        """Open every arm again: a new session may have a new budget."""
        self._closed.clear()

    def tell(self, name: str, gain: float, seconds: float, usd: float) -> None:
        """One finished pull; one that made no child, or no better one, has gain 0.

        Gains are in units of the first objective. Raises KeyError for an unknown arm and ValueError for a number that
        is negative or not finite.
        """
        old = self._tallies[name]
        if not all(0 <= x < math.inf for x in (gain, seconds, usd)):
            raise ValueError(f"arm {name}: gain {gain}, seconds {seconds}, usd {usd} must be finite and not negative")
        gains = tuple(sorted((*old.gains, gain))) if gain else old.gains
        self._tallies[name] = Tally(old.pulls + 1, gains, old.seconds + seconds, old.usd + usd)

    def amend(self, name: str, before: float, after: float) -> None:
        """What a finished pull gained is known to be another number. Raises KeyError for an unknown arm."""
        old = self._tallies[name]
        gains = list(old.gains)
        if before in gains:
            gains.remove(before)
        self._tallies[name] = replace(old, gains=tuple(sorted([*gains, after] if after else gains)))

    def draw(self, rng: Random, arity: Collection[int] = (1, 2)) -> str:
        """An open arm that takes one of these numbers of parents: first a group by weight, then one of its arms.

        An arm of fewer than `ENOUGH` pulls has an equal share; what the others would have by that is divided between
        them by what they gained. Raises LookupError when none is open.
        """
        groups: dict[tuple[str, str], list[str]] = {}
        for name, arm in self._arms.items():
            if name not in self._closed and arm.arity in arity:
                groups.setdefault(_group(name, arm), []).append(name)
        if not groups:
            raise LookupError(f"no operator for {' or '.join(map(str, arity))} parents is open")
        names = rng.choices(list(groups.values()), [self._arms[names[0]].weight for names in groups.values()])[0]
        name = rng.choice(names)
        if self._tallies[name].pulls < ENOUGH or rng.random() < FLOOR:
            return name
        return _sample(rng, {n: tally for n in names if (tally := self._tallies[n]).pulls >= ENOUGH})

    def tallies(self) -> Mapping[str, Tally]:
        """What was told of each arm, by name."""
        return dict(self._tallies)

    def shares(self) -> Mapping[str, float]:
        """The share that each arm would have of the next draws, counted over `SAMPLES` of them."""
        rng, some = Random(0), self.open(1) or self.open(2)
        counts = Counter(self.draw(rng) for _ in range(SAMPLES if some else 0))
        return {name: counts[name] / SAMPLES for name in self._arms}


def _group(name: str, arm: Arm) -> tuple[str, str]:
    return (arm.group, "") if arm.group else ("", name)


def _sample(rng: Random, tallies: Mapping[str, Tally]) -> str:
    """Thompson sampling: the arm with the largest sampled gain per cost; among equal ones each as likely.

    What is known of an arm's gain per cost is a normal distribution, cut off at 0.
    """

    def sampled(mean: float, error: float) -> tuple[float, float]:
        rate = -1.0
        while rate < 0:  # the mean is not negative, so at least every second one will do
            rate = rng.normalvariate(mean, error)
        return rate, rng.random()

    drawn = {name: sampled(mean, error) for name, (mean, error) in _known(tuple(tallies.items())).items()}
    return max(drawn, key=drawn.__getitem__)


@lru_cache(maxsize=4)
def _known(told: tuple[tuple[str, Tally], ...]) -> dict[str, tuple[float, float]]:
    """What is known of each arm's gain per cost: mean and error; kept, as `shares` asks for it thousands of times.

    What was spent on an arm takes the place of a number of pulls: if one that costs a tenth told as much as another, an
    arm that refuses everything at once would be drawn most, being so cheap to try once more. The variance is pooled
    over the arms, since one with nothing but zeros so far is not known exactly. The mean is shrunk towards that of the
    group, which is a mean over arms: weighed by pulls it would be little more than the favourite's.
    """
    tallies = _winsorised(dict(told))
    freedom = sum(tally.pulls for tally in tallies.values()) - len(tallies)
    scatter = math.fsum(map(_scatter, tallies.values()))
    middle, costs = fmean(tally.mean for tally in tallies.values()), _costs(tallies)
    known = {}
    for name, tally in tallies.items():
        spent = tally.pulls * costs[name] + PRIOR
        mean = (math.fsum(tally.gains) + PRIOR * middle) / spent
        known[name] = mean, math.sqrt(scatter / freedom / spent)
    return known


def _scatter(tally: Tally) -> float:
    """The sum of squares of an arm's gains about their mean, pulls that gained nothing included."""
    mean = tally.mean
    around = math.fsum((gain - mean) ** 2 for gain in tally.gains)
    return around + (tally.pulls - len(tally.gains)) * mean**2


def _winsorised(tallies: Mapping[str, Tally]) -> dict[str, Tally]:
    """With no gain above `TAIL` times the largest of the arms' median gains; a single gain of an arm is no median.

    One lucky child may gain fifty times what is usual. Taken as it is, it makes the mean of its arm, and the arm would
    have nearly all draws until dozens of others had shown that it was luck. A median is not moved by it, and depends on
    no order, so a replay draws alike. It is an arm's and not the group's, which would be little more than the
    favourite's: an arm that gains much, but is seldom drawn, would be cut to what the favourite gains.
    """
    medians = [median_low(tally.gains) for tally in tallies.values() if len(tally.gains) > 1]
    single = [gain for tally in tallies.values() for gain in tally.gains]
    most = TAIL * max(medians or [median_low(single or [0.0])])
    return {n: replace(tally, gains=tuple(min(gain, most) for gain in tally.gains)) for n, tally in tallies.items()}


def _costs(tallies: Mapping[str, Tally]) -> dict[str, float]:
    """What a pull of each arm costs, as a multiple of the mean over the arms: its seconds and its dollars.

    Nobody says what a second is worth in dollars, and it differs by machine. On the group's own scale both count alike;
    one that is 0 for every arm is left out. The mean is over arms, not over pulls: otherwise dollars would look dearer
    the less often an arm that costs any is drawn, and it would be drawn still less.
    """
    seconds = _scaled({name: tally.seconds / tally.pulls for name, tally in tallies.items()})
    usd = _scaled({name: tally.usd / tally.pulls for name, tally in tallies.items()})
    parts = [part for part in (seconds, usd) if part] or [dict.fromkeys(tallies, 1.0)]
    return {name: max(CHEAPEST, fmean(part[name] for part in parts)) for name in tallies}


def _scaled(values: Mapping[str, float]) -> dict[str, float]:
    """As multiples of their mean; nothing if all are 0."""
    middle = fmean(values.values())
    return {name: value / middle for name, value in values.items()} if middle else {}
