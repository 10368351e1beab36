"""A figure, from its colours to its file. The only module that imports matplotlib, which is an extra."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.config import ConfigError

SUFFIXES = (".png", ".svg")
DPI = 144
NARROW = 3.0  # a logarithmic axis on which less than this factor is shown has ticks at even distances
METADATA: dict[str, dict[str, str | None]] = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}


@dataclass(frozen=True)
class Theme:
    """Colours by their use. The hues are those of Okabe and Ito (2008), which colour-blind readers tell apart."""

    paper: str
    ink: str
    muted: str
    faint: str
    grid: str
    best: str = "#0072B2"
    unsure: str = "#E69F00"
    bad: str = "#D55E00"
    good: str = "#009E73"
    mixed: str = "#CC79A7"


LIGHT = Theme(paper="#ffffff", ink="#1a1a1a", muted="#595959", faint="#a6a6a6", grid="#e3e3e3")
DARK = Theme(
    paper="#15181c", ink="#eceff1", muted="#b0b7bd", faint="#767d84", grid="#31363b", best="#56B4E9", good="#2cc79a"
)


@contextmanager
def canvas(path: Path, width: float, height: float, dark: bool = False) -> Iterator[tuple[Any, Theme]]:
    """An empty `Figure` of that many inches and the colours to use; it is written to `path` in the end.

    Nothing in a text is markup, the same plot gives the same bytes. Raises `ConfigError` if `path` cannot be written
    or its suffix is unknown, and if matplotlib is missing.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"cannot plot to {path}: its name must end in {' or '.join(SUFFIXES)}")
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(f"plots need matplotlib ({error}): pip install -c constraints.txt -e '.[plots]'") from error
    theme = DARK if dark else LIGHT
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a box is shown
        matplotlib.rcdefaults()
        matplotlib.use("agg")
        matplotlib.rcParams.update(_settings(theme))
        figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        yield figure, theme
        try:
            figure.savefig(path, metadata=METADATA[path.suffix.lower()])
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error


def _settings(theme: Theme) -> Any:
    return {
        "text.parse_math": False,  # a dollar in a hypothesis is a dollar
        "svg.hashsalt": "evolve",
        "font.size": 10,
        "figure.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "text.color": theme.ink,
        "axes.labelcolor": theme.ink,
        "axes.edgecolor": theme.faint,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": theme.grid,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "legend.frameon": False,
        "legend.fontsize": 9,
    }


def log_axis(axis: Any, lowest: float, highest: float) -> None:
    """A logarithmic axis for values in that range, with ticks that are plain numbers."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    axis.axes.set_xscale("log") if axis.axis_name == "x" else axis.axes.set_yscale("log")
    narrow = highest < NARROW * lowest
    axis.set_major_locator(MaxNLocator(6) if narrow else LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0), numticks=12))
    axis.set_major_formatter(lambda value, _: f"{value:.4g}")
    axis.set_minor_locator(NullLocator())


def put_labels(
    axes: Any, labels: list[tuple[float, float, str]], crowd: list[tuple[float, float]], **style: Any
) -> None:
    """Write texts beside points of the data, where they cover neither each other nor a point of `crowd`.

    A thin line leads from a text to its point where it stands apart. A text for which there is no such place within
    the axes is left out; the first come first. Call it last.
    """
    axes.figure.draw_without_rendering()
    points = axes.transData.transform(crowd) if crowd else []
    room: Any = axes.get_window_extent()
    taken: list[Any] = []
    for x, y, text in labels:
        label = axes.annotate(text, (x, y), (0, 0), textcoords="offset points", **style)
        for dx, dy, ha, va in PLACES:
            label.set(ha=ha, va=va)
            label.xyann = (dx, dy)
            box = label.get_window_extent().padded(1)
            inside = room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 and box.y1 <= room.y1
            if inside and not any(box.overlaps(other) for other in taken) and not box.count_contains(points):
                taken.append(box)
                if max(abs(dx), abs(dy)) > NEAR:
                    _lead(axes, (x, y), (dx, dy))
                break
        else:
            label.remove()


def _lead(axes: Any, point: tuple[float, float], offset: tuple[float, float]) -> None:
    """A thin line from a point of the data to a text so many points away."""
    line = {"arrowstyle": "-", "linewidth": 0.7, "color": axes.xaxis.label.get_color(), "shrinkA": 0, "shrinkB": 4}
    axes.annotate("", point, offset, textcoords="offset points", arrowprops=line)


NEAR = 6  # points between a mark and its text
PLACES = tuple(  # offsets in points and alignments that are tried
    (dx * far, dy * far, {-1: "right", 0: "center", 1: "left"}[dx], {-1: "top", 0: "center", 1: "bottom"}[dy])
    for far in (NEAR, 2 * NEAR, 20)
    for dx, dy in ((-1, -1), (1, 1), (1, -1), (-1, 1), (0, 1), (0, -1), (1, 0), (-1, 0))
)
