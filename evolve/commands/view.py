"""What a person asks of a run and of its candidates: front, one of them, lineage, the difference of two."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from evolve import plugins
from evolve.commands.options import Commands, run_option, target_option
from evolve.journal import plain
from evolve.promotion import Promotions
from evolve.reports.front import View, print_front, print_weakness
from evolve.reports.lineage import print_ancestors, print_descendants
from evolve.reports.open import find_candidate, find_program, find_run, open_history
from evolve.reports.promote import promoted
from evolve.reports.show import print_candidate
from evolve.reports.source import patch, print_diff
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
    lineage = commands.add_parser("lineage", help="the ancestors of a candidate, with what each step changed")
    lineage.add_argument("id", help=WHO)
    lineage.add_argument("--children", action="store_true", help="the descendants instead")
    lineage.set_defaults(command=_lineage)
    diff = commands.add_parser("diff", help="what differs between two candidates")
    diff.add_argument("a", help=WHO)
    diff.add_argument("b", help=WHO)
    diff.add_argument("--plain", action="store_true", help="nothing but a unified diff, as `patch` takes it")
    target_option(diff)
    diff.set_defaults(command=_diff)
    for viewer in (front, show, lineage, diff):
        run_option(viewer)


def _front(options: argparse.Namespace, console: Console) -> int:
    directory = find_run(options.run_dir)
    history = open_history(directory)
    view = View(options.all, options.sort, options.max_seconds, options.knee)
    print_front(console, history, view, state_of(directory, history))
    return 0


def _show(options: argparse.Namespace, console: Console) -> int:
    directory = find_run(options.run_dir)
    history = open_history(directory)
    candidate = find_candidate(history, options.id)
    further = [("promoted", promoted(history, Promotions(directory), candidate))]
    print_candidate(console, history, candidate, further)
    return 0


def _lineage(options: argparse.Namespace, console: Console) -> int:
    history = open_history(find_run(options.run_dir))
    candidate = find_candidate(history, options.id)
    print_weakness(console, history)
    (print_descendants if options.children else print_ancestors)(console, history, candidate)
    return 0


def _diff(options: argparse.Namespace, console: Console) -> int:
    history = open_history(find_run(options.run_dir))
    pair = [find_program(history, name) for name in (options.a, options.b)]
    reader = plugins.reader_for(history.header, options.target)
    if options.plain:
        text = patch(reader, *pair)
        if sys.stdout.isatty():
            sys.stdout.write(plain(text))
        else:
            sys.stdout.buffer.write(text.encode())  # whatever the terminal can show, `patch` wants the program's bytes
        return 0
    print_weakness(console, history)
    print_diff(console, reader, *pair)
    return 0
