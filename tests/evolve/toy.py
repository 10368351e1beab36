"""A toy target without torch or syntax trees: a program is lines `name = value`, a trial is arithmetic.

The loss falls with the budget, with every useful line (`t1` to `t4`; the others are useless) and with values near
an optimum; noise depends on the trial's seed only. So what a search finds can be computed by hand.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path

from evolve.arms import Arm
from evolve.config import Limits
from evolve.evaluation import Plan
from evolve.executors.inline import InlineExecutor
from evolve.history import History
from evolve.log import Log
from evolve.loop import Loop
from evolve.model import Briefing, Edit, Genome, Knob, Mating, Objective, Outcome, Proposal, Rejected, Trial, digest
from evolve.search import ParetoSearch
from evolve.store import Store

OBJECTIVES = (Objective("loss"), Objective("seconds_to_target"))
USEFUL = {"t1": 0.3, "t2": 0.2, "t3": 0.15, "t4": 0.1}
NOISE = 0.01
ARMS = {"grow": Arm(1, 0.6), "merge": Arm(2, 0.2), "tune": Arm(1, 0.2, structural=False)}


def read(source: str) -> Genome:
    names = [line.split(" = ")[0] for line in source.splitlines()]
    knobs = tuple(Knob(name, "float", 0.01, 10.0, True, 1.0) for name in names)
    return Genome(source, digest(" ".join(sorted(names))), knobs)


SEED = read("lr = 1.0")


class Grow:
    """Adds one line."""

    name, arity, mended_by = "grow", 1, ""

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        parent = mating.parents[0]
        line = f"t{random.Random(mating.seed).randint(1, 12)}"
        if line in parent.genome.source.split():
            return Rejected(f"has {line} already")
        genome = read(parent.genome.source + f"\n{line} = 1.0")
        anchor = {k.address: parent.params.get(k.address, 1.0) for k in genome.knobs}
        return Proposal(genome, (Edit("insert_after", "lr", line),), f"{line} helps", anchor)


class Merge:
    """The union of two parents' lines."""

    name, arity, mended_by = "merge", 2, ""

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        left, right = mating.parents
        lines = sorted({*left.genome.source.splitlines(), *right.genome.source.splitlines()})
        genome = read("\n".join(lines))
        if genome.skeleton in (left.genome.skeleton, right.genome.skeleton):
            return Rejected("equals a parent")
        anchor = {k.address: {**right.params, **left.params}.get(k.address, 1.0) for k in genome.knobs}
        return Proposal(genome, (Edit("insert_after", "lr", "merged"),), "both help", anchor)


class Tune:
    """The same program again."""

    name, arity, mended_by = "tune", 1, ""

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        return Proposal(mating.parents[0].genome, (), "better numbers", mating.parents[0].params)


class Person:
    """The program that a person brought for an ask."""

    name, arity, mended_by = "person", 1, ""

    def __init__(self, brought: Callable[[int], tuple[str, str]]) -> None:
        self._brought = brought

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        source, hypothesis = self._brought(mating.index)
        genome = read(source)
        anchor = {k.address: mating.parents[0].params.get(k.address, 1.0) for k in genome.knobs}
        return Proposal(genome, (Edit("insert_after", "lr", source.split()[-3]),), hypothesis, anchor)


def carries(source: str, edit: Edit, known: Sequence[str]) -> bool:
    """Whether a program has the line that an edit brought in."""
    return edit.code in source.split() and not any(edit.code in other.split() for other in known)


def true_loss(trial: Trial) -> float:
    """Without noise."""
    loss = 3.0 - 0.5 * math.log2(trial.rung * 4 + 1e-9) * 0.5
    loss -= sum(gain for name, gain in USEFUL.items() if name in trial.genome.source.split())
    return loss + 0.05 * abs(math.log(trial.params.get("lr", 1.0) / 3.0))


def run_trial(trial: Trial) -> Outcome:
    if "t12" in trial.genome.source.split():
        return Outcome("crashed", {}, "", 0.1, "toy", "ZeroDivisionError in line 12")
    noise = random.Random(f"{trial.seed}:{trial.genome.id}:{trial.rung}").gauss(0, NOISE)
    return Outcome("ok", {"loss": true_loss(trial) + noise, "tokens_per_second": 100.0}, "", trial.budget, "toy")


def operators() -> dict[str, Grow | Merge | Tune]:
    return {"grow": Grow(), "merge": Merge(), "tune": Tune()}


def new_history(seed: int = 0) -> History:
    return History(ParetoSearch(OBJECTIVES, 8, ARMS, seed))


def plan() -> Plan:
    return Plan(OBJECTIVES, "toy", 1.0, (0.25, 0.5, 1.0), 4, 0.05)


def make_loop(directory: Path, generations: int, executor: InlineExecutor, seed: int = 0, **limits: float) -> Loop:
    """A loop on `directory`, new or continued. The caller closes `loop.store` and the executor."""
    store = Store.open(directory, durable=False)
    history = new_history(seed)
    history.replay(store.events())
    if not history.header:
        header = {
            "settings": {"seed": seed, "offspring": 4, "population": 8, "budget": 1.0, "operators": {}, "corpus": ""},
            "rungs": list(plan().rungs),
            "objectives": [{"name": o.name, "direction": o.direction} for o in OBJECTIVES],
        }
        history.apply(store.append("run", "run", header))
    limits_ = Limits(generations, **limits)  # type: ignore[arg-type]
    every = operators() | {"person": Person(history.incoming.program)}
    return Loop(Log(store, history), executor, every, plan(), limits_, lambda loop: None, carries)
