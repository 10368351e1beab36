"""The four things that can be exchanged: who mates, how a child is made, which numbers it gets, where it runs.

Each protocol's docstring is its contract; the suites in `tests/contracts/` hold every implementation to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from evolve.model import Briefing, Candidate, Knob, Mating, Outcome, Params, Proposal, Rejected, Trial


class Search(Protocol):
    """Decides who mates. Called from one thread; no I/O; `ask(i)` depends on `i` and what was told, nothing else."""

    def ask(self, index: int) -> Mating: ...

    def tell(self, candidate: Candidate) -> None: ...


class Operator(Protocol):
    """Makes a child. Called from several threads at once; may take long; may not keep state between calls.

    A child that cannot be made is a `Rejected`, never an exception. `arity` is the number of parents. `mended_by` is
    the name of the operator that may mend a child of this one that crashed at once, "" for none. One that changes
    numbers only says `structural = False`; without it, an operator is taken to make new structures.
    """

    name: str
    arity: int
    mended_by: str

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected: ...


class Tuner(Protocol):
    """Chooses numbers for one genome. `tell` takes None for a trial that failed.

    `best` is the lowest loss known of the genome, which has to be beaten; infinite where nothing has to be.
    """

    @property
    def best(self) -> float: ...

    def ask(self, knobs: Sequence[Knob]) -> Params: ...

    def tell(self, params: Params, loss: float | None) -> None: ...


class Executor(Protocol):
    """Runs trials somewhere. `submit` returns at once; the future never raises for what a program did.

    `slots` is how many trials run at once; it becomes less when an executor gives one up, 0 when none is left. After
    `close` no process of the executor is left.
    """

    @property
    def slots(self) -> int: ...

    def submit(self, trial: Trial) -> Future[Outcome]: ...

    def cancel(self, future: Future[Outcome]) -> None: ...

    def close(self) -> None: ...


class CallLog(Protocol):
    """Where calls of language models are written down: the question before it is sent, the answer before it is read.

    Called from several threads. `key` names a question; asked again, it has the same key.
    """

    def recall(self, key: str) -> Mapping[str, Any] | None:
        """The answer that was written down for a question, if there is one."""
        ...

    def unanswered(self, key: str) -> Mapping[str, Any] | None:
        """The `request` of a question without any reply, or whose reply says `again`: it was interrupted, and whoever
        asks again asks the same."""
        ...

    def sent(self, key: str, question: Mapping[str, Any]) -> None:
        """Write a question down. It needs its `request`, and `tokens` and `usd`, what it may cost at most."""
        ...

    def received(self, key: str, answer: Mapping[str, Any]) -> None:
        """Write its answer down, or its failure. It needs `tokens` and `usd`, what it cost; `again` if it was given up
        only because the process ends."""
        ...

    def spent(self) -> tuple[int, float]:
        """Tokens and dollars of the run so far; a question whose answer is unknown counts with its most."""
        ...
