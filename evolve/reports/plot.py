"""Plots of a run as PNG or SVG. The only file that imports matplotlib, which is an extra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evolve.config import ConfigError
from evolve.history import History


def plot_progress(history: History, path: Path) -> None:
    """Best confirmed loss and hypervolume against charged seconds, with the seed's loss and standard error.

    Raises `ConfigError` if there is nothing to plot yet or matplotlib is missing.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(f"plots need matplotlib ({error}): pip install -c constraints.txt -e '.[plots]'") from error
    matplotlib.use("agg")
    if history.seed is None or history.seed.fitness is None or not history.progress:
        raise ConfigError("nothing to plot: the seed has not been measured yet")
    charged, losses, volumes = zip(*history.progress, (history.charged, *history.progress[-1][1:]), strict=True)
    figure = Figure(figsize=(8, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    _seed_and_counts(history, above, min(losses))
    above.step(charged, losses, where="post", color="tab:blue", linewidth=2, label="best confirmed")
    above.set_ylabel(f"{history.loss} (lower is better)")
    above.legend(loc="upper right")
    below.step(charged, volumes, where="post", color="tab:green", linewidth=2)
    below.set_ylabel("hypervolume of the front")
    below.set_xlabel("charged seconds")
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    if history.weakness:
        figure.suptitle(history.weakness)
    figure.savefig(path, dpi=120)


def _seed_and_counts(history: History, axes: Any, lowest: float) -> None:
    """Horizontal lines: the seed program with its standard error, and the count models near what was reached."""
    assert history.seed and history.seed.fitness
    seed = history.seed.fitness.values[history.loss]
    error = seed.sem or 0.0
    axes.axhspan(seed.mean - error, seed.mean + error, color="0.85", label="seed program ± standard error")
    axes.axhline(seed.mean, color="0.5", linewidth=1)
    for name, value in history.harness.get("baselines", {}).items():
        if lowest - 0.5 < value < seed.mean * 1.1:
            axes.axhline(value, color="tab:orange", linewidth=1, linestyle=":")
            where = {"xy": (0.01, value), "xycoords": ("axes fraction", "data"), "va": "bottom", "fontsize": 9}
            axes.annotate(f"{name} counts", color="tab:orange", **where)
