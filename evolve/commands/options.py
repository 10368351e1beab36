"""Options that several commands share."""

from __future__ import annotations

import argparse
from typing import TypeAlias

from evolve.config import DEFAULT_TARGET
from evolve.isolation import ASKED

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def place_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target", help=f"folder with target.toml (default: {DEFAULT_TARGET}, here or beside the engine)"
    )
    parser.add_argument("--scale", default="cpu", help="a scale of the target (default: %(default)s)")
    parser.add_argument("--data", help="a folder of .txt, .jsonl or .parquet instead of the default text")
    isolation_options(parser)


def isolation_options(parser: argparse.ArgumentParser) -> None:
    """Not in the settings of a target or a run: who runs code of others with less isolation has to say so each time."""
    parser.add_argument(
        "--isolation", choices=ASKED, default="auto", help="ask for at most this level (default: the best there is)"
    )
    parser.add_argument(
        "--unsafe-no-sandbox",
        action="store_true",
        help="run programs even where nothing isolates them: they then have all your rights, and reports say so",
    )


def limit_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--generations", type=int, help="generations in all (default: the target's, 50)")
    parser.add_argument("--total", type=float, help="charged seconds in all")
    parser.add_argument("--time-limit", type=float, help="wall-clock seconds in all")
    parser.add_argument("--target-loss", type=float, help="stop when a confirmed loss is as low as this")
    parser.add_argument("--stale-generations", type=int, help="stop after so many without a confirmed gain; 0: never")
    parser.add_argument("--refusals", type=int, help="stop after so many refused children in a row; 0: never")


def run_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run-dir", help="the run; default: the one under runs/ that was written last")


def target_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--target", help="where the target of the run is now, if it was moved")
