"""Many runs, several at once, each in a process of its own."""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from multiprocessing import get_context
from pathlib import Path

from benchmarks.comparison import runner, task
from benchmarks.comparison.models import by_default, check
from evolve.config import ConfigError
from evolve.language import Language, language_of


def run(options: argparse.Namespace) -> int:
    """Every method on every task with every seed; those that ended are left as they are. Raises `ConfigError`."""
    language = language_of(options)
    options.methods = options.methods or by_default(language)
    if options.seeds < 1 or options.jobs < 1 or (options.budget is not None and not options.budget > 0):
        raise ConfigError("--seeds and --jobs from 1 on, --budget above 0")
    tasks = {name: task.load(name) for name in options.tasks}
    check(options.methods, language)
    every = [  # a seed of all methods after another, so that what is there at any time can be compared
        (name, of, seed, options.budget or tasks[of].total)
        for of, seed, name in product(tasks, range(1, options.seeds + 1), options.methods)
    ]
    left = [
        (name, of, seed, total)
        for name, of, seed, total in every
        if not runner.has_ended(name, tasks[of], seed, total, options.output)
    ]
    print(f"{len(every)} runs, {len(every) - len(left)} of them have ended")
    begin = time.monotonic()
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        under_way = {pool.submit(one, *what, options.output, language): what for what in left}
        for done, future in enumerate(as_completed(under_way), 1):
            future.result()
            name, of, seed, _ = under_way[future]
            elapsed = time.monotonic() - begin
            remaining = elapsed / done * (len(left) - done)
            print(f"{done}/{len(left)}  {of} {name} seed {seed}  {elapsed:.0f} s, {remaining:.0f} s left", flush=True)
    return 0


def one(name: str, of: str, seed: int, total: float, directory: Path, language: Language | None) -> None:
    """In a process of its own."""
    runner.run(name, task.load(of), seed, total, directory, language)
