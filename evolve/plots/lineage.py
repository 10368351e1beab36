"""Where the front comes from: its ancestors from the seed on, each with what it changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evolve.config import ConfigError
from evolve.history import History
from evolve.journal import cut, difference
from evolve.lineage import with_ancestors
from evolve.model import Candidate
from evolve.plots.canvas import Theme, canvas
from evolve.plots.layers import Layout, arrange

MOST = 60  # nodes
NAME = 24  # characters of an edit's name
CELL = (1.75, 1.0)  # inches for a node with the label above it
BOX, LABEL = 0.24, 0.34  # of the height of a cell


def plot_lineage(history: History, path: Path, dark: bool = False, of: Candidate | None = None) -> None:
    """The ancestors of the front, or of one candidate, from the seed at the top; a merge has two lines from above.

    Beyond `MOST` nodes the nearest to the front are shown, those of its best member first.
    Raises `ConfigError` if the seed has not been told yet, and as `canvas` does.
    """
    if history.seed is None:
        raise ConfigError("nothing to plot: the seed program has not been measured yet")
    ends = [of] if of else history.front or [history.seed]
    kept, left_out = ancestry(history, ends, MOST)
    layout = arrange({c.id: _shown_parents(c, kept) for c in kept.values()})
    notes = _notes(history, ends, left_out)
    width, height = CELL[0] * max(layout.width, 4.0), CELL[1] * layout.layers
    with canvas(path, width + 0.4, height + 0.3 + 0.25 * len(notes), dark) as (figure, theme):
        axes = figure.subplots()
        axes.set_axis_off()
        spare = max(0.0, 4.0 - layout.width) / 2
        axes.set(xlim=(-0.5 - spare, layout.width - 0.5 + spare), ylim=(layout.layers - 0.7, -0.3))
        Drawing(history, axes, theme, layout, {c.id for c in ends}).draw(kept)
        figure.suptitle("\n".join(notes), fontsize=10, color=theme.muted)


def ancestry(history: History, ends: Sequence[Candidate], most: int) -> tuple[dict[str, Candidate], set[str]]:
    """`ends`, their ancestors and the seed in the order of their asks, at most `most`; and the ids of the others."""
    found = with_ancestors(history.candidates, [history.candidates["0"], *ends])
    kept = sorted(list(found.values())[:most], key=lambda c: c.index)
    return {c.id: c for c in kept}, set(list(found)[most:])


def _shown_parents(candidate: Candidate, kept: Mapping[str, Candidate]) -> list[str]:
    """Those that are kept, or the seed in place of all that lies between."""
    shown = [parent for parent in dict.fromkeys(candidate.parents) if parent in kept]
    return shown or (["0"] if candidate.index else [])


def _notes(history: History, ends: Sequence[Candidate], left_out: set[str]) -> list[str]:
    whose = "the front" if len(ends) > 1 or ends[0].id in {c.id for c in history.front} else f"candidate {ends[0].id}"
    notes = [
        f"Lineage of {whose}: id, {history.loss}, change against the better parent",
        "green: clearly better, orange: clearly worse, grey: no clear difference; pink lines: merges of two",
    ]
    if left_out:
        notes.append(f"{len(left_out)} more ancestors are not shown (dotted); --id shows those of one candidate")
    return [*notes, history.weakness] if history.weakness else notes


class Drawing:
    """Draws on axes whose unit is a cell of the layout, the layers downwards."""

    def __init__(self, history: History, axes: Any, theme: Theme, layout: Layout, ends: set[str]) -> None:
        self._history, self._axes, self._theme, self._layout, self._ends = history, axes, theme, layout, ends

    def draw(self, kept: dict[str, Candidate]) -> None:
        for parent, child, way in self._layout.edges:
            parents = set(kept[child].parents)
            color = self._theme.mixed if len(parents) > 1 else self._theme.faint
            self._edge(way, color, "-" if parent in parents else ":")
        for candidate in kept.values():
            self._node(candidate)

    def _edge(self, way: list[tuple[float, int]], color: str, style: str) -> None:
        """From the lower edge of a box to the label above another, upright at every layer."""
        xs: list[float] = []
        ys: list[float] = []
        for (x0, y0), (x1, y1) in zip(way, way[1:], strict=False):
            start = y0 + (BOX / 2 if (x0, y0) == way[0] else 0)
            end = y1 - BOX / 2 - LABEL
            for i in range(21):
                t = i / 20
                xs.append(x0 + (x1 - x0) * (3 * t**2 - 2 * t**3))
                ys.append(start + (end - start) * t)
            if (x1, y1) != way[-1]:
                xs.append(x1)
                ys.append(y1)
        self._axes.plot(xs, ys, style, color=color, linewidth=1.6, zorder=1)

    def _node(self, candidate: Candidate) -> None:
        theme = self._theme
        x, y = self._layout.places[candidate.id]
        end, seed = candidate.id in self._ends, candidate.index == 0
        fill = theme.best if end else theme.ink if seed else theme.paper
        ink = theme.paper if end or seed else theme.ink
        box = {"boxstyle": "round,pad=0.35", "facecolor": fill, "edgecolor": theme.best if end else theme.muted}
        self._axes.text(x, y, self._text(candidate), color=ink, bbox=box, ha="center", va="center", fontsize=10)
        if not seed:
            said, color = self._change(candidate)
            style = {"ha": "center", "va": "bottom", "fontsize": 8, "linespacing": 1.1}
            self._axes.text(x, y - BOX / 2 - 0.04, said, color=color, **style)

    def _text(self, candidate: Candidate) -> str:
        losses = self._history.losses_of(candidate)
        name = "seed" if candidate.index == 0 else candidate.id
        if not losses:
            return f"{name}  {candidate.verdict}"
        rung = max(losses, key=float)
        return f"{name}  {losses[rung]:.3f}" + (f" at {rung}" if float(rung) < 1 else "")

    def _change(self, candidate: Candidate) -> tuple[str, str]:
        """The name of what was done and its effect, with a colour for the effect."""
        effect = candidate.effect
        if effect is None:
            return short_name(candidate), self._theme.muted
        color = self._theme.muted if not effect.clear else self._theme.good if effect.delta < 0 else self._theme.bad
        return f"{short_name(candidate)}\n{difference(effect)}", color


def short_name(candidate: Candidate) -> str:
    """What a child's edit is called: its name in the catalogue, the idea behind it, or how its hypothesis begins."""
    operator = candidate.operator.split("@")[0]
    if len(candidate.parents) > 1 or not candidate.edits:
        return cut(operator, NAME)
    return cut(candidate.idea or candidate.hypothesis.split(":")[0] or operator, NAME)
