"""A task with a known optimum: a small script whose loss and seconds are a formula of its numbers and blocks.

The program is a text that the real reader, merge and tuner work on. A block is a function and the line that calls it;
structure is which blocks there are. With the share r of the budget, `capacity` N and `cost` of a step C, both 1 for the
seed program,

    N = (WIDTH / 64)^2 DEPTH / 2        C = N^0.75 x 1.3 [mixture] x 0.5 [sparse]
    loss = 1 + 0.8 N^-0.3 + 0.6 (r / C)^-0.3                             (the form of Hoffmann et al. 2022, section 3.3)
         + 0.03 max(0, DEPTH - 2)^2 unless residual
         + 0.08 (log LEARNING_RATE - best)^2,     best = -2 - log(N) / 2 + [norm] - [momentum]
         + 0.02 (log DECAY - best)^2,             best = -1 - [mixture]
         + 0.03 (log (1 - BETA) - best)^2,        best = -1 - 0.6 [momentum]
         + blocks + noise                         (all logarithms to base 10)

    blocks   norm -0.05, residual -0.01, both together -0.06 more; momentum -0.04; clip -0.01; mixture -0.08 (and a
             step costs more); sparse +0.16 (and costs less); warmup -0.03 exp(-((WARMUP - 0.1) / 0.1)^2);
             gate +0.03, and -0.11 more beside norm and residual: it looks like a dead end until both are there;
             dropout +0.03, a dead end.

So structure changes which numbers are best (norm and momentum move the learning rate by ten, in opposite directions),
blocks depend on each other, and the ranking changes with r: small and sparse models lead at low rungs, and they are
the fast end of the front.

Failures: out of memory where WIDTH DEPTH (2 with mixture) > 1536, charged 5 % of the budget; diverged, a crash, where
log LEARNING_RATE is more than 1.2 above its best (0.4 more with clip, 0.5 with warmup), charged 30 %. Else the charge
is the budget times 1 + 0.02 min(C, 5): the last step overruns. Noise is normal with standard deviation 0.01 r^-0.25,
half of its variance drawn by program, numbers and seed and thus shared by all rungs, half by the rung too.

Numbers other than WIDTH and DEPTH have their best value given the rest, so `optimum` and `optimal_front` enumerate
blocks, widths and depths and are exact; so is `regret`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import chain, combinations, product
from pathlib import Path
from random import Random

from benchmarks.comparison.method import Given
from benchmarks.comparison.place import Virtual
from benchmarks.comparison.task import Axis, Task
from benchmarks.comparison.virtual import VirtualExecutor
from evolve import plugins
from evolve.assemble import DEFAULT_OPERATORS, TUNE_TRIALS
from evolve.evaluation import Plan
from evolve.model import Briefing, Genome, Mating, Number, Objective, Outcome, Params, Proposal, Rejected, Rules, Trial
from evolve.objectives import LOWEST_RUNG, SECONDS_TO_TARGET
from operators.crossover import Merge
from operators.genome import Reader
from operators.knobs import inherit
from operators.retune import Retune
from operators.tree import diff

NAME = "synthetic"
SCALE = "virtual"
BUDGET = 16.0  # charged seconds of a full trial
RUNGS = (0.25, 1.0)
TOTAL = 4000.0  # charged seconds of a run
OBJECTIVES = (Objective("loss"), Objective(SECONDS_TO_TARGET))
NOISE = 0.01
WIDTHS, DEPTHS = (16, 32, 64, 128, 256, 512), tuple(range(1, 9))
MEMORY = 1536
PARTS = ("embed", "layers", "optimise", "regularise")  # of every program, in order
BLOCKS = {  # name: the part after which it is called
    "norm": "embed",
    "residual": "embed",
    "gate": "layers",
    "mixture": "layers",
    "sparse": "layers",
    "momentum": "optimise",
    "clip": "optimise",
    "warmup": "optimise",
    "dropout": "regularise",
}
CONSTANTS = """LEARNING_RATE = 0.001  # knob: 1e-5..1.0 log
WIDTH = 64  # knob: 16|32|64|128|256|512
DEPTH = 2  # knob: 1..8
DECAY = 0.01  # knob: 1e-4..1.0 log
BETA = 0.7  # knob: 0.5..0.99
"""
USES = {"embed": "WIDTH", "layers": "DEPTH", "optimise": "LEARNING_RATE * BETA", "regularise": "DECAY"}
_CALL = re.compile(r"^    x = (\w+)\(x\)$", re.M)


def program(blocks: Iterable[str]) -> str:
    """The script with these blocks."""
    there = [name for name in BLOCKS if name in set(blocks)]
    constants = CONSTANTS + ("WARMUP = 0.3  # knob: 0.0..0.5\n" if "warmup" in there else "")
    uses = USES | {"warmup": "WARMUP"}
    order = [name for part in PARTS for name in (part, *(b for b in there if BLOCKS[b] == part))]
    functions = [f"def {name}(x):\n    return x * {uses.get(name, '1.0')}\n" for name in order]
    calls = "".join(f"    x = {name}(x)\n" for name in order)
    return "\n\n".join([constants, *functions, f"def train(x):\n{calls}    return x\n\n\ntrain(1.0)\n"])


READER = Reader(Rules())


@cache
def genome(blocks: frozenset[str]) -> Genome:
    """The program with these blocks, as the real reader reads it."""
    return READER.read(program(blocks))


SEED = genome(frozenset())


def blocks_of(source: str) -> frozenset[str]:
    """The blocks that a program calls. Raises ValueError where it lacks a part or calls what is no block."""
    called = _CALL.findall(source)
    if missing := [part for part in PARTS if part not in called]:
        raise ValueError(f"the program does not call {missing[0]}")
    if unknown := [name for name in called if name not in BLOCKS and name not in PARTS]:
        raise ValueError(f"the program calls {unknown[0]}, which is no block")
    return frozenset(called) - set(PARTS)


@dataclass(frozen=True)
class Point:
    """A program as the formula sees it: its blocks and all its numbers."""

    blocks: frozenset[str]
    numbers: Params

    @property
    def capacity(self) -> float:
        return (self.numbers["WIDTH"] / 64) ** 2 * self.numbers["DEPTH"] / 2

    @property
    def cost(self) -> float:
        factor = (1.3 if "mixture" in self.blocks else 1.0) * (0.5 if "sparse" in self.blocks else 1.0)
        return self.capacity**0.75 * factor

    @property
    def best(self) -> dict[str, float]:
        """The best value of each number but width and depth; they may lie outside their ranges."""
        has = self.blocks.__contains__
        rate = -2 - math.log10(self.capacity) / 2 + has("norm") - has("momentum")
        beta = 1 - 10 ** (-1 - 0.6 * has("momentum"))
        return {"LEARNING_RATE": 10.0**rate, "DECAY": 10.0 ** (-1 - has("mixture")), "BETA": beta, "WARMUP": 0.1}

    def floor(self) -> float:
        """The loss without noise and without what training longer takes away."""
        has, best, number = self.blocks.__contains__, self.best, self.numbers
        loss = 1 + 0.8 * self.capacity**-0.3
        loss += 0.0 if has("residual") else 0.03 * max(0, number["DEPTH"] - 2) ** 2
        loss += 0.08 * math.log10(number["LEARNING_RATE"] / best["LEARNING_RATE"]) ** 2
        loss += 0.02 * math.log10(number["DECAY"] / best["DECAY"]) ** 2
        loss += 0.03 * math.log10((1 - number["BETA"]) / (1 - best["BETA"])) ** 2
        loss += 0.16 * has("sparse") + 0.03 * has("dropout") + 0.03 * has("gate")
        loss -= 0.05 * has("norm") + 0.01 * has("residual") + 0.04 * has("momentum") + 0.01 * has("clip")
        loss -= 0.08 * has("mixture") + (0.06 + 0.11 * has("gate")) * (has("norm") and has("residual"))
        return loss - (0.03 * math.exp(-(((number["WARMUP"] - 0.1) / 0.1) ** 2)) if has("warmup") else 0.0)

    def loss(self, rung: float = 1.0) -> float:
        """Without noise, at a share of the budget."""
        return self.floor() + 0.6 * (rung / self.cost) ** -0.3

    def rung_to(self, target: float) -> float | None:
        """The share of the budget at which the loss is `target`; None if that is more than all of it. Shares below the
        lowest that is measured count as that."""
        rest = target - self.floor()
        rung = self.cost * (rest / 0.6) ** (-1 / 0.3) if rest > 0 else math.inf
        return max(LOWEST_RUNG, rung) if rung <= 1 else None

    def failure(self) -> tuple[str, float, str] | None:
        """Status, share of the budget that is charged and reason; None for a program that trains."""
        memory = self.numbers["WIDTH"] * self.numbers["DEPTH"] * (2 if "mixture" in self.blocks else 1)
        if memory > MEMORY:
            return "oom", 0.05, f"{memory} of {MEMORY} units of memory"
        edge = 1.2 + 0.4 * ("clip" in self.blocks) + 0.5 * ("warmup" in self.blocks)
        if math.log10(self.numbers["LEARNING_RATE"] / self.best["LEARNING_RATE"]) > edge:
            return "crashed", 0.3, "the loss is not finite: it diverged"
        return None


def point_of(program: Genome, params: Params) -> Point:
    """What the formula needs of a program; a number that is not given has its default. Raises ValueError."""
    defaults = {k.address: k.default for k in program.knobs}
    return Point(blocks_of(program.source), {**defaults, **params})


def judge(trial: Trial) -> Outcome:
    """One trial, at once: what an executor in virtual time needs."""
    try:
        point = point_of(trial.genome, trial.params)
    except ValueError as error:
        return Outcome("crashed", seconds=0.05 * trial.budget, device=NAME, reason=str(error))
    if failed := point.failure():
        status, share, reason = failed
        return Outcome(status, seconds=share * trial.budget, device=NAME, reason=reason)  # type: ignore[arg-type]
    key = f"{sorted(point.blocks)}:{sorted(point.numbers.items())}:{trial.seed}"
    shared, own = Random(key).gauss(0, 1), Random(f"{key}:{trial.rung}").gauss(0, 1)
    noise = NOISE * trial.rung**-0.25 * (shared + own) / math.sqrt(2)
    metrics = {OBJECTIVES[0].name: point.loss(trial.rung) + noise, "tokens_per_second": 1e4 / point.cost}
    seconds = trial.budget * (1 + 0.02 * min(point.cost, 5.0))
    return Outcome("ok", metrics, seconds=seconds, device=NAME)


def best_numbers(blocks: frozenset[str], width: int, depth: int) -> Point:
    """The best point with these blocks, this width and depth: each other number at its best, moved into its range."""
    knobs = {k.address: k for k in genome(frozenset(BLOCKS)).knobs if k.address != "WARMUP" or "warmup" in blocks}
    sized: dict[str, Number] = {"WIDTH": width, "DEPTH": depth}
    best = Point(blocks, sized).best
    free = {a: min(k.high, max(k.low, best[a])) for a, k in knobs.items() if a in best}
    return Point(blocks, sized | free)


@cache
def _every() -> tuple[Point, ...]:
    subsets = chain.from_iterable(combinations(BLOCKS, n) for n in range(len(BLOCKS) + 1))
    points = (best_numbers(frozenset(b), w, d) for b, w, d in product(subsets, WIDTHS, DEPTHS))
    return tuple(point for point in points if point.failure() is None)


@cache
def optimum() -> Point:
    """The point with the lowest loss at the full budget."""
    return min(_every(), key=Point.loss)


@cache
def optimal_front() -> tuple[tuple[float, float], ...]:
    """The Pareto front without noise as (loss, seconds to the seed program's loss), by loss."""
    target = point_of(SEED, {}).loss()
    reached = [(p.loss(), rung * BUDGET) for p in _every() if (rung := p.rung_to(target)) is not None]
    front: list[tuple[float, float]] = []
    for loss, seconds in sorted(reached):
        if not front or seconds < front[-1][1]:
            front.append((loss, seconds))
    return tuple(front)


def regret(program: Genome, params: Params) -> float:
    """How far the loss at the full budget is above the optimum, without noise; infinite for a program that fails."""
    point = point_of(program, params)
    return math.inf if point.failure() else point.loss() - optimum().loss()


class Toggle:
    """An `Operator` that adds a block or takes one away, drawn uniformly: this task's catalogue."""

    name, arity, mended_by = "catalogue", 1, ""

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        parent = mating.parents[0]
        try:
            there = blocks_of(parent.genome.source)
        except ValueError as error:
            return Rejected(str(error))
        chosen = Random(mating.seed).choice(list(BLOCKS))
        child = genome(there ^ {chosen})
        edits = diff(parent.genome.source, child.source, note=chosen)
        hypothesis = f"{'without' if chosen in there else 'with'} {chosen}"
        return Proposal(child, edits, hypothesis, inherit(child.knobs, parent.params))


def _given() -> Given:
    operators = {"catalogue": Toggle(), "merge": Merge(READER), "tune": Retune(READER)}
    arms = plugins.arms_of(DEFAULT_OPERATORS, operators, ())
    plan = Plan(OBJECTIVES, SCALE, BUDGET, RUNGS, TUNE_TRIALS, 0.02 * BUDGET)
    return Given(SEED, plan, operators, arms, 8, READER, Path(__file__).with_suffix(".md"))


_SEED_VALUES = {OBJECTIVES[0].name: point_of(SEED, {}).loss(), SECONDS_TO_TARGET: BUDGET}
TASK = Task(
    NAME,
    (Axis(OBJECTIVES[0].name), Axis(SECONDS_TO_TARGET, log=True)),
    _SEED_VALUES,
    {name: 1.1 * value for name, value in _SEED_VALUES.items()},
    TOTAL,
    _given,
    Virtual(lambda: VirtualExecutor(judge, slots=4)),
)
