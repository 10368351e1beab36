"""The plots of the page. The only file that imports bokeh, which is an extra.

Colours are those of Okabe and Ito (2008), which people with any kind of colour vision tell apart; shapes differ too.
What has a tag gets its colour from the page, which knows whether it is light or dark: `ink` that of the text, `lead`
that of the front, `second` green, `count` purple, `strip` orange, and `rim` an outline in the colour of the text. So do
axes and grids.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import quantiles
from typing import Any, Literal

from evolve.config import ConfigError
from evolve.history import History
from evolve.journal import plain
from evolve.model import Candidate, Knob, Objective
from evolve.page import places
from evolve.plots.progress import SEED_BAND

try:
    from bokeh.core.types import ID
    from bokeh.embed import json_item
    from bokeh.models import (
        CDSView,
        ColumnDataSource,
        FixedTicker,
        HoverTool,
        IndexFilter,
        LinearColorMapper,
        LogTicker,
        Node,
        Range1d,
        TapTool,
    )
    from bokeh.models.annotations import BoxAnnotation, ColorBar, Label, Span
    from bokeh.palettes import interp_palette
    from bokeh.plotting import figure
    from bokeh.resources import Resources
except ImportError as error:
    raise ConfigError(f"the page needs bokeh ({error}): pip install -c constraints.txt -e '.[page]'") from error

SKY, ORANGE, VERMILLION = "#56B4E9", "#E69F00", "#D55E00"
INK, LEAD, RIM, COUNT = ["ink"], ["lead"], ["lead", "rim"], ["count"]  # tags
MARKERS: Mapping[str, Mapping[str, Any]] = {  # by kind of individual, in the order in which they are drawn
    "infeasible": {
        "marker": "inverted_triangle",
        "size": 8,
        "line_color": ORANGE,
        "fill_alpha": 0.0,
        "line_width": 1.5,
    },
    "unconfirmed": {"marker": "circle", "size": 8, "line_color": SKY, "fill_alpha": 0.0, "line_width": 1.5},
    "dominated": {"marker": "circle", "size": 8, "line_color": SKY, "fill_color": SKY, "fill_alpha": 0.6},
    "quarantined": {"marker": "x", "size": 10, "line_color": VERMILLION, "line_width": 2},
    "front": {"marker": "diamond", "size": 16, "tags": RIM},
    "seed": {"marker": "square", "size": 12, "tags": INK},
}
BEST_TO_WORST = ("#2A8FD0", "#9AA0A6", "#E69F00")  # seen on white and on black
HEIGHT = 440  # pixels
SLIGHT: dict[str, Any] = {"text_font_size": "12px"}
Item = dict[str, Any]
End = Literal["left", "right"]

TIP = "max-width:26rem;margin:-5px;padding:7px 10px;background:var(--card);color:var(--ink);white-space:normal"
HOVER = """<b>@id</b> @kind, generation @generation<br>@operator of @parents<br>@objectives<br>@metrics
<div>@knobs</div><i>@hypothesis</i>"""


def bundle() -> str:
    """The JavaScript of bokeh that these plots need, as the package carries it."""
    return "\n".join(Resources(mode="inline", components=["bokeh"], log_level="error").js_raw)


def plots_of(history: History, importance: Sequence[tuple[str, float]], shown: Sequence[Candidate]) -> dict[str, Item]:
    """The plots by the id of the element that each goes into; those that there is nothing for are left out.

    `shown` are the individuals that have a row on the page, in that order.
    """
    measured = history.seed is not None and history.seed.fitness is not None
    plots = {
        "plot-front": _front(history, shown) if measured else None,
        "plot-loss": _loss(history) if history.progress else None,
        "plot-volume": _volume(history) if history.progress else None,
        "plot-knobs": _knobs(history, shown, dict(importance)),
        "plot-curves": _curves(history, shown),
    }
    return {name: dict(json_item(plot, ID(name))) for name, plot in plots.items() if plot is not None}


def _figure(height: int = HEIGHT, **more: Any) -> Any:
    plot = figure(
        height=height,
        sizing_mode="stretch_width",
        tools="pan,box_zoom,wheel_zoom,reset,save",
        toolbar_location="above",
        active_drag=None,  # a finger scrolls the page
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_color=None,
        **more,
    )
    plot.toolbar.logo = None
    return plot


def _hover(template: str, renderers: Sequence[Any], **more: Any) -> Any:
    """What bokeh puts into the places of a template is escaped."""
    told = f'<div style="{TIP}">{template}</div>'
    return HoverTool(tooltips=told, renderers=list(renderers), limit=2, **more)


def _source(columns: places.Points | places.Lines, name: str) -> Any:
    """The page finds it by its name, and adds what the hover shows."""
    return ColumnDataSource(asdict(columns), name=name)


def _rows(kinds: Sequence[str], wanted: str, **more: Any) -> Any:
    return CDSView(filter=IndexFilter(indices=[i for i, kind in enumerate(kinds) if kind == wanted], **more))


def _front(history: History, shown: Sequence[Candidate]) -> Any:
    """All individuals with a fitness. The page draws the line of the front and moves the filters."""
    points = places.points(history, shown)
    across, up = places.ranges(history, points)
    second = places.second(history)
    plot = _figure(
        x_axis_type="log" if places.timed(history) else "linear",
        x_axis_label=_axis(second) if second else "individuals in the order in which they were measured",
        y_axis_label=_axis(history.search.objectives[0]),
        x_range=Range1d(start=across[0], end=across[1]),
        y_range=Range1d(start=up[0], end=up[1]),
    )
    if places.timed(history):
        _strip(history, plot)
    _counts(history, plot, up, "left")
    plot.line("x", "y", source=ColumnDataSource({"x": [], "y": []}, name="front-line"), line_width=2, tags=LEAD)
    source, drawn = _source(points, "front-source"), []
    for kind, look in MARKERS.items():
        alike = {"nonselection_fill_alpha": look.get("fill_alpha", 1.0), "nonselection_line_alpha": 1.0}
        view = _rows(points.kind, kind, name=f"front-{kind}")
        drawn.append(plot.scatter("x", "y", source=source, view=view, **look, **alike))
    plot.add_tools(_hover(HOVER, drawn), TapTool(renderers=drawn))
    return plot


def _axis(objective: Objective) -> str:
    better = "lower" if objective.direction == "minimize" else "higher"
    return f"{objective.name.replace('_', ' ')} ({better} is better)"


def _strip(history: History, plot: Any) -> None:
    """Whoever has no time stands beyond the budget, where the axis says nothing."""
    left, right = places.strip(history)
    plot.add_layout(BoxAnnotation(left=left, right=right, fill_color=ORANGE, fill_alpha=0.08, line_color=None))
    said: dict[str, Any] = {
        "text": "not reached",
        "tags": ["strip"],
        "text_baseline": "middle",
        "angle": math.pi / 2,
    }
    plot.add_layout(Label(x=math.sqrt(left * right), y=8, y_units="screen", **SLIGHT, **said))
    plot.xaxis.ticker = plot.xgrid.ticker = LogTicker(mantissas=[1, 1.5, 2, 3, 4, 5, 7], desired_num_ticks=10)
    ticks = (round(m / 10 * 10.0**p, 6) for p in range(-3, 7) for m in range(10, 100))
    budget = places.budget(history)
    plot.xaxis.major_label_overrides = {tick: "" for tick in ticks if budget < tick < 2 * budget}


def _counts(history: History, plot: Any, view: places.Range, end: End) -> None:
    """Count models of the same text as dashed lines with their names, where they are in view."""
    seed = history.seed.fitness.values[history.loss].mean if history.seed and history.seed.fitness else 0.0
    for name, value in (history.harness.get("baselines") or {}).items():
        if view[0] < value < view[1]:
            plot.add_layout(Span(location=value, dimension="width", line_dash="dashed", line_width=1.5, tags=COUNT))
            _note(plot, end, value, value > seed, f"{plain(name)} counts", COUNT)


def _note(plot: Any, end: End, y: float, above: bool, said: str, tags: list[str]) -> None:
    """Words above or below a horizontal line, at one end of it."""
    place: dict[str, Any] = {"x": Node(target="frame", symbol=end), "x_offset": 6 if end == "left" else -6, "y": y}
    look: dict[str, Any] = {"text_align": end, "text_baseline": "bottom" if above else "top"}
    plot.add_layout(Label(text=said, tags=tags, y_offset=2 if above else -2, **place, **look, **SLIGHT))


def _loss(history: History) -> Any:
    """Best confirmed loss against charged seconds, with the seed and how far one training is from the next."""
    seed = history.seed
    assert seed and seed.fitness
    mine, sd = seed.fitness.values[history.loss].mean, history.noise(1.0) or 0.0
    losses = [loss for _, loss, _ in history.progress]
    low, high = min(losses) - sd, mine + sd
    room = 0.08 * (high - low) or 0.1
    view = low - room, high + room
    label = _axis(history.search.objectives[0])
    up = Range1d(start=view[0], end=view[1])
    plot = _figure(280, x_axis_label="charged seconds", y_axis_label=label, y_range=up)
    plot.add_layout(BoxAnnotation(bottom=mine - sd, top=mine + sd, fill_color=ORANGE, fill_alpha=0.25, line_color=None))
    plot.add_layout(Span(location=mine, dimension="width", line_width=1, tags=INK))
    _note(plot, "left", mine + sd, True, SEED_BAND, INK)
    _counts(history, plot, view, "right")
    _stairs(history, plot, losses, LEAD, "@y{0.0000}")
    return plot


def _volume(history: History) -> Any:
    plot = _figure(240, x_axis_label="charged seconds", y_axis_label="hypervolume")
    _stairs(history, plot, [volume for _, _, volume in history.progress], ["second"], "@y{0.000}")
    return plot


def _stairs(history: History, plot: Any, values: Sequence[float], tags: list[str], shown: str) -> None:
    """Each value holds from the charged seconds of its point of the progress to the next, the last one until now."""
    charged = [round(seconds, 1) for seconds, _, _ in history.progress]
    steps = {"x": [*charged, round(history.charged, 1)], "y": [round(v, 5) for v in [*values, values[-1]]]}
    source = ColumnDataSource(steps)
    plot.step("x", "y", source=source, mode="after", line_width=2.5, tags=tags)
    dots = plot.scatter("x", "y", source=source, size=5, tags=tags)
    template = f"<b>{shown}</b><br>after @x{{0,0}} charged seconds"
    plot.add_tools(_hover(template, [dots], mode="vline"))


def _knobs(history: History, shown: Sequence[Candidate], weight: dict[str, float]) -> Any:
    """Parallel coordinates of the best individuals over the knobs that matter most and that most of them have."""
    best, knobs = places.knob_axes(history, shown, weight)
    if len(best) < 3 or len(knobs) < 2:
        return None
    lines = places.knob_lines(history, shown, best, knobs)
    plot = _figure(x_range=Range1d(start=-0.4, end=len(knobs) - 0.6), y_range=Range1d(start=-0.12, end=1.12))
    plot.xaxis.ticker = FixedTicker(ticks=list(range(len(knobs))))
    plot.xaxis.major_label_overrides = {i: plain(knob.address) for i, knob in enumerate(knobs)}
    plot.xaxis.major_label_orientation = math.pi / 5
    plot.yaxis.visible = plot.ygrid.visible = False
    losses = sorted(lines.loss)
    worst = quantiles(losses, n=10)[-1] if len(losses) > 10 else losses[-1]
    palette = interp_palette(BEST_TO_WORST, 64)
    colours = LinearColorMapper(palette=palette, low=losses[0], high=max(worst, losses[0] + 1e-6))
    source = _source(lines, "knobs-source")
    source.data["width"] = [3.0 if kind in ("front", "seed") else 1.2 for kind in lines.kind]
    look: dict[str, Any] = {"line_color": {"field": "loss", "transform": colours}, "line_width": "width"}
    drawn = plot.multi_line("xs", "ys", source=source, line_alpha=0.7, nonselection_line_alpha=0.7, **look)
    _ends(plot, knobs, best)
    plot.add_layout(ColorBar(color_mapper=colours, title=history.loss, width=10, background_fill_alpha=0), "right")
    template = "<b>@id</b> @loss{0.0000}<div>@knobs</div>"
    plot.add_tools(_hover(template, [drawn]), TapTool(renderers=[drawn]))
    return plot


def _ends(plot: Any, knobs: Sequence[Knob], best: Sequence[Candidate]) -> None:
    """The least and the greatest value at the ends of each axis."""
    for side, baseline in enumerate(("top", "bottom")):
        said = [f"{places.extremes(knob, best)[side]:.3g}" for knob in knobs]
        source = ColumnDataSource({"x": list(range(len(knobs))), "y": [side] * len(knobs), "said": said})
        look: dict[str, Any] = {"text_align": "center", "text_baseline": baseline, "y_offset": 4 - 8 * side}
        plot.text("x", "y", "said", source=source, text_font_size="11px", tags=INK, **look)


def _curves(history: History, shown: Sequence[Candidate]) -> Any:
    """Losses against budgets, the front and the seed before the others."""
    lines = places.curves(history, shown)
    if not lines.row:
        return None
    label = _axis(history.search.objectives[0])
    plot = _figure(360, x_axis_type="log", x_axis_label="charged seconds of a training", y_axis_label=label)
    plot.xaxis.ticker = FixedTicker(ticks=sorted({budget for line in lines.xs for budget in line}))
    looks: dict[str, dict[str, Any]] = {
        "others": {"line_color": SKY, "line_alpha": 0.3, "line_width": 1, "nonselection_line_alpha": 0.3},
        "front": {"line_width": 2.5, "tags": LEAD, "nonselection_line_alpha": 1.0},
        "seed": {"line_width": 3, "line_dash": "dashed", "tags": INK, "nonselection_line_alpha": 1.0},
    }
    kinds = [kind if kind in looks else "others" for kind in lines.kind]
    source = _source(lines, "curves-source")
    drawn = [plot.multi_line("xs", "ys", source=source, view=_rows(kinds, k), **looks[k]) for k in looks]
    template = "<b>@id</b> @kind<br>@loss{0.0000} at the end"
    plot.add_tools(_hover(template, drawn), TapTool(renderers=drawn))
    return plot
