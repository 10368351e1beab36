"""What a person asks of a run: its front, one candidate, the difference of two, what became of proposals."""

from __future__ import annotations

import argparse

from rich.console import Console

from evolve import plugins
from evolve.commands.options import Commands, run_option, target_option
from evolve.reports.front import View, print_front, print_weakness
from evolve.reports.open import find_candidate, find_program, find_run, open_history
from evolve.reports.proposals import print_proposals
from evolve.reports.show import print_candidate
from evolve.reports.source import print_diff
from evolve.reports.state import state_of

WHO = "an id, `best` or `seed`"


def register(commands: Commands) -> None:
    front = commands.add_parser("front", help="the Pareto front")
    front.add_argument(
        "--all", action="store_true", help="everybody who was measured at the full budget, with standing"
    )
    front.add_argument("--sort", metavar="COLUMN", default="", help="best first by this column; a wrong one lists them")
    front.add_argument(
        "--max-seconds", type=float, metavar="X", help="only who reaches the seed's loss in so many seconds"
    )
    front.add_argument("--knee", action="store_true", help="only the one at the knee of the front")
    front.set_defaults(command=_front)
    show = commands.add_parser("show", help="one candidate in full")
    show.add_argument("id", help=WHO)
    show.set_defaults(command=_show)
    diff = commands.add_parser("diff", help="what differs between two candidates")
    diff.add_argument("a", help=WHO)
    diff.add_argument("b", help=WHO)
    target_option(diff)
    diff.set_defaults(command=_diff)
    proposals = commands.add_parser("proposals", help="what became of the children that were asked for, by operator")
    proposals.set_defaults(command=_proposals)
    for viewer in (front, show, diff, proposals):
        run_option(viewer)


def _front(options: argparse.Namespace, console: Console) -> int:
    directory = find_run(options.run_dir)
    history = open_history(directory)
    console.print(state_of(directory, history).sentence, markup=False, highlight=False)
    print_front(console, history, View(options.all, options.sort, options.max_seconds, options.knee))
    return 0


def _show(options: argparse.Namespace, console: Console) -> int:
    history = open_history(find_run(options.run_dir))
    print_candidate(console, history, find_candidate(history, options.id))
    return 0


def _diff(options: argparse.Namespace, console: Console) -> int:
    history = open_history(find_run(options.run_dir))
    pair = [find_program(history, name) for name in (options.a, options.b)]
    print_weakness(console, history)
    print_diff(console, plugins.reader_for(history.header, options.target), *pair)
    return 0


def _proposals(options: argparse.Namespace, console: Console) -> int:
    print_proposals(console, open_history(find_run(options.run_dir)))
    return 0
