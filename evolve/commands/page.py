"""A run as a page: `report` writes it to a file, `serve` shows it live."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from evolve.commands.options import Commands, run_option
from evolve.config import ConfigError
from evolve.reports.front import print_weakness
from evolve.reports.open import find_run, open_history

PORT = 8765


def register(commands: Commands) -> None:
    report = commands.add_parser("report", help="write the run as one HTML file that opens without a network")
    report.add_argument("-o", "--output", default="report.html", help="a file; - for standard output (%(default)s)")
    report.set_defaults(command=_report)
    serve = commands.add_parser("serve", help="show the run as a live page on this machine only")
    serve.add_argument("--port", type=int, default=PORT, help="0: any that is free (default: %(default)s)")
    serve.add_argument("--open", action="store_true", help="open it in a browser")
    serve.set_defaults(command=_serve, interrupted="the run was not touched")
    for command in (report, serve):
        command.add_argument("run", nargs="?", metavar="RUN", help="the run, as with --run-dir")
        run_option(command)


def _directory(options: argparse.Namespace) -> Path:
    if options.run and options.run_dir:
        raise ConfigError(f"name the run once: {options.run} or --run-dir {options.run_dir}")
    return find_run(options.run or options.run_dir)


def _report(options: argparse.Namespace, console: Console) -> int:
    from evolve.page.html import page_of  # bokeh and jinja2 take a second to load

    directory = _directory(options)
    history = open_history(directory)
    page = page_of(directory, history).encode()  # whatever the terminal can show, the page says that it is UTF-8
    if options.output == "-":
        sys.stdout.buffer.write(page)
        sys.stdout.buffer.flush()
        return 0
    try:
        Path(options.output).write_bytes(page)
    except OSError as error:
        raise ConfigError(f"cannot write {options.output}: {error.strerror}") from error
    size = f"{len(page) / 1e6:.2f} MB"
    console.print(f"wrote {options.output}: a run of {len(history.candidates)} individuals, {size}", markup=False)
    print_weakness(console, history)
    return 0


def _serve(options: argparse.Namespace, console: Console) -> int:
    from evolve.page.server import serve

    if not 0 <= options.port <= 65535:
        raise ConfigError(f"--port must be 0 to 65535, not {options.port}")
    directory = _directory(options)
    if not directory.is_dir():
        raise ConfigError(f"there is no folder {directory}: name the run that you mean")
    return serve(directory, options.port, options.open, lambda said: console.print(said, markup=False))
