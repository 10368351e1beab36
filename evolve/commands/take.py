"""What a person takes home from a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from evolve import plugins
from evolve.commands.options import Commands, run_option, target_option
from evolve.config import ConfigError
from evolve.reports.open import find_program, find_run, open_history
from evolve.reports.source import export_source


def register(commands: Commands) -> None:
    export = commands.add_parser("export", help="write a plain train.py with its tuned numbers")
    export.add_argument("id", help="an id, `best` or `seed`")
    export.add_argument("-o", "--output", default="-", help="a file; - for standard output")
    export.add_argument("--upstream", action="store_true", help="for karpathy/autoresearch: without our additions")
    run_option(export)
    target_option(export)
    export.set_defaults(command=_export)


def _export(options: argparse.Namespace, console: Console) -> int:
    history = open_history(find_run(options.run_dir))
    candidate = find_program(history, options.id)
    text = export_source(plugins.reader_for(history.header, options.target), candidate, options.upstream)
    text = (f"# {history.weakness}\n" if history.weakness else "") + text
    if options.output == "-":
        print(text, end="")
        return 0
    try:
        Path(options.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {options.output}: {error.strerror}") from error
    console.print(f"wrote {options.output}: candidate {candidate.id} with its tuned numbers", markup=False)
    return 0
