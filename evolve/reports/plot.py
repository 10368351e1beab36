"""Plots of a run as PNG or SVG. The only file that imports matplotlib, which is an extra."""

from __future__ import annotations

from pathlib import Path

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
    seed = history.seed.fitness.values[history.loss]
    figure = Figure(figsize=(8, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    above.axhspan(seed.mean - (seed.sem or 0), seed.mean + (seed.sem or 0), color="0.85", label="seed ± standard error")
    above.axhline(seed.mean, color="0.5", linewidth=1)
    above.step(charged, losses, where="post", color="tab:blue", label="best confirmed")
    for name, value in history.harness.get("baselines", {}).items():
        if value < seed.mean * 1.1:
            above.axhline(value, color="tab:orange", linewidth=1, linestyle=":")
            above.annotate(f"{name} counts", (0, value), va="bottom", color="tab:orange")
    above.set_ylabel(history.loss)
    above.legend(loc="upper right")
    below.step(charged, volumes, where="post", color="tab:green")
    below.set_ylabel("hypervolume")
    below.set_xlabel("charged seconds")
    figure.savefig(path, dpi=120)
