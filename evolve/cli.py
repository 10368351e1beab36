"""The command line. Parses, reports errors in one line, and leaves the work to the commands."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from rich.console import Console

from evolve.commands.signals import INTERRUPTED
from evolve.config import ConfigError
from evolve.executors.local import JudgeError
from evolve.store import FILE, StoreError

THEMES = (*("run", "view", "account", "plot", "page", "promote"), *("take", "track", "give", "check", "spool"))
WITHOUT_A_SEARCH = {"worker": "spool", "spool": "spool"}  # commands for machines that lack what a search needs
BAD_INPUT = 2
PIPE_WIDTH = 140  # columns where the output is not a terminal


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    0, 1 (the run failed), 2 (bad input), 3 (no language model can be asked any more), 4 (trials wait in a spool, or are
    left), 130 (interrupted).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments = ["run", *arguments]
    options = _options(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without ± shows ?; who needs each byte writes bytes
    console = Console(emoji=False) if sys.stdout.isatty() else Console(emoji=False, width=PIPE_WIDTH)
    try:
        return int(options.command(options, console))
    except (ConfigError, StoreError, JudgeError) as error:
        print(f"evolve: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"evolve: stopped at once; {options.interrupted}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    """Exits with `BAD_INPUT` for arguments that are none; the folder of a run was meant as one."""
    parser = _parser(arguments[0])
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        meant = len(unknown) == 1 and "run_dir" in options and os.path.isfile(os.path.join(unknown[0], FILE))
        cure = f"; a run is named by --run-dir {unknown[0]}" if meant else ""
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{cure}")
    return options


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evolve",
        description="Improve a training script by evolution. Without a command: run.",
        epilog="The options of a run: python -m evolve run --help",
    )
    parser.set_defaults(interrupted="nothing was changed")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for theme in [WITHOUT_A_SEARCH[command]] if command in WITHOUT_A_SEARCH else THEMES:
        import_module(f"evolve.commands.{theme}").register(commands)
    return parser
