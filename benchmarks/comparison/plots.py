"""What a comparison found as plots, in the style of those of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.comparison.anytime import Band
from benchmarks.comparison.fronts import SURFACES, Floats, corner, values_of
from benchmarks.comparison.outcome import CONFIRMED_LOSS, CONFIRMED_TEST_LOSS, CONFIRMED_VOLUME, LOSS, VOLUME
from benchmarks.comparison.posthocs import METHODS, TASKS, draw_critical_differences
from benchmarks.comparison.statistics import Comparison, TaskSummary
from benchmarks.comparison.tables import label
from evolve.plots.canvas import Theme, canvas, log_axis

ACROSS = 3  # panels in a row
MIDDLE = SURFACES[len(SURFACES) // 2]


@dataclass(frozen=True)
class Plot:
    """A file and what it shows; `task` is "" where it is about all of them."""

    task: str
    title: str
    path: Path
    words: str


def plots(comparison: Comparison, folder: Path, dark: bool = False) -> list[Plot]:
    """Writes PNG files to a folder that is there. Raises `ConfigError` as `canvas` does."""
    found = []
    for task in comparison.tasks:
        for title, stem, draw, words in _of_task(comparison, task):
            found.append(Plot(task.problem.name, title, folder / f"{stem}_{task.problem.name}.png", words))
            draw(task, comparison.ours, found[-1].path, dark)
    if comparison.ranks:
        words = "Average rank of each method at four shares of the budget; 1 is the best."
        found.append(Plot("", "Average ranks", folder / "ranks.png", words))
        _ranks(comparison, found[-1].path, dark)
    if len(comparison.tasks) >= TASKS and comparison.ranks and len(comparison.ranks[0].methods) >= METHODS:
        words = "A bar joins methods that Nemenyi's test does not tell apart at 5 %; tasks are the blocks. Exploratory."
        found.append(Plot("", "Critical differences", folder / "critical_differences.png", words))
        _critical_differences(comparison, found[-1].path, dark)
    return found


def _of_task(comparison: Comparison, task: TaskSummary) -> list[tuple[str, str, Any, str]]:
    others = [method for method in task.runs if method != comparison.ours]
    every = "Median over seeds with its 95 % bootstrap band; what a run had stays until something better is confirmed."
    found = [("by when, all methods", "anytime", _anytime, every + " Steps, nothing is smoothed.")]
    if comparison.ours in task.runs and others:
        beside = f"Each method beside {comparison.ours}: {every[0].lower()}{every[1:]}"
        found.append(("by when, one by one", "pairs", _pairs, beside))
        words = f"By how much {comparison.ours} is ahead on the same seeds, with the bootstrap's 95 % interval."
        found.append(("differences", "differences", _differences, words))
    if task.surfaces:
        words = "What half of the runs attain, and between which surfaces a quarter and three quarters do."
        found.append(("attained", "attainment", _attainment, words))
    words = "Each run: claimed on the left, the same front on fresh seeds on the right."
    if any(run.confirmed is not None for seeds in task.runs.values() for run in seeds.values()):
        found.append(("claimed and confirmed", "claims", _claims, words))
    return found


def _colours(methods: list[str], ours: str, theme: Theme) -> dict[str, tuple[str, Any]]:
    """A colour and a dash for each method; ours alone has the first colour."""
    hues = [theme.bad, theme.good, theme.mixed, theme.unsure, theme.muted]
    dashes: list[Any] = ["-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1))]
    others = [method for method in methods if method != ours]
    styles = {m: (hues[i % len(hues)], dashes[i // len(hues) % len(dashes)]) for i, m in enumerate(others)}
    return {ours: (theme.best, "-"), **styles}


def _anytime(task: TaskSummary, ours: str, path: Path, dark: bool) -> None:
    with canvas(path, 9, 7.5, dark) as (figure, theme):
        styles = _colours(list(task.runs), ours, theme)
        panels = figure.subplots(2, 1, sharex=True)
        for at, (axes, measure) in enumerate(zip(panels, (VOLUME, LOSS), strict=True)):
            for method, bands in reversed(list(task.bands.items())):
                few = len(task.bands) <= 6 or method == ours
                _curve(axes, bands[at], *styles[method], method, 2.6 if method == ours else 1.4, few)
            axes.set_ylabel(label(measure, task))
        _charged_axis(panels[-1], task)
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles[::-1], names[::-1], loc="outside right upper")


def _pairs(task: TaskSummary, ours: str, path: Path, dark: bool) -> None:
    others = [method for method in task.runs if method != ours]
    rows = math.ceil(len(others) / ACROSS)
    with canvas(path, 9, 0.7 + 2.3 * rows, dark) as (figure, theme):
        panels = figure.subplots(rows, ACROSS, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, method in zip(panels, others, strict=False):
            for name, colour in ((method, theme.bad), (ours, theme.best)):
                _curve(axes, task.bands[name][0], colour, "-", name, 1.8, True)
            axes.set_title(method, fontsize=10)
            _charged_axis(axes, task, "")
            axes.set_xticks([share * axes.get_xlim()[1] for share in (0.01, 0.1, 1)])
            axes.tick_params(axis="x", labelbottom=True)
        for axes in panels[len(others) :]:
            axes.set_visible(False)
        figure.supxlabel("charged seconds", fontsize=10)
        figure.supylabel(f"hypervolume ({ours} in blue)", fontsize=10)


def _curve(axes: Any, found: Band, colour: str, dash: Any, name: str, width: float, shaded: bool) -> None:
    axes.step(found.times, found.median, where="post", color=colour, linestyle=dash, linewidth=width, label=name)
    if shaded and found.low is not None and found.high is not None:
        axes.fill_between(found.times, found.low, found.high, step="post", color=colour, alpha=0.18, linewidth=0)


def _charged_axis(axes: Any, task: TaskSummary, words: str = "charged seconds") -> None:
    times = next(iter(task.bands.values()))[0].times
    log_axis(axes.xaxis, float(times[0]), float(times[-1]))
    axes.set_xlim(times[0], times[-1])
    axes.set_xlabel(words)


def _differences(task: TaskSummary, ours: str, path: Path, dark: bool) -> None:
    """Confirmed where there is something confirmed, on test text where there is one, else claimed."""
    found = {measure for of in task.differences.values() for measure in of}
    choices = ((CONFIRMED_VOLUME, VOLUME), (CONFIRMED_TEST_LOSS, CONFIRMED_LOSS, LOSS))
    measures = [next(measure for measure in choice if measure in found) for choice in choices]
    methods = sorted(task.differences, reverse=True)
    with canvas(path, 9, 1.3 + 0.32 * len(methods), dark) as (figure, theme):
        panels = figure.subplots(1, 2, sharey=True)
        for axes, measure in zip(panels, measures, strict=True):
            axes.axvline(0, color=theme.muted, linewidth=1)
            for y, method in enumerate(methods):
                found = task.differences[method].get(measure)
                if found is None:
                    continue
                colour = theme.muted  # also of a pair alone, which has no interval
                if found.low is not None and found.high is not None:
                    colour = theme.best if found.low > 0 else theme.bad if found.high < 0 else theme.muted
                    axes.plot([found.low, found.high], [y, y], color=colour, linewidth=2.2, solid_capstyle="butt")
                axes.plot(found.mean, y, marker="o", color=colour, markersize=6)
            axes.set_xlabel(f"{label(measure, task)}: {ours} ahead →", loc="right")
            axes.set_yticks(range(len(methods)), methods)
            axes.margins(y=0.5 / max(len(methods), 1))
            axes.locator_params(axis="x", nbins=6)


def _attainment(task: TaskSummary, ours: str, path: Path, dark: bool) -> None:
    others = [method for method in task.surfaces if method != ours]
    shown = [*([ours] if ours in task.surfaces else []), *others]
    rows = math.ceil(len(shown) / ACROSS)
    first, second = task.problem.objectives
    with canvas(path, 9, 0.7 + 2.6 * rows, dark) as (figure, theme):
        panels = figure.subplots(rows, ACROSS, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, method in zip(panels, shown, strict=False):
            if ours in shown and method != ours:
                _surface(axes, task, ours, theme.best, filled=False)
            _surface(axes, task, method, theme.best if method == ours else theme.bad, filled=True)
            nothing = all(len(rows) == 1 for rows in task.surfaces[method].values()) and not any(
                run.claimed for run in task.runs[method].values()
            )
            axes.set_title(f"{method}: nothing" if nothing else method, fontsize=10)
            axes.tick_params(labelbottom=True)
        for axes in panels[len(shown) :]:
            axes.set_visible(False)
        _log_axes(panels[0], task)
        aside = f"; {ours} in blue" if ours in shown and others else ""
        figure.supxlabel(f"{first.name}{aside}", fontsize=10)
        figure.supylabel(second.name, fontsize=10)


def _surface(axes: Any, task: TaskSummary, method: str, colour: str, filled: bool) -> None:
    """A staircase from the left edge of the plot to the reference point; between the outer two it is shaded."""
    lines = {share: _staircase(rows, task) for share, rows in task.surfaces[method].items()}
    axes.step(*lines[MIDDLE].T, where="post", color=colour, linewidth=1.8, label=method)
    if filled:
        xs = np.unique(np.concatenate([line[:, 0] for line in lines.values()]))
        low, high = (_height(lines[share], xs) for share in (SURFACES[0], SURFACES[-1]))
        axes.fill_between(xs, low, high, step="post", color=colour, alpha=0.2, linewidth=0)


def _staircase(rows: Floats, task: TaskSummary) -> Floats:
    """Its corners in measured units, from the reference value of the second objective down and on to the first's."""
    end = corner(task.problem)
    corners = [(rows[0][0], end[1]), *((a, b) for a, b in rows), (end[0], rows[-1][1])]
    return np.array([list(values_of(each, task.problem).values()) for each in corners])


def _height(line: Floats, xs: Floats) -> Floats:
    """The staircase at `xs`; before its first corner its highest value."""
    found: Floats = line[np.clip(np.searchsorted(line[:, 0], xs, side="right") - 1, 0, None), 1]
    return found


def _log_axes(axes: Any, task: TaskSummary) -> None:
    for axis, objective, limits in zip(
        (axes.xaxis, axes.yaxis), task.problem.objectives, (axes.get_xlim(), axes.get_ylim()), strict=True
    ):
        if objective.log:
            log_axis(axis, max(limits[0], limits[1] / 1e3), limits[1])


def _claims(task: TaskSummary, ours: str, path: Path, dark: bool) -> None:
    pairs = ((VOLUME, CONFIRMED_VOLUME), (LOSS, CONFIRMED_LOSS))
    with canvas(path, max(6.0, 1.2 + 0.62 * len(task.runs)), 6, dark) as (figure, theme):
        panels = figure.subplots(2, 1, sharex=True)
        for axes, (claimed, confirmed) in zip(panels, pairs, strict=True):
            for x, (method, runs) in enumerate(task.runs.items()):
                colour = theme.best if method == ours else theme.bad
                for run in runs.values():
                    ends = [run.values.get(claimed), run.values.get(confirmed)]
                    if None not in ends:
                        style = {"color": colour, "linewidth": 1.2, "marker": "o", "markersize": 3.5, "alpha": 0.7}
                        axes.plot([x - 0.2, x + 0.2], ends, **style)
            axes.set_ylabel(label(claimed, task))
        panels[-1].set_xticks(range(len(task.runs)), list(task.runs), rotation=40, ha="right")
        figure.suptitle("claimed (left) and confirmed (right), a line a run", fontsize=10)


def _ranks(comparison: Comparison, path: Path, dark: bool) -> None:
    with canvas(path, 9, 1.6 + 0.26 * len(comparison.ranks[0].methods), dark) as (figure, theme):
        panels = figure.subplots(1, len(comparison.ranks), sharey=True, squeeze=False)[0]
        for axes, found in zip(panels, comparison.ranks, strict=True):
            styles = _colours(found.methods, comparison.ours, theme)
            for i, method in enumerate(found.methods):
                ranks = [values[i] for values in found.by_share.values()]
                colour, dash = styles[method]
                width = 2.6 if method == comparison.ours else 1.4
                shares = [100 * share for share in found.by_share]
                axes.plot(shares, ranks, color=colour, linestyle=dash, linewidth=width, marker="o", label=method)
            axes.set_xticks([100 * share for share in found.by_share])
            axes.set_xlabel("% of the budget")
            axes.set_title(found.measure, fontsize=10)
        panels[0].invert_yaxis()
        panels[0].set_ylabel("average rank (1 is the best)")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper")


def _critical_differences(comparison: Comparison, path: Path, dark: bool) -> None:
    """Of the medians over seeds of the final hypervolume."""
    methods = comparison.ranks[0].methods
    rows = [[np.median([*task.values(method, VOLUME).values()]) for method in methods] for task in comparison.tasks]
    with canvas(path, 9, 1.4 + 0.3 * len(methods), dark) as (figure, theme):
        axes = figure.subplots()
        axes.grid(False)
        draw_critical_differences(axes, methods, np.array(rows), theme.ink)
