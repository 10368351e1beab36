"""What a person asks of a run as a whole: how it goes, what it cost, what failed, what became of proposals."""

from __future__ import annotations

import argparse

from rich.console import Console

from evolve.commands.options import Commands, run_option
from evolve.reports.cost import print_cost
from evolve.reports.failures import print_failures
from evolve.reports.open import find_run, open_history
from evolve.reports.progress import PLAIN_EVERY
from evolve.reports.proposals import print_proposals
from evolve.reports.watch import LIVE_EVERY, look_once, watch


def register(commands: Commands) -> None:
    follow = commands.add_parser("watch", help="a run in another process, live, until it ends")
    follow.add_argument(
        "--every",
        type=float,
        metavar="S",
        help=f"seconds between two looks (default: {LIVE_EVERY:g}, where lines are printed {PLAIN_EVERY:g})",
    )
    follow.add_argument("--once", action="store_true", help="look once, and leave")
    follow.set_defaults(command=_watch)
    proposals = commands.add_parser("proposals", help="what became of the children that were asked for, by operator")
    proposals.set_defaults(command=_proposals)
    failures = commands.add_parser("failures", help="what failed, was refused or repeated, by reason, with examples")
    failures.set_defaults(command=_failures)
    cost = commands.add_parser("cost", help="charged seconds, tokens and dollars, and what was gained for them")
    cost.set_defaults(command=_cost)
    for viewer in (follow, proposals, failures, cost):
        run_option(viewer)


def _watch(options: argparse.Namespace, console: Console) -> int:
    """Ctrl-C is how one leaves: nothing is said, and nothing went wrong."""
    try:
        if options.once:
            look_once(console, options.run_dir)
        else:
            watch(console, options.run_dir, options.every)
    except KeyboardInterrupt:
        pass
    return 0


def _proposals(options: argparse.Namespace, console: Console) -> int:
    print_proposals(console, open_history(find_run(options.run_dir)))
    return 0


def _failures(options: argparse.Namespace, console: Console) -> int:
    print_failures(console, open_history(find_run(options.run_dir)))
    return 0


def _cost(options: argparse.Namespace, console: Console) -> int:
    print_cost(console, open_history(find_run(options.run_dir)))
    return 0
