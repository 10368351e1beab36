"""Where the plots of the page put whom, as plain numbers.

`shown` are the individuals on the page; a `row` is the number of one among them, which is that in the page's table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from evolve.effects import means
from evolve.history import History
from evolve.model import Candidate, Knob, Objective
from evolve.objectives import SECONDS_TO_TARGET
from evolve.page.individuals import kind_of

STRIP = (1.16, 1.44)  # of the budget: where those stand that have no time to the seed's loss
MOST_LINES = 300  # in a plot of lines
MOST_AXES = 12

Range = tuple[float, float]


@dataclass
class Points:
    """One place for each individual with a fitness."""

    row: list[int] = field(default_factory=list)
    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    kind: list[str] = field(default_factory=list)


@dataclass
class Lines:
    """One line for each individual; `loss` is its last one."""

    row: list[int] = field(default_factory=list)
    xs: list[list[float]] = field(default_factory=list)
    ys: list[list[float]] = field(default_factory=list)
    kind: list[str] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)

    def add(self, history: History, row: int, candidate: Candidate, line: Sequence[Range], loss: float) -> None:
        self.row.append(row)
        self.xs.append([round(x, 4) for x, _ in line])
        self.ys.append([round(y, 5) for _, y in line])
        self.kind.append(kind_of(history, candidate))
        self.loss.append(round(loss, 5))


def budget(history: History) -> float:
    return float(history.header["settings"]["budget"])


def second(history: History) -> Objective | None:
    """The objective across, where there is more than one."""
    return history.search.objectives[1] if len(history.search.objectives) > 1 else None


def timed(history: History) -> bool:
    """Whether the objective across is the time to the seed's loss."""
    objective = second(history)
    return objective is not None and objective.name == SECONDS_TO_TARGET


def points(history: History, shown: Sequence[Candidate]) -> Points:
    """By the first two objectives; by order and loss where there is but one.

    Who does not reach the seed's loss has no time to it: the place is in the strip beyond the budget.
    """
    found = Points()
    for row, candidate in enumerate(shown):
        y = _mean(candidate, history.loss)
        x = _across(history, candidate, len(found.row))
        if x is not None and y is not None:
            found.row.append(row)
            found.x.append(round(x, 5))
            found.y.append(round(y, 5))
            found.kind.append(kind_of(history, candidate))
    return found


def _across(history: History, candidate: Candidate, place: int) -> float | None:
    objective = second(history)
    value = _mean(candidate, objective.name) if objective else float(place)
    if value is None and timed(history):  # always the same place, far from that of the next one
        low, high = STRIP
        return budget(history) * (low + (high - low) * (candidate.index * 0.618 % 1))
    return value


def _mean(candidate: Candidate, name: str) -> float | None:
    value = candidate.fitness.values.get(name) if candidate.fitness else None
    return value.mean if value else None


def ranges(history: History, found: Points) -> tuple[Range, Range]:
    """What is in view at first, across and up: all that is feasible, of the others those not far above the seed."""
    seed = history.seed
    assert seed is not None
    mine = _mean(seed, history.loss) or 0.0
    low, high = min(found.y), max(found.y)
    high = min(high, mine + max(0.6 * (mine - low), 0.05 * abs(mine)))
    room = 0.06 * (high - low) or 0.1
    left, right = min(found.x), max(found.x)
    wide = 0.05 * (right - left) or 1.0
    across = (left / 1.12, budget(history) * 1.55) if timed(history) else (left - wide, right + wide)
    return across, (low - room, high + room)


def strip(history: History) -> Range:
    low, high = STRIP
    return budget(history) * (low - 0.05), budget(history) * (high + 0.05)


def knob_axes(
    history: History, shown: Sequence[Candidate], weight: dict[str, float]
) -> tuple[list[Candidate], list[Knob]]:
    """The best individuals, and knobs that a third of them have and that differ among them, by `weight`."""
    measured = [c for c in shown if _mean(c, history.loss) is not None and not c.quarantined]
    best = sorted(measured, key=lambda c: _mean(c, history.loss) or 0.0)[:MOST_LINES]
    have: dict[str, list[tuple[Knob, float]]] = {}
    for candidate in best:
        for knob in candidate.genome.knobs:
            have.setdefault(knob.address, []).append((knob, _value(candidate, knob)))
    usual = [found for found in have.values() if len(found) * 3 >= len(best) and len({v for _, v in found}) > 1]
    knobs = sorted((found[0][0] for found in usual), key=lambda k: -weight.get(k.address, 0.0))
    return best, knobs[:MOST_AXES]


def knob_lines(history: History, shown: Sequence[Candidate], best: Sequence[Candidate], knobs: Sequence[Knob]) -> Lines:
    """A line over the axes, which are numbered, in 0..1; the best one is drawn last."""
    rows = {c.id: row for row, c in enumerate(shown)}
    ends = {k.address: extremes(k, best) for k in knobs}
    lines = Lines()
    for candidate in reversed(best):
        held = {k.address for k in candidate.genome.knobs}
        at = [
            (float(i), _share(k, _value(candidate, k), ends[k.address]))
            for i, k in enumerate(knobs)
            if k.address in held
        ]
        lines.add(history, rows[candidate.id], candidate, at, _mean(candidate, history.loss) or 0.0)
    return lines


def extremes(knob: Knob, best: Sequence[Candidate]) -> Range:
    """The least and the greatest value that occurs."""
    values = [_value(c, knob) for c in best if any(k.address == knob.address for k in c.genome.knobs)]
    return min(values), max(values)


def _value(candidate: Candidate, knob: Knob) -> float:
    return float(candidate.params.get(knob.address, knob.default))


def _share(knob: Knob, value: float, ends: Range) -> float:
    """0..1 between the values that occur, in log where the knob is declared so."""
    low, high = ends
    if knob.log and low > 0:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def curve(history: History, candidate: Candidate) -> dict[str, float]:
    """Losses by rung: means over seeds where its final numbers were trained at several, else the best of its trials."""
    trained = means(candidate.losses)
    return trained if len(trained) > 1 else history.losses_of(candidate)


def curves(history: History, shown: Sequence[Candidate]) -> Lines:
    """Losses against budgets: of many, over the whole run, and in the end of the seed and the front."""
    rows = [(row, c, curve(history, c)) for row, c in enumerate(shown) if not c.quarantined]
    rows = [found for found in rows if len(found[2]) > 1]
    leaders = {"0", *(member.id for member in history.front)}
    others = [found for found in rows if found[1].id not in leaders]
    step = max(1, math.ceil(len(others) / MOST_LINES))
    lines = Lines()
    for row, candidate, losses in [*others[::step], *(found for found in rows if found[1].id in leaders)]:
        at = sorted((float(rung) * budget(history), loss) for rung, loss in losses.items())
        lines.add(history, row, candidate, at, at[-1][1])
    return lines
