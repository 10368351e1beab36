"""The nouns of the engine, as frozen dataclasses. Values only: no behaviour beyond what a value knows of itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Literal

Number = int | float
Params = Mapping[str, Number]

Status = Literal["ok", "rejected", "crashed", "timeout", "oom", "invalid", "infrastructure"]
Purpose = Literal["smoke", "tune", "rung", "confirm", "audit", "control", "report"]
Verdict = Literal["ok", "pruned", "failed", "duplicate", "rejected"]


def digest(text: str) -> str:
    """First 16 hex digits of the SHA-256 of `text`: the name of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Knob:
    """A number inside a program that may be tuned.

    `kind` is "float", "int" or "choice"; a choice is one of `values`, which are numbers in ascending order
    (powers of two, divisors of another number). `low` and `high` are inclusive; `log` asks for a log scale.
    """

    address: str
    kind: Literal["float", "int", "choice"]
    low: Number
    high: Number
    log: bool
    default: Number
    values: tuple[Number, ...] = ()


@dataclass(frozen=True)
class Rules:
    """What a target allows its programs, and what it knows of their numbers.

    `protected` are names that no edit may rebind; `imports` the modules that may be imported; `contract` names
    that must be called; `hints` maps a knob's name (or a pattern with `*`) to a directive such as
    `1e-4..1e-1 log`, `8|16|32`, `fixed`.
    """

    protected: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    contract: tuple[str, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)
    max_bytes: int = 40_000


@dataclass(frozen=True)
class Genome:
    """A program: its text with *default* numbers, and what was read from the text.

    `skeleton` is a digest of the normalised syntax tree with the values of knobs blanked. Two genomes with the
    same `key` differ in numbers only.
    """

    source: str
    skeleton: str = ""
    knobs: tuple[Knob, ...] = ()

    @property
    def id(self) -> str:
        return digest(self.source)

    @cached_property
    def key(self) -> str:
        """Skeleton and knob declarations: what "seen before" compares. Kept: it is asked for thousands of times."""
        spaces = [(k.address, k.kind, k.low, k.high, k.log, k.values) for k in self.knobs]
        return digest(self.skeleton + repr(sorted(spaces)))


@dataclass(frozen=True)
class Edit:
    """One change at one named place of a program.

    `op` is "replace", "insert_before", "insert_after", "delete" or "rename"; `target` is an address such as
    `GPT.forward`, `LEARNING_RATE` or `@training_loop`; `code` is the new text ("" for delete).
    """

    op: Literal["replace", "insert_before", "insert_after", "delete", "rename"]
    target: str
    code: str = ""
    note: str = ""


@dataclass(frozen=True)
class Cost:
    """What a proposal cost: seconds of waiting, calls of a language model, their tokens, US dollars.

    `input` are tokens read anew, `cached` those from a prompt cache. Dollars are 0 where no price is known.
    """

    seconds: float = 0.0
    calls: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0
    usd: float = 0.0

    @property
    def tokens(self) -> int:
        return self.input + self.cached + self.output

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Cost)))


@dataclass(frozen=True)
class Proposal:
    """A child that an operator made. `anchor` holds its first parameters, inherited by address.

    `expected` is the predicted change of the first objective; `idea` names the note that it was made from.
    """

    genome: Genome
    edits: tuple[Edit, ...]
    hypothesis: str
    anchor: Params = field(default_factory=dict)
    cost: Cost = Cost()
    expected: float | None = None
    idea: str = ""


@dataclass(frozen=True)
class Rejected:
    """No child, and why. `stage` is how far it came: "answer", "format", "edits", "rules", "same", "known" or "".

    `ends` says what cannot go on after this: the "operator" (its budget is used), the "run" (the key is wrong).
    """

    reason: str
    cost: Cost = Cost()
    stage: str = ""
    ends: Literal["", "operator", "run"] = ""


@dataclass(frozen=True)
class Trial:
    """The unit of execution: train one program with these numbers, for this budget, from this seed.

    `budget` is in charged seconds (CPU-seconds of the box at the CPU scale, wall seconds on a GPU).
    `rung` is the share of the full budget; an evaluation of a short rung may score fewer tokens.
    """

    genome: Genome
    params: Params
    budget: float
    rung: float
    scale: str
    seed: int
    purpose: Purpose


@dataclass(frozen=True)
class Outcome:
    """What came of a trial. `seconds` is what it is charged. `metrics` is empty unless `status` is "ok", or "oom": how
    much memory was in use and how much there is.

    `reason` says in one line why the status is not "ok". Metrics are finite numbers. `violation` names the rule that a
    program was proven to break ("causality", "cross-sample" …), "" where none was. `checks` maps the name of a probe to
    what it found, beginning with "ok", "failed" or "skipped".
    """

    status: Status
    metrics: Mapping[str, float] = field(default_factory=dict)
    log_tail: str = ""
    seconds: float = 0.0
    device: str = ""
    reason: str = ""
    violation: str = ""
    checks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Objective:
    """A number to be optimised, named as in the fitness."""

    name: str
    direction: Literal["minimize", "maximize"] = "minimize"


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` seeds with its standard error; `censored` means that the true value is below `mean`."""

    mean: float
    n: int
    sem: float | None = None
    censored: bool = False


@dataclass(frozen=True)
class Fitness:
    """Objective values of a candidate in declared order of their names.

    `violation` is 0 for a feasible candidate, else how far it is from feasible (Deb 2000); an infeasible
    candidate may lack some of the values.
    """

    values: Mapping[str, Estimate]
    violation: float = 0.0

    @property
    def feasible(self) -> bool:
        return self.violation <= 0.0


@dataclass(frozen=True)
class Effect:
    """What a child changed: the first objective minus that of the best of the nearest measured ancestors.

    Those are its parents, or theirs where a parent was not measured; the best is the one with the lowest loss at the
    highest `rung` that child and ancestor were trained at. `error` is its standard error, from the scatter of the
    seed program over seeds; None where that is unknown.
    """

    delta: float
    rung: float
    error: float | None = None

    @property
    def clear(self) -> bool:
        """Whether it is more than two standard errors from nothing."""
        return self.error is not None and abs(self.delta) > 2 * self.error


@dataclass(frozen=True)
class Mating:
    """Who has a child, and by which operator. `index` is the number of the ask; `base` the common ancestor."""

    index: int
    operator: str
    parents: tuple[Candidate, ...]
    base: Candidate | None
    seed: int
    inspirations: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """The unit of evolution: a genome with its tuned numbers, where it came from and what it is worth.

    `fitness` is None unless `verdict` is "ok". `rung` is the highest share of the budget it was trained for.
    `losses` maps a rung to the losses of its final parameters by seed; `metrics` are means at the full budget.
    `violation` names the rule that one of its own trials was proven to break, `checks` is what the probes of the trial
    that decided found. `quarantined` names the violation for which it was taken out of the search: its own, or that of
    another whose edit it carries.
    """

    id: str
    index: int
    genome: Genome
    params: Params
    parents: tuple[str, ...]
    operator: str
    verdict: Verdict
    reason: str = ""
    rung: float = 0.0
    fitness: Fitness | None = None
    losses: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    edits: tuple[Edit, ...] = ()
    hypothesis: str = ""
    seconds: float = 0.0
    trials: int = 0
    expected: float | None = None
    idea: str = ""
    effect: Effect | None = None
    cost: Cost = Cost()
    violation: str = ""
    checks: Mapping[str, str] = field(default_factory=dict)
    quarantined: str = ""

    @property
    def confirmed(self) -> bool:
        """Whether every objective was measured with at least three seeds."""
        return self.fitness is not None and all(e.n >= 3 for e in self.fitness.values.values())


@dataclass(frozen=True)
class Briefing:
    """What an operator may know of the run besides the parents, as of the moment when a child is asked for.

    `candidates` are all that were told, in that order, the seed first. The mappings are by candidate id and hold those
    whom the mating concerns: `losses` at each rung, `logs` what the program printed when it ran longest.
    `importance` is how much of the loss each knob explains, 0 to 1, by address. `pending` are the hypotheses of
    children that are being measured, `elsewhere` what was tried in other runs, whose numbers cannot be compared.
    """

    objectives: tuple[Objective, ...] = ()
    scale: str = ""
    budget: float = 0.0
    rungs: tuple[float, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    losses: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    logs: Mapping[str, str] = field(default_factory=dict)
    importance: Mapping[str, float] = field(default_factory=dict)
    pending: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
