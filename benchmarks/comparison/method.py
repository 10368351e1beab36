"""A method of the benchmark: what `benchmarks/baselines/<name>.py` declares as `METHOD`.

All methods run in `evolve.loop.Loop`, with the executor, the judge, the store and the budget of the task, and measure
the seed program first. They differ in what `Setup` holds, and in nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from evolve.arms import Arm
from evolve.config import ConfigError
from evolve.evaluation import Plan
from evolve.language import HOW, Language
from evolve.model import Genome, Knob, Params
from evolve.protocols import Operator, Tuner
from evolve.search import ParetoSearch
from evolve.tuner import Study, TpeTuner, first_parameters
from operators.genome import Reader
from operators.llm.arms import Opened

BASELINES = Path(__file__).parents[1] / "baselines"
NewTuner = Callable[[Params, Study, int], Tuner]


@dataclass(frozen=True)
class Given:
    """What a task gives to every method.

    `operators` make children, with their shares in `arms`: the structural ones are the catalogue, which other methods
    mutate with too. `plan` has the task's rungs and trials of tuning. `reader` reads programs; the file `program` tells
    language models the task in prose. `total` are the charged seconds of the run, infinite for a method that is
    not `by_total`; `language` is whom it may ask.
    """

    seed: Genome
    plan: Plan
    operators: Mapping[str, Operator]
    arms: Mapping[str, Arm]
    population: int
    reader: Reader
    program: Path
    total: float = math.inf
    language: Language | None = None

    @property
    def models(self) -> tuple[str, ...]:
        return self.language.models if self.language else ()

    @property
    def catalogue(self) -> dict[str, Arm]:
        """The operators that make a new structure of one parent."""
        return {name: arm for name, arm in self.arms.items() if arm.arity == 1 and arm.structural}

    @property
    def untuned(self) -> Plan:
        """Each child is one trial at the full budget; the front's other seeds are trained as in all methods.

        A structure that was measured with other numbers is something new, as nothing tunes it.
        """
        return replace(self.plan, rungs=(1.0,), tune_trials=0, seen="numbers")

    @property
    def by_loss(self) -> Plan:
        """`untuned`, for a method that optimises the loss alone: only a child with the best loss so far is trained with
        more seeds, and for the seconds to the target."""
        return replace(self.untuned, curve="best")


@dataclass(frozen=True)
class Setup:
    """One run of a method: who mates, who makes children, how they are measured, which numbers they get.

    `asking` makes the operators that ask a language model, of what can be asked once the log is open.
    """

    search: ParetoSearch
    operators: Mapping[str, Operator]
    plan: Plan
    tuner: NewTuner = TpeTuner
    asking: Callable[[Opened], Mapping[str, Operator]] | None = None


@dataclass(frozen=True)
class Method:
    """`about` says in a line what it is, with its source. `setup` makes it for a task and the seed of a run.

    `missing` says why it cannot be run with these language models, or none, on this machine; "" if it can. `by_total`:
    what it does depends on the total, so a run cannot go on with another one.
    """

    name: str
    about: str
    setup: Callable[[Given, int], Setup]
    missing: Callable[[Language | None], str] = lambda language: ""
    by_total: bool = False


def without_model(language: Language | None) -> str:
    """What a method is missing that asks a language model."""
    return "" if language else f"asks a language model, and there is none: {HOW}"


class Untuned:
    """A `Tuner` that leaves a child as it was made."""

    best = math.inf

    def __init__(self, anchor: Params, known: Study, seed: int) -> None:
        self._anchor = anchor

    def ask(self, knobs: Sequence[Knob]) -> Params:
        return first_parameters(knobs, self._anchor)

    def tell(self, params: Params, loss: float | None) -> None:
        """Nothing follows from it."""


def names() -> list[str]:
    """All methods."""
    return sorted(path.stem for path in BASELINES.glob("[!_]*.py"))


def load(name: str) -> Method:
    """Raises `ConfigError` for a method that there is not."""
    if name not in names():
        raise ConfigError(f"no method {name!r}; there are {', '.join(names())}")
    found: Method = import_module(f"benchmarks.baselines.{name}").METHOD
    return found
