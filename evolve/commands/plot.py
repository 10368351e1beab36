"""Plots as PNG or SVG: `plot front`, `plot progress`, `plot lineage`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from evolve.commands.options import Commands, run_option
from evolve.config import ConfigError
from evolve.plots.front import plot_front
from evolve.plots.lineage import plot_lineage
from evolve.plots.progress import plot_progress
from evolve.reports.front import print_weakness
from evolve.reports.open import find_candidate, find_run, open_history

WHAT = {
    "front": "what was measured at the full budget, and the Pareto front among it",
    "progress": "best confirmed loss and hypervolume against charged seconds",
    "lineage": "where the front comes from, with the effect of each edit",
}


def register(commands: Commands) -> None:
    plot = commands.add_parser("plot", help="the front, the progress or the lineage as PNG or SVG")
    plot.add_argument("what", choices=WHAT, help="; ".join(f"{name}: {said}" for name, said in WHAT.items()))
    plot.add_argument("-o", "--output", help="a file that ends in .png or .svg (default: the plot's name and .png)")
    plot.add_argument("--dark", action="store_true", help="light on dark")
    plot.add_argument("--id", help="lineage: of this candidate instead of the front; an id, `best` or `seed`")
    run_option(plot)
    plot.set_defaults(command=_plot)


def _plot(options: argparse.Namespace, console: Console) -> int:
    if options.id is not None and options.what != "lineage":
        raise ConfigError(f"--id is for plot lineage; plot {options.what} shows everybody")
    history = open_history(find_run(options.run_dir))
    path = Path(options.output or f"{options.what}.png")
    if options.what == "lineage":
        of = None if options.id is None else find_candidate(history, options.id)
        plot_lineage(history, path, options.dark, of)
    else:
        {"front": plot_front, "progress": plot_progress}[options.what](history, path, options.dark)
    print_weakness(console, history)
    console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)
    return 0
