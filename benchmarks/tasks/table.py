"""The task `table`: the CPU target, judged from recorded trials and a surrogate, so that a search takes seconds.

    python -m benchmarks.record -o DIR             records a table, or makes it larger

The programs, reader and operators are those of the target, as `python -m evolve` has them without a model; only the
judge is another: `World.judge`, for an executor in virtual time. The table that is kept in `benchmarks/results/table`
has 1,090 programs; how far its surrogate can be trusted stands beside it in `surrogate.json`. So does the loss of the
seed program in this world, on which the reference point rests: no search has a part in it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.comparison.method import Given
from benchmarks.comparison.place import Virtual
from benchmarks.comparison.task import Axis, Task
from benchmarks.comparison.virtual import VirtualExecutor
from benchmarks.recorded.rows import read_header
from benchmarks.recorded.world import World, read_surrogate
from evolve import plugins
from evolve.assemble import DEFAULT_OPERATORS, TUNE_TRIALS, read_seed
from evolve.config import folder_of, load_target
from evolve.evaluation import Plan
from evolve.model import Genome
from evolve.objectives import SECONDS_TO_TARGET

NAME = "table"
FOLDER = Path(__file__).parents[1] / "results" / "table"
FULL_TRIALS = 150  # that a run's charge would pay for
SLOTS = 1  # as a run of the task `cpu` has one core
POPULATION = 8

_HEADER = read_header(FOLDER)
_DESCRIBED = load_target(folder_of(None))


@cache
def reader() -> Any:
    """Of the target, at the table's scale."""
    return plugins.load(plugins.READER)(_DESCRIBED.rules_at(_HEADER["scale"]))


@cache
def seed() -> Genome:
    """The seed program at the table's scale."""
    return read_seed(reader(), _DESCRIBED, _HEADER["scale"])


@cache
def world() -> World:
    """Opened once in a process. Raises `ConfigError` where the target has changed since it was recorded."""
    return World(FOLDER, seed())


def _given() -> Given:
    operators = plugins.load_operators(DEFAULT_OPERATORS, reader())
    arms = plugins.arms_of(DEFAULT_OPERATORS, operators, ())
    scale = _DESCRIBED.scales[_HEADER["scale"]]
    smoke = scale["smoke_seconds"] * _HEADER["budget"] / scale["budget"]
    plan = Plan(_DESCRIBED.objectives, _HEADER["scale"], _HEADER["budget"], _DESCRIBED.rungs, TUNE_TRIALS, smoke)
    return Given(seed(), plan, operators, arms, POPULATION, reader(), _DESCRIBED.program)


_SEED_VALUES = {_HEADER["loss"]: read_surrogate(FOLDER)["seed_loss"], SECONDS_TO_TARGET: _HEADER["budget"]}
TASK = Task(
    NAME,
    (Axis(_HEADER["loss"]), Axis(SECONDS_TO_TARGET, log=True)),
    _SEED_VALUES,
    {name: 1.1 * value for name, value in _SEED_VALUES.items()},
    FULL_TRIALS * _HEADER["budget"],
    _given,
    Virtual(lambda: VirtualExecutor(world().judge, SLOTS)),
)
