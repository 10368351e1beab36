"""`track`: a run for those who keep their experiments in TensorBoard or MLflow."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from evolve import plugins
from evolve.commands.options import Commands, run_option, target_option
from evolve.exports.mlflow import write_mlflow
from evolve.exports.recorded import open_recorded
from evolve.exports.tensorboard import write_tensorboard
from evolve.model import Candidate
from evolve.reports.front import print_weakness
from evolve.reports.open import find_run
from evolve.reports.source import export_source


def register(commands: Commands) -> None:
    track = commands.add_parser("track", help="write a run for TensorBoard or MLflow; again, to add what is new")
    track.add_argument("tracker", choices=("tensorboard", "mlflow"))
    track.add_argument("where", help="a folder, or for MLflow the URI of a tracking server or a database")
    run_option(track)
    target_option(track)
    track.set_defaults(command=_track)


def _track(options: argparse.Namespace, console: Console) -> int:
    recorded = open_recorded(find_run(options.run_dir))
    if options.tracker == "tensorboard":
        place, candidates = write_tensorboard(recorded, Path(options.where))
        said = f"wrote {candidates} candidates to {place}\nlook at them: tensorboard --logdir {options.where}"
    else:
        reader = plugins.reader_for(recorded.history.header, options.target)

        def program(candidate: Candidate) -> str:
            return export_source(reader, candidate)

        written = write_mlflow(recorded, options.where, program)
        said = f"wrote {written.new} candidates to the experiment {written.experiment!r} of {written.uri}"
        said += f"; {written.before} were there" if written.before else ""
        if written.uri.startswith("sqlite"):
            said += f"\nlook at them: mlflow ui --backend-store-uri {written.uri}"
    print_weakness(console, recorded.history)
    console.print(said, markup=False, highlight=False, soft_wrap=True)
    return 0
