"""An executor in virtual time: outcomes come from a function, in the order in which real trials would end.

    executor = VirtualExecutor(judge, slots=4)
    Loop(log, executor, operators, plan, limits, watch=executor.watch, making=at_once).run(seed)

A trial occupies a slot for the seconds that its outcome is charged; the others wait in the order of submission. Nothing
ends by itself: the clock moves to the next end when whoever submits has nothing else to do, so an asynchronous method
sees at each of its decisions what it would have seen of real trials. `watch` moves it for a `Loop`, which calls it
after each of its steps; `step` by hand; and waiting for the `result` of a future does. With children made `at_once`
and events dated by `clock`, a run has no other time and no threads, so the same seed gives the same run.
Isolates nothing and is meant for one thread.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from evolve.loop import Loop
from evolve.model import Briefing, Mating, Outcome, Trial
from evolve.proposals import Made, make
from evolve.protocols import Operator


def at_once(operator: Operator, mating: Mating, briefing: Briefing) -> Future[Made]:
    """Make a child here and now. That takes no time, unless a model was asked."""
    made = make(operator, mating, briefing)
    future: Future[Made] = Future()
    future.set_result(made if made.cost.calls else replace(made, cost=replace(made.cost, seconds=0.0)))
    return future


class VirtualFuture(Future[Outcome]):
    """Whoever waits for it lets time pass."""

    def __init__(self, step: Callable[[], bool]) -> None:
        super().__init__()
        self._step = step

    def result(self, timeout: float | None = None) -> Outcome:
        while not self.done() and self._step():
            pass
        return super().result(timeout)


class VirtualExecutor:
    """An `Executor` over `judge`, a function of the trial alone that must not raise.

    `now` is the virtual clock in seconds, `charged` the sum over all trials that ended, what was cancelled included.
    """

    def __init__(self, judge: Callable[[Trial], Outcome], slots: int = 1) -> None:
        if slots < 1:
            raise ValueError(f"an executor needs a slot, not {slots}")
        self.slots = slots
        self.now = 0.0
        self.charged = 0.0
        self._judge = judge
        self._waiting: deque[tuple[Trial, VirtualFuture]] = deque()
        self._running: list[tuple[float, int, float, VirtualFuture, Outcome]] = []  # end, number, begin
        self._started = 0

    def submit(self, trial: Trial) -> Future[Outcome]:
        future = VirtualFuture(self.step)
        self._waiting.append((trial, future))
        self._fill()
        return future

    def step(self) -> bool:
        """Move the clock to the next end of a trial; False if none is running. Of equal ends the first begun is it."""
        if not self._running:
            return False
        self.now, _, _, future, outcome = heapq.heappop(self._running)
        self.charged += outcome.seconds
        self._fill()
        future.set_result(outcome)
        return True

    def watch(self, loop: Loop) -> None:
        """Step: a loop that asks has made its children, and waits for the next end of a trial."""
        self.step()

    def clock(self) -> float:
        """The time now."""
        return self.now

    def cancel(self, future: Future[Outcome]) -> None:
        """Take a trial back; one that runs is charged until now, and what waits takes its slot."""
        if future.cancel():
            return
        for entry in self._running:
            if entry[3] is future:
                self._running.remove(entry)
                heapq.heapify(self._running)
                self._spoil(entry, "cancelled")
                self._fill()
                return

    def close(self) -> None:
        """End all trials: what runs and what waits becomes `infrastructure`, as with judges that are stopped."""
        while self._running:
            self._spoil(heapq.heappop(self._running), "the executor was closed")
        while self._waiting:
            _, future = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                future.set_result(Outcome("infrastructure", reason="the executor was closed"))

    def _spoil(self, entry: tuple[float, int, float, VirtualFuture, Outcome], reason: str) -> None:
        seconds = self.now - entry[2]
        self.charged += seconds
        entry[3].set_result(Outcome("infrastructure", seconds=seconds, reason=reason))

    def _fill(self) -> None:
        while self._waiting and len(self._running) < self.slots:
            trial, future = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                outcome = self._judge(trial)
                heapq.heappush(self._running, (self.now + outcome.seconds, self._started, self.now, future, outcome))
                self._started += 1
