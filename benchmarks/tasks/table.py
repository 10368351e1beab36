"""The task `table`: the CPU target, judged from recorded trials and a surrogate, so that a search takes seconds.

    python -m benchmarks.record -o DIR             records a table, or makes it larger

The programs, reader and operators are those of the target; only the judge is another: `World.judge`, for an executor in
virtual time. The table that is kept in `benchmarks/results/table` is a small one, of 2-second trials; how far its
surrogate can be trusted stands beside it in `surrogate.json`.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.recorded.rows import read_rows
from benchmarks.recorded.world import World
from evolve import plugins
from evolve.assemble import read_seed
from evolve.config import folder_of, load_target

NAME = "table"
FOLDER = Path(__file__).parents[1] / "results" / "table"


def open_world(folder: Path = FOLDER, target: str | None = None) -> World:
    """The world of a recorded table. Raises `ConfigError` if there is none, or the target has changed since."""
    scale = read_rows(folder)[0]["scale"]
    described = load_target(folder_of(target))
    reader = plugins.load(plugins.READER)(described.rules_at(scale))
    return World(folder, read_seed(reader, described, scale), reader)
