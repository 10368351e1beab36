"""A task of real trials: a target at one of its scales, judged in boxes as `python -m evolve` has it.

    TASK = real_task("cpu", "train_target", "cpu", budget=4.0, total=400.0, seed_loss=3.07)

The operators, their shares, the trials of tuning and the population are the defaults of `python -m evolve`; the rungs
and objectives are the target's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.comparison.method import Given
from benchmarks.comparison.place import Opened
from benchmarks.comparison.task import Axis, Task
from evolve import plugins
from evolve.assemble import (
    DEFAULT_OPERATORS,
    POPULATION,
    TUNE_TRIALS,
    judge_log,
    open_executor,
    read_seed,
)
from evolve.config import load_target
from evolve.evaluation import Plan
from evolve.isolation import Session, check_isolation, check_versions
from evolve.judges import Slot, slots_for
from evolve.objectives import SECONDS_TO_TARGET

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Real:
    """The boxes of a target at a scale; `folder` is the target's."""

    folder: Path
    scale: str

    def seats(self) -> Sequence[Slot]:
        return slots_for(load_target(self.folder), self.scale, None)

    @contextmanager
    def open(self, seat: Slot | None, directory: Path, began: Session) -> Iterator[Opened]:
        target = load_target(self.folder)
        reader = plugins.load(plugins.READER)(target.rules_at(self.scale))
        seat = seat or self.seats()[0]
        slots = [seat] if seat.device else [Slot((core,)) for core in seat.cores]
        with (
            judge_log(directory) as (log, _),
            closing(open_executor(target, self.scale, None, slots, reader, log)) as executor,
        ):
            check_isolation(began, executor.hello)
            check_versions(began, executor.hello)
            settings = {"target": target.name, "fingerprint": target.fingerprint}
            settings |= {"corpus": executor.hello["corpus"]["sha256"]} | ({"slots": n} if (n := len(slots)) > 1 else {})
            yield Opened(
                executor,
                hello=executor.hello,
                header={"target": str(target.folder), "data": None},
                settings=settings,
            )


def given(place: Real, budget: float, smoke_seconds: float | None) -> Given:
    """What `python -m evolve` has by default, with a budget of so many charged seconds. Raises `ConfigError`."""
    target = load_target(place.folder)
    reader = plugins.load(plugins.READER)(target.rules_at(place.scale))
    operators = plugins.load_operators(DEFAULT_OPERATORS, reader)
    arms = plugins.arms_of(DEFAULT_OPERATORS, operators, ())
    smoke = target.scales[place.scale]["smoke_seconds"] if smoke_seconds is None else smoke_seconds
    plan = Plan(target.objectives, place.scale, budget, target.rungs, TUNE_TRIALS, smoke)
    return Given(read_seed(reader, target, place.scale), plan, operators, arms, POPULATION, reader, target.program)


def real_task(
    name: str,
    target: str,
    scale: str,
    budget: float,
    total: float,
    seed_loss: float,
    loss: str = "val_bpb",
    smoke_seconds: float | None = None,
) -> Task:
    """The task of a target's folder beside the engine, whose objectives are `loss` and the seconds to its target.

    `budget` are the charged seconds of a full trial, `total` those of a run. `seed_loss` is the seed program's at
    `budget`, measured beforehand; the reference point is 1.1 times its value in each objective. `smoke_seconds` are the
    scale's unless they are given.
    """
    place = Real(ROOT / target, scale)
    seed = {loss: seed_loss, SECONDS_TO_TARGET: budget}
    reference = {objective: 1.1 * value for objective, value in seed.items()}
    axes = (Axis(loss), Axis(SECONDS_TO_TARGET, log=True))
    return Task(name, axes, seed, reference, total, lambda: given(place, budget, smoke_seconds), place)
