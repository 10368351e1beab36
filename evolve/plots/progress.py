"""How far a run had come by when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evolve.config import ConfigError
from evolve.history import History
from evolve.journal import plain
from evolve.model import Estimate
from evolve.plots.canvas import Theme, canvas

SEED_BAND = "seed ± sd of one training"


def plot_progress(history: History, path: Path, dark: bool = False) -> None:
    """Best confirmed loss and hypervolume against charged seconds, with the seed and how far one training varies.

    Raises `ConfigError` if there is nothing to plot yet, and as `canvas` does.
    """
    seed = measured_seed(history)
    if not history.progress:
        raise ConfigError("nothing to plot: nothing is confirmed yet")
    charged, losses, volumes = zip(*history.progress, (history.charged, *history.progress[-1][1:]), strict=True)
    with canvas(path, 8, 6, dark) as (figure, theme):
        above, below = figure.subplots(2, 1, sharex=True)
        _seed_and_counts(history, seed, above, min(losses), theme)
        gains = {"where": "post", "linewidth": 2, "marker": "o", "markersize": 4, "markevery": slice(0, -1)}
        above.step(charged, losses, color=theme.best, label="best confirmed", **gains)
        above.set_ylabel(f"{history.loss} (lower is better)")
        figure.legend(loc="outside upper left", ncols=2)
        below.step(charged, volumes, color=theme.good, **gains)
        below.set_ylabel("hypervolume of the front")
        below.set_xlabel("charged seconds")
        if history.weakness:
            figure.suptitle(history.weakness)


def measured_seed(history: History) -> Estimate:
    """The loss of the seed program. Raises `ConfigError` if there is none."""
    if history.seed is None:
        raise ConfigError("nothing to plot: the seed program has not been measured yet")
    if history.seed.fitness is None:
        raise ConfigError("nothing to plot: the seed program failed; python -m evolve show seed says more")
    return history.seed.fitness.values[history.loss]


def _seed_and_counts(history: History, seed: Estimate, axes: Any, lowest: float, theme: Theme) -> None:
    """Horizontal lines: the seed program with the noise of one training, and the count models near what was reached."""
    sd = history.noise(1.0) or 0.0
    axes.axhspan(seed.mean - sd, seed.mean + sd, color=theme.unsure, alpha=0.3, linewidth=0, label=SEED_BAND)
    axes.axhline(seed.mean, color=theme.muted, linewidth=1)
    for name, value in history.harness.get("baselines", {}).items():
        if lowest - 0.5 < value < seed.mean * 1.1:
            axes.axhline(value, color=theme.mixed, linewidth=1.2, linestyle="--")
            side = {"va": "bottom", "xytext": (-4, 2)} if value > seed.mean else {"va": "top", "xytext": (-4, -2)}
            where = {"xy": (1, value), "xycoords": ("axes fraction", "data"), "textcoords": "offset points", **side}
            axes.annotate(f"{plain(name)} counts", color=theme.muted, ha="right", fontsize=9, **where)
