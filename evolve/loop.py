"""The one concurrent function: drives search, operators, tuner, executor and store until a criterion says stop.

Proposals and trials run on separate pools, so a device never waits for an operator. Everything that happens is
written to the store first and then applied to the history; `Loop.run` on an old store goes on where it ended.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, fields, replace
from random import Random

from evolve import proposals, records
from evolve.answers import answer
from evolve.audits import OWNER, Audits, Carries, carries_nothing
from evolve.briefing import briefing
from evolve.children import evaluation_of
from evolve.config import Limits
from evolve.evaluation import (
    FRONT_SEEDS,
    Ask,
    Evaluation,
    Plan,
    Result,
    admitted,
    audit,
    control,
    evaluate_seed,
    same_training,
)
from evolve.history import SEED
from evolve.incoming import PERSON, take_in
from evolve.log import Log
from evolve.model import Briefing, Candidate, Genome, Mating, Outcome, Params, Proposal, Rejected, Trial
from evolve.protocols import Executor, Operator, Tuner
from evolve.quarantine import case_record
from evolve.stopping import awaits_front, stop_reason
from evolve.store import StoreError
from evolve.tuner import Study, TpeTuner, first_parameters

PROPOSAL_THREADS = 8
CONTROL_EVERY = 25  # outcomes between two control runs of the seed
ATTEMPTS = 4  # of a trial that infrastructure spoiled
TROUBLE = 20  # trials spoiled in a row, after which it is the machine and no program
ANEW = "choose another --run-dir, or go on with the version that began it; a run that has ended can be read"
NO_SPACE = "the disk is nearly full: nothing is lost; free space and run the same command"
IDLE = 0.05  # children expected in the making for which none is made ahead
TICK = 0.5  # seconds between two looks at the clock


@dataclass
class Task:
    """One evaluation under way. `batch` are the numbers of the trials that it waits for, `asked` is how many it had."""

    owner: str
    evaluation: Evaluation
    asked: int = 0
    batch: tuple[int, ...] = ()


class Loop:
    """One run. `operators` by name; `plan` without target; `watch` is called at least every `TICK` seconds.

    `carries` says whether a program still has what an edit brought in; `tuner` makes a tuner as `TpeTuner` is made,
    `making` begins a child as `proposals.start` does.
    """

    def __init__(
        self,
        log: Log,
        executor: Executor,
        operators: Mapping[str, Operator],
        plan: Plan,
        limits: Limits,
        watch: Callable[[Loop], None],
        carries: Carries = carries_nothing,
        tuner: Callable[[Params, Study, int], Tuner] = TpeTuner,
        making: Callable[[Operator, Mating, Briefing], Future[proposals.Made]] = proposals.start,
    ) -> None:
        self.store = log.store
        self.history = log.history
        self.limits = limits
        self.interrupted = False
        self.ending = ""  # why to end, if whoever watches found a reason
        self.waited = 0.0  # seconds of slots that stood empty while children were being made
        self._record = log.record
        self.executor = executor
        self._operators = operators
        self._plan = plan
        self._watch = watch
        self._new_tuner = tuner
        self._making = making
        self._tasks: dict[str, Task] = {}
        self._running: dict[Future[Outcome], tuple[str, int]] = {}
        self._proposing: dict[Future[proposals.Made], Mating] = {}
        self.trouble = ""
        self._audits = Audits(log.history, carries)
        self._latency: deque[float] = deque(maxlen=20)

    @property
    def open_trials(self) -> int:
        return len(self._running)

    def run(self, seed: Genome) -> str:
        """Run until a criterion is met; returns it. Raises `StoreError` when the disk is full.

        The executor is left to the caller to close.
        """
        reason = self._reason()
        if reason is None:
            self._resume(seed)
        while reason is None:
            self._ask_more()
            self._collect()
            self._watch(self)
            reason = self._reason()
        self._drain()
        self._record("stop", f"stop/{time.time_ns()}", {"reason": reason, "waited": self.waited})
        if reason == NO_SPACE:
            raise StoreError(reason)
        return reason

    def _reason(self) -> str | None:
        if self.interrupted or self.ending:
            return self.ending or "interrupted"
        if self.history.seed and self.history.seed.verdict != "ok":
            return f"the seed program failed: {self.history.seed.reason}"
        if self.trouble:
            return f"the machine or the judge spoils every trial ({self.trouble}): the same command tries again"
        if not self.store.has_space():
            return NO_SPACE
        reason = stop_reason(self.history, self.limits)
        return None if reason and (self._audits.suspects() or awaits_front(self.history, self.limits)) else reason

    def _resume(self, seed: Genome) -> None:
        """Start the seed, or finish what an earlier process left open."""
        if "0" not in self.history.candidates:
            self._remember(seed)
            params = {k.address: k.default for k in seed.knobs}
            self._start(SEED, evaluate_seed(self._plan, seed, params, self._fresh_seeds(0)))
        self._enforce()
        for index, mating in list(self.history.matings.items()):
            if str(index) in self.history.candidates:
                continue
            if proposal := self.history.proposals.get(index):
                self._follow(mating, proposal)
            else:
                self._propose(mating)

    def _ask_more(self) -> None:
        """Keep the executor fed: ask while the trials in sight would not outlast the making of a child.

        After too many refusals in a row it waits for what is under way to bring new parents.
        """
        history = self.history
        take_in(self.store.directory, history.candidates, history.incoming, self._record)
        if (
            history.seed is None
            or history.halted
            or stop_reason(history, self.limits)
            or 0 < self.limits.refusals <= history.refusals
        ):
            return
        room = self.limits.generations * self._offspring - history.finished if self.limits.generations else math.inf
        room = min(room, self._children_wanted())
        while len(self._proposing) < PROPOSAL_THREADS and (
            history.incoming.waiting or len(self._tasks) + len(self._proposing) < room
        ):
            mating = self._next_mating(len(history.matings) + 1)
            self._record("ask", f"ask/{mating.index}", records.mating_record(mating))
            self._propose(mating)

    def _next_mating(self, index: int) -> Mating:
        """A person's comes first; then who crashed at once is mended, if there is a mender; else the search decides."""
        if waiting := self.history.incoming.waiting:
            return Mating(index, PERSON, (self.history.candidates[waiting[0].parent],), None, index)
        for broken in self.history.broken.values():
            if mender := self._operators[broken.operator].mended_by:
                return Mating(index, mender, (broken,), None, index)
        return self.history.search.ask(index)

    @property
    def _offspring(self) -> int:
        return int(self.history.header["settings"]["offspring"])

    def _children_wanted(self) -> int:
        """Under way at once: one a slot, and by Little's law as many more as finish in the making of one.

        And as many as that number scatters. More would be made of parents that are out of date, by a search that has
        not seen what the last ones gave.
        """
        finished = self.history.finished
        of_children = self.history.charged - self.history.seconds[SEED]
        seconds = of_children / finished if finished else self._plan.budget
        latency = sum(self._latency) / len(self._latency) if self._latency else 0.0
        making = latency * self.executor.slots / max(seconds, 1e-3)
        return self.executor.slots + math.ceil(making + math.sqrt(making) - IDLE)

    def _propose(self, mating: Mating) -> None:
        admissible = self._audits.admissible(mating)
        if admissible is None:  # asked for by an earlier process
            self._proposed(mating, Rejected("a parent was put into quarantine"))
            return
        work = self._making(self._operators[mating.operator], admissible, briefing(self.history, admissible))
        self._proposing[work] = mating

    def _collect(self) -> None:
        """Wait for the next thing to finish, and act on it."""
        empty = max(0, self.executor.slots - len(self._running)) if self._proposing else 0
        begin = time.monotonic()
        done, _ = wait({**self._proposing, **self._running}, timeout=TICK, return_when=FIRST_COMPLETED)
        self.waited += empty * (time.monotonic() - begin)
        if not self._proposing and not self._running:
            time.sleep(TICK / 10)
        for future in sorted(done, key=[*self._proposing, *self._running].index):  # in the order in which they began
            if future in self._proposing:
                self._proposed(self._proposing.pop(future), future.result())
            else:
                self._ran(*self._running.pop(future), future.result())

    def _proposed(self, mating: Mating, proposal: proposals.Made) -> None:
        self._latency.append(proposal.cost.seconds)
        if isinstance(proposal, Proposal) and (case := self._audits.carried(proposal.genome, mating)):
            proposal = Rejected(self._audits.reason(case), proposal.cost, "known")
        if isinstance(proposal, Proposal):
            self._remember(proposal.genome)
        body = {"ask": mating.index, "proposal": records.proposal_record(proposal)}
        self._record("proposal", f"ask/{mating.index}/proposal", body)
        self._follow(mating, proposal)

    def _follow(self, mating: Mating, proposal: proposals.Made) -> None:
        """Tell a refusal or a duplicate at once; evaluate everything else."""
        child = proposals.child_of(mating, proposal)
        if isinstance(proposal, Rejected):
            self._tell(child, Result("rejected", {}, proposal.reason))
            return
        twin = self.history.first_like(proposal, self._plan.seen)
        if twin not in (None, str(mating.index)) and proposal.edits:
            self._tell(child, Result("duplicate", proposal.anchor, f"same structure as {twin}"))
            return
        owner, seeds = f"ask/{mating.index}", self._fresh_seeds(mating.index)
        anchor = first_parameters(proposal.genome.knobs, proposal.anchor)
        tuner = self._tuner(owner, mating, proposal, anchor)
        self._start(owner, evaluation_of(self._plan, self.history, mating, proposal.genome, anchor, tuner, seeds))

    def _tuner(self, owner: str, mating: Mating, proposal: Proposal, anchor: Params) -> Tuner:
        """A study of this structure is continued."""
        parent = mating.parents[0]
        if parent.verdict == "failed":
            parent = self.history.measured_ancestor(parent) or parent
        if owner not in self.history.rungs_of:
            rungs = list(self.history.search.rungs(mating, self.history.rungs))
            self._record("start", f"{owner}/start", {"owner": owner, "rungs": rungs})
        same, low = parent.genome.key == proposal.genome.key, self.history.rungs_of[owner][0]
        known = self.history.study_of_lineage(parent, low) if same else Study(())
        return self._new_tuner(anchor, known, mating.seed)

    def _fresh_seeds(self, whose: int | str) -> list[int]:
        rng = Random(f"{self.history.header['settings']['seed']}:{whose}:fresh")
        return [rng.getrandbits(31) for _ in range(FRONT_SEEDS)]

    def _start(self, owner: str, evaluation: Evaluation) -> None:
        self._tasks[owner] = Task(owner, evaluation)
        self._advance(self._tasks[owner], None)

    def _advance(self, task: Task, answer: list[Outcome] | bool | None) -> None:
        """Send `answer` to the evaluation, and go on until it waits for a trial or has ended."""
        while True:
            if found := self._audits.end_of(task.owner):
                del self._tasks[task.owner]
                self._finish(task, found)
                return
            try:
                request = task.evaluation.send(answer)  # type: ignore[arg-type]
            except StopIteration as end:
                del self._tasks[task.owner]
                self._finish(task, end.value)
                return
            if isinstance(request, Ask):
                answer = self._answer(task.owner, request)
                continue
            task.batch = tuple(range(task.asked, task.asked + len(request.trials)))
            task.asked += len(request.trials)
            for n, trial in zip(task.batch, request.trials, strict=True):
                if (task.owner, n) not in self.history.outcomes:
                    self._submit(task.owner, n, trial)
                elif not same_training(self.history.trials[task.owner, n], trial):
                    raise StoreError(f"{task.owner} was begun by a version that trains other things: {ANEW}")
            if not self._complete(task):
                return
            answer = [self.history.outcomes[task.owner, n] for n in task.batch]

    def _enforce(self) -> None:
        """Put into quarantine who has to go by what is proven, and audit who may have handed it down."""
        for case in self._audits.rulings():
            self._record("quarantine", f"quarantine/{self.history.rulings}", case_record(case))
        for suspect in self._audits.suspects():
            owner = f"{OWNER}/{suspect.id}"
            if owner not in self._tasks:
                self._start(owner, audit(self._plan, suspect.genome, suspect.params, self._fresh_seeds(owner)[0]))

    def _complete(self, task: Task) -> bool:
        return all((task.owner, n) in self.history.outcomes for n in task.batch)

    def _answer(self, owner: str, ask: Ask) -> bool:
        if (owner, ask.name) not in self.history.answers:
            body = {"owner": owner, "name": ask.name, "loss": ask.loss, "answer": answer(self.history, ask)}
            self._record("answer", f"{owner}/answer/{ask.name}", body)
        return self.history.answers[owner, ask.name]

    def _submit(self, owner: str, n: int, trial: Trial) -> None:
        attempt = self.history.attempts[owner, n]
        body = {"owner": owner, "n": n, "trial": records.trial_record(trial)}
        self._record("trial", f"{owner}/trial/{n}/{attempt}", body)
        self._running[self.executor.submit(trial)] = (owner, n)

    def _ran(self, owner: str, n: int, outcome: Outcome) -> None:
        final = self._write_outcome(owner, n, outcome)
        without_seed = owner == SEED and self.history.spoiled[owner, n] >= ATTEMPTS
        if without_seed or self.history.spoiled_in_row >= TROUBLE or not self.executor.slots:
            self.trouble = outcome.reason
        elif not final:
            self._submit(owner, n, self.history.trials[owner, n])
        if not final:
            return
        task = self._tasks[owner]
        if self._complete(task):
            self._advance(task, [self.history.outcomes[owner, i] for i in task.batch])
        self._control()

    def _write_outcome(self, owner: str, n: int, outcome: Outcome) -> bool:
        """Record an outcome; False if it does not count because the machine, not the program, spoiled it.

        A child has `ATTEMPTS`; the seed is never given up for that, as it would be the end of the run for good.
        """
        place = (owner, n)
        outcome = admitted(outcome, self.history.trials[place], self._plan.objectives)
        attempt = self.history.attempts[place]
        given_up = owner != SEED and self.executor.slots > 0 and self.history.spoiled[place] + 1 >= ATTEMPTS
        final = outcome.status != "infrastructure" or given_up
        body = {"owner": owner, "n": n, "final": final, "outcome": records.outcome_record(outcome)}
        self._record("outcome", f"{owner}/trial/{n}/{attempt - 1}/outcome", body)
        return final

    def _control(self) -> None:
        """Run the seed again from time to time: does the machine still measure what it measured?"""
        seed, count = self.history.seed, len(self.history.outcomes) // CONTROL_EVERY
        owner = f"control/{count}"
        due = self._plan.controls and count and self.history.attempts[owner, 0] == 0
        if seed and due and owner not in self._tasks:
            self._start(owner, control(self._plan, seed.genome, seed.params))

    def _finish(self, task: Task, result: Result) -> None:
        kind, _, number = task.owner.partition("/")
        if kind == OWNER:
            self._enforce()
        if kind != "ask":
            return
        index = int(number)
        if index == 0:
            seed = Candidate("0", 0, self.history.trials[task.owner, 0].genome, {}, (), "seed", "ok")
            self._tell(seed, result, task.asked)
            return
        proposal = self.history.proposals[index]
        assert isinstance(proposal, Proposal)
        self._tell(proposals.child_of(self.history.matings[index], proposal), result, task.asked)

    def _tell(self, candidate: Candidate, result: Result, trials: int = 0) -> None:
        """Record first, then tell."""
        told = replace(
            candidate,
            **{f.name: getattr(result, f.name) for f in fields(Result)},
            seconds=self.history.seconds[f"ask/{candidate.index}"],
            trials=trials,
        )
        told = replace(told, effect=self.history.effect_of(told))
        self._record("tell", f"ask/{candidate.index}/tell", records.candidate_record(told))
        if told.violation and told.index:
            self._enforce()

    def _drain(self) -> None:
        """Let the trials that are running finish, and write them; those that have not begun are taken back."""
        for future in [f for f in self._running if f.cancel()]:
            owner, n = self._running.pop(future)
            attempt = self.history.attempts[owner, n]
            self._record("withdrawn", f"{owner}/trial/{n}/{attempt - 1}/withdrawn", {"owner": owner, "n": n})
        while self._running:
            done, _ = wait(list(self._running), timeout=TICK, return_when=FIRST_COMPLETED)
            for future in done:
                self._write_outcome(*self._running.pop(future), future.result())
            self._watch(self)

    def _remember(self, genome: Genome) -> None:
        if genome.id not in self.history.genomes:
            self._record("genome", f"genome/{genome.id}", records.genome_record(genome))
