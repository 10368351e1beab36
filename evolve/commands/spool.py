"""`worker` and `spool`: trials on machines that have a device and neither a network nor the run.

Imports nothing that a search needs: the packages for that need not be installed where these are called.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from contextlib import closing
from pathlib import Path

from rich.console import Console

from evolve.commands.options import Commands, place_options
from evolve.commands.signals import INTERRUPTED, ended_like_by_ctrl_c, interruptible
from evolve.config import ConfigError, budget_of, folder_of, load_target
from evolve.executors.local import LocalExecutor
from evolve.isolation import options_of
from evolve.judges import judge_command, slots_for
from evolve.spool.archive import merge, pack
from evolve.spool.conditions import conditions_of
from evolve.spool.folder import Spool
from evolve.spool.messages import Introduction
from evolve.spool.worker import Worker


def register(commands: Commands) -> None:
    worker = commands.add_parser("worker", help="run the trials of a spool on this machine")
    worker.add_argument("--spool", required=True, metavar="DIR", help="the folder that the run writes its trials to")
    place_options(worker)
    worker.add_argument("--slots", type=int, help="trials at a time (default: one for each core, or GPU)")
    worker.add_argument("--once", action="store_true", help="end when no trial is left (default: wait for more)")
    worker.add_argument("--time-limit", type=float, default=0.0, help="end within so many seconds")
    worker.set_defaults(command=_worker, interrupted="what was not finished waits again")
    spool = commands.add_parser("spool", help="carry a spool by hand: pack, merge")
    parts = spool.add_subparsers(required=True, metavar="pack|merge")
    packed = parts.add_parser("pack", help="write what is in a spool into one file")
    packed.add_argument("folder", metavar="DIR")
    packed.add_argument("-o", "--output", required=True, metavar="FILE", help="such as there.tgz")
    packed.set_defaults(command=_pack)
    merged = parts.add_parser("merge", help="add what is in such a file to a spool; twice is once")
    merged.add_argument("file", metavar="FILE")
    merged.add_argument("folder", metavar="DIR", help="made if it is not there")
    merged.set_defaults(command=_merge, interrupted="what was merged stays; the same command does the rest")


def _worker(options: argparse.Namespace, console: Console) -> int:
    """0 when it ended as it was asked to, 1 without a slot that works, 130 after an interrupt.

    Raises `ConfigError`, also if nothing in the spool can be run here and it was to end, and `JudgeError`.
    """
    if not 0 <= options.time_limit < math.inf:
        raise ConfigError(f"--time-limit must be a number of seconds above 0, not {options.time_limit}")
    begun = time.monotonic()
    target = load_target(folder_of(options.target))
    budget_of(target, options.scale, None)
    slots, spool = slots_for(target, options.scale, options.slots), Spool(Path(options.spool))
    isolation = options_of(options.isolation, options.unsafe_no_sandbox)
    command = judge_command(target, options.scale, options.data, isolation)

    def say(line: str) -> None:
        console.print(f"{time.strftime('%H:%M:%S')} {line}", markup=False, highlight=False, soft_wrap=True)

    with (
        ended_like_by_ctrl_c(),
        closing(LocalExecutor(command, slots, lambda trial: trial.genome.source, sys.stderr)) as executor,
    ):
        hello = executor.hello | {"asked": options.isolation, "unsafe": options.unsafe_no_sandbox}
        introduction = Introduction(hello, conditions_of(target, options.scale, hello))
        limit = max(1e-3, begun + options.time_limit - time.monotonic()) if options.time_limit else 0.0
        worker = Worker(spool, executor, introduction, say, once=options.once, limit=limit)
        say(f"{executor.slots} at a time on {hello['device']}, isolation {hello['isolation']}; spool {spool.folder}")
        try:
            with interruptible(worker, console, "What is not finished then waits for somebody else."):
                reason = worker.run()
        except OSError as error:
            raise ConfigError(f"the spool {spool.folder} cannot be used any more: {error.strerror or error}") from error
    say(f"Ended: {reason}. {worker.done} trials done, {len(spool.names('jobs'))} waiting.")
    if options.once and worker.unfit and not worker.done:
        raise ConfigError(f"none of the trials can be run here: {'; '.join(sorted(set(worker.unfit.values()))[:3])}")
    return INTERRUPTED if worker.interrupted else int(not executor.slots)


def _pack(options: argparse.Namespace, console: Console) -> int:
    if not ((folder := Path(options.folder)) / "jobs").is_dir():
        raise ConfigError(f"no such spool: {folder} has no folder jobs")
    counts = pack(Spool(folder), Path(options.output))
    size = Path(options.output).stat().st_size
    console.print(f"{options.output}, {size:,} bytes: {_counted(counts)}", markup=False, highlight=False)
    return 0


def _merge(options: argparse.Namespace, console: Console) -> int:
    counts = merge(Path(options.file), Path(options.folder))
    console.print(f"New in {options.folder}: {_counted(counts)}", markup=False, highlight=False)
    return 0


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {part}" for part, count in counts.items() if part != "withdrawn" or count)
