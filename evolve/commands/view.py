"""What a person asks of a run: its front, one candidate, the difference of two, what became of proposals."""

from __future__ import annotations

import argparse

from rich.console import Console

from evolve import plugins
from evolve.commands.options import Commands, run_option, target_option
from evolve.reports.front import print_front, print_weakness
from evolve.reports.open import find_candidate, find_program, find_run, open_history
from evolve.reports.proposals import print_proposals
from evolve.reports.show import print_candidate
from evolve.reports.source import print_diff


def register(commands: Commands) -> None:
    front = commands.add_parser("front", help="the Pareto front")
    front.set_defaults(command=_front)
    show = commands.add_parser("show", help="one candidate in full")
    show.add_argument("id", help="an id, `best` or `seed`")
    show.set_defaults(command=_show)
    diff = commands.add_parser("diff", help="what differs between two candidates")
    diff.add_argument("a", help="an id, `best` or `seed`")
    diff.add_argument("b", help="an id, `best` or `seed`")
    target_option(diff)
    diff.set_defaults(command=_diff)
    proposals = commands.add_parser("proposals", help="what became of the children that were asked for, by operator")
    proposals.set_defaults(command=_proposals)
    for viewer in (front, show, diff, proposals):
        run_option(viewer)


def _front(options: argparse.Namespace, console: Console) -> int:
    print_front(console, open_history(find_run(options.run_dir)))
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
