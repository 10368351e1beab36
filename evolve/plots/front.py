"""The Pareto front among all that was measured at the full budget."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from evolve.history import History
from evolve.model import Candidate, Estimate, Objective
from evolve.objectives import SECONDS_TO_TARGET
from evolve.plots.canvas import Theme, canvas, log_axis, put_labels
from evolve.plots.progress import measured_seed
from evolve.reports.standing import standing

LABELLED = 12  # members of the front, at most
HEADROOM = 0.35  # what is shown above the reference point, as a share of what was gained
NOT_SHOWN = {"pruned": "stopped early", "failed": "failed", "duplicate": "seen before", "rejected": "refused"}
COUNT = "candidate"  # the horizontal axis of a run with one objective: the number of the ask

Point = tuple[float, float]


def plot_front(history: History, path: Path, dark: bool = False) -> None:
    """The loss against each other objective; a run with one objective: against the number of the candidate.

    Raises `ConfigError` if there is nothing to plot yet, and as `canvas` does.
    """
    measured_seed(history)
    loss, *others = history.search.objectives
    panels = others or [Objective(COUNT)]
    with canvas(path, max(8.0, 6.4 * len(panels)), 6, dark) as (figure, theme):
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, other in zip(row, panels, strict=True):
            Panel(history, axes, theme, other).draw()
        row[0].set_ylabel(_axis_name(loss))
        figure.legend(
            *row[0].get_legend_handles_labels(), loc="outside upper left", ncols=3, columnspacing=1.5, handletextpad=0.3
        )
        figure.supxlabel(_note(history, len(panels)), fontsize=8, color=theme.muted)
        if history.weakness:
            figure.suptitle(history.weakness)
        for axes, other in zip(row, panels, strict=True):
            Panel(history, axes, theme, other).label()


class Panel:
    """One pair of objectives: the loss upwards, `other` to the right."""

    def __init__(self, history: History, axes: Any, theme: Theme, other: Objective) -> None:
        assert history.seed is not None
        self._seed, self._axes, self._theme, self._other = history.seed, axes, theme, other
        self._loss = history.search.objectives[0]
        self._front = [c for c in history.front if c.index]
        self._by_standing: dict[str | None, list[Candidate]] = defaultdict(list)
        for candidate in history.candidates.values():
            if candidate.index and candidate.fitness:
                self._by_standing[standing(history, candidate)].append(candidate)
        shown = ("front", "unconfirmed", "dominated", "infeasible")
        self._all = [self._seed, *(c for name in shown for c in self._by_standing[name])]

    def draw(self) -> None:
        theme, axes = self._theme, self._axes
        if self._other.name == SECONDS_TO_TARGET:
            known = [x.mean for c in self._all if (x := self._x(c))]
            log_axis(axes.xaxis, min(known), max(known))
        axes.set_xlabel(_axis_name(self._other))
        self._strip()
        if self._other.name == COUNT:
            self._best_so_far()
        else:
            self._attained()
        self._scatter(self._by_standing["infeasible"], "infeasible", marker="x", color=theme.bad, s=30)
        dominated = self._by_standing["dominated"]
        less = [c for c in dominated if not c.confirmed]
        self._scatter(less, "dominated, under 3 seeds", edgecolors=theme.faint, facecolors="none", s=30)
        self._scatter([c for c in dominated if c.confirmed], "dominated, 3 seeds", color=theme.faint, s=30)
        self._scatter(self._by_standing["unconfirmed"], "unconfirmed", marker="^", color=theme.unsure, s=46)
        self._with_errors([self._seed], "seed, hypervolume reference", "D", theme.ink)
        self._with_errors(self._front, "front ± standard error", "o", theme.best)

    def label(self) -> None:
        """The ids; to be called when everything else has its place."""
        some = _spread(self._front, LABELLED)
        labels = [(*self._point(c), c.id) for c in some] + [(*self._point(self._seed), "seed")]
        put_labels(self._axes, labels, [self._point(c) for c in self._all], fontsize=10, color=self._theme.ink)

    def _point(self, candidate: Candidate) -> Point:
        """Where it is drawn: those without a value stand in a strip of their own, those too high at the upper edge."""
        x = self._x(candidate)
        y = candidate.fitness.values[self._loss.name].mean if candidate.fitness else 0.0
        return (self._never() if x is None else x.mean), min(y, self._highest)

    def _x(self, candidate: Candidate) -> Estimate | None:
        if self._other.name == COUNT:
            return Estimate(candidate.index, 1)
        return candidate.fitness.values.get(self._other.name) if candidate.fitness else None

    @property
    def _reference(self) -> Point:
        assert self._seed.fitness
        x = self._x(self._seed)
        return (x.mean if x else 0.0), self._seed.fitness.values[self._loss.name].mean

    @property
    def _highest(self) -> float:
        losses = [c.fitness.values[self._loss.name].mean for c in self._all if c.fitness]
        top = max(losses)
        gained = self._reference[1] - min(losses)
        return min(top, self._reference[1] + HEADROOM * gained) if gained > 0 else top

    def _never(self) -> float:
        """To the right of the seed's seconds, which nobody needs more of who reaches its loss."""
        known = [x.mean for c in self._all if (x := self._x(c))]
        return math.exp(math.log(max(known)) + max(0.12 * math.log(max(known) / min(known)), 0.1))

    def _strip(self) -> None:
        if any(self._x(c) is None for c in self._by_standing["infeasible"]):
            where = {"xy": (self._never(), 0.5), "xycoords": ("data", "axes fraction"), "rotation": 90}
            style = {"ha": "center", "va": "center", "fontsize": 8, "color": self._theme.muted}
            self._axes.axvline(math.sqrt(self._never() * self._reference[0]), color=self._theme.faint, linestyle=":")
            self._axes.annotate("seed's loss not reached", **where, **style)

    def _attained(self) -> None:
        """What the front attains (Fonseca & Fleming 1996), and the hypervolume between it and the reference point."""
        corner = self._minimised(self._reference)
        points = [self._minimised(self._point(c)) for c in self._front]
        steps = staircase(points, corner)
        if not steps:
            return
        color = self._theme.best
        self._axes.plot(*self._columns(steps), color=color, linewidth=1.6)
        inside = [(min(x, corner[0]), min(y, corner[1])) for x, y in steps]
        self._axes.fill(*self._columns([*inside, corner]), color=color, alpha=0.1, linewidth=0)

    def _best_so_far(self) -> None:
        """The lowest confirmed loss by the number of the candidate."""
        known = sorted(self._point(c) for c in self._all if c.confirmed)
        lowest = [(x, min(y for _, y in known[: i + 1])) for i, (x, y) in enumerate(known)]
        last = max(self._point(c)[0] for c in self._all)
        xs, ys = zip(*lowest, (last, lowest[-1][1]), strict=True)
        self._axes.step(xs, ys, where="post", color=self._theme.best, linewidth=1.6)

    def _minimised(self, point: Point) -> Point:
        return (point[0] if self._other.direction == "minimize" else -point[0]), point[1]

    def _columns(self, points: Sequence[Point]) -> tuple[list[float], list[float]]:
        return [self._minimised(p)[0] for p in points], [y for _, y in points]

    def _scatter(self, candidates: Sequence[Candidate], label: str, **style: Any) -> None:
        if candidates:
            xs, ys = zip(*map(self._point, candidates), strict=True)
            self._axes.scatter(xs, ys, label=f"{label} ({len(candidates)})", **style)

    def _with_errors(self, candidates: Sequence[Candidate], label: str, marker: str, color: str) -> None:
        if not candidates:
            return
        xs, ys = zip(*map(self._point, candidates), strict=True)
        losses = [c.fitness.values[self._loss.name] for c in candidates if c.fitness]
        style = {"fmt": marker, "color": color, "markersize": 7, "capsize": 3, "elinewidth": 1.2}
        sideways, upwards = _errors(map(self._x, candidates)), _errors(losses)
        self._axes.errorbar(xs, ys, xerr=sideways, yerr=upwards, label=label, **style)


def staircase(points: Iterable[Point], corner: Point) -> list[Point]:
    """The border of what is dominated by `points`, both coordinates to be minimised, as far as `corner` or beyond."""
    steps: list[Point] = []
    for x, y in sorted(points):
        if not steps:
            steps = [(x, max(y, corner[1])), (x, y)]
        elif y < steps[-1][1]:
            steps += [(x, steps[-1][1]), (x, y)]
    return [*steps, (max(corner[0], steps[-1][0]), steps[-1][1])] if steps else []


def _errors(estimates: Iterable[Estimate | None]) -> list[float]:
    return [(e.sem or 0.0) if e else 0.0 for e in estimates]


def _spread(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """The two ends, then others evenly between them, at most `most`."""
    if len(candidates) <= most:
        chosen = list(candidates)
    else:
        chosen = [candidates[round(i * (len(candidates) - 1) / (most - 1))] for i in range(most)]
    return [*chosen[:1], *chosen[-1:], *chosen[1:-1]] if len(chosen) > 1 else chosen


def _axis_name(objective: Objective) -> str:
    if objective.name == COUNT:
        return "candidate, in the order in which they were asked for"
    better = "lower" if objective.direction == "minimize" else "higher"
    return f"{objective.name} ({better} is better)"


def _note(history: History, panels: int) -> str:
    """Who is not in the plot."""
    told = [c for c in history.candidates.values() if c.index]
    counts = Counter("quarantined" if c.quarantined else c.verdict for c in told if c.quarantined or not c.fitness)
    names = NOT_SHOWN | {"quarantined": "in quarantine"}
    parts = [f"{counts[kind]} {said}" for kind, said in names.items() if counts[kind]]
    shown = f"{len(told) - counts.total()} of {len(told)} candidates were measured at the full budget and are shown"
    lines = [shown + (f"; not: {', '.join(parts)}." if parts else ".")]
    if panels > 1:
        lines.append("The front is that of all objectives; a line is what it attains of two of them.")
    return "\n".join(lines)
