"""What the log says so far: every view that the engine needs, updated event by event.

The live run and a replay go through the same `apply`, so after a crash the views are what they were. Nothing here
writes, and nothing here decides anything but what follows from the log.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from typing import Any

from evolve import records
from evolve.calls import Calls
from evolve.evaluation import of_front
from evolve.gains import Point, progress
from evolve.incoming import PERSON, Incoming
from evolve.isolation import rank, weakness
from evolve.model import (
    Candidate,
    Estimate,
    Fitness,
    Genome,
    Knob,
    Mating,
    Outcome,
    Params,
    Proposal,
    Rejected,
    Trial,
)
from evolve.proposals import Seen, identities
from evolve.quarantine import Case, case_from, marks
from evolve.search import ParetoSearch
from evolve.selection import hypervolume, would_enter
from evolve.store import FILE, Event, StoreError
from evolve.studies import Studied

SEED = "ask/0"  # the owner of the seed's trials
HALVED = 16  # candidates at a rung that a new one is compared with
PROMOTED = 2  # one in so many of them goes on
LUCKY = 8  # every so many-th candidate at a rung goes on regardless, for slow starters
AHEAD = 1.0  # standard errors of a difference by which a child has to be better than who is on the front
ENOUGH_PAIRS = 30  # candidates at both rungs before the low rung is judged; after as many more it is again
LEAST_CORRELATION = 0.6  # Spearman's, between the low rung and the full budget
RECENT_STUDIES = 64  # that importance is taken from

Place = tuple[str, int]  # an owner of trials and the number of the trial


class History(Studied):
    """A fold over the events of one run."""

    def __init__(self, search: ParetoSearch) -> None:
        super().__init__(search)
        self.began: dict[str, Any] = {}  # what the judge of the first process said of itself, with its options
        self.harness: dict[str, Any] = {}  # and that of the latest
        self._weakest: dict[str, Any] = {}  # and that of the process that isolated least
        self.genomes: dict[str, Genome] = {}
        self.matings: dict[int, Mating] = {}
        self.proposals: dict[int, Proposal | Rejected] = {}
        self.trials: dict[Place, Trial] = {}
        self.running: dict[Place, None] = {}  # submitted and not ended, in that order
        self.submitted: Place = ("", 0)  # the trial that was written last, which is submitted next
        self.attempts: Counter[Place] = Counter()
        self.spoiled: Counter[Place] = Counter()
        self.spoiled_in_row = 0
        self.outcomes: dict[Place, Outcome] = {}
        self.answers: dict[tuple[str, str], bool] = {}
        self.recent: deque[tuple[tuple[Knob, ...], str]] = deque(maxlen=RECENT_STUDIES)
        self.first_of: dict[str, str] = {}
        self.statuses: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.raised = False
        self.at_both_ends = 0
        self.finished = 0
        self.refusals = 0
        self.last_refusal = ""
        self.broken: dict[str, Candidate] = {}  # crashed at once, and nobody was asked to mend them
        self.calls = Calls()
        self.incoming = Incoming()
        self.ended: dict[str, str] = {}  # operators that this process asks no longer, and why
        self.halted = ""  # why this process cannot go on
        self.last_gain = 0
        self.charged = 0.0
        self.worked = 0.0  # seconds of the slots in which programs were trained
        self.waited = 0.0  # seconds of slots that stood empty while children were being made
        self._speed = 1.0
        self.controls: list[Outcome] = []
        self.progress: list[Point] = []
        self.cases: dict[str, Case] = {}  # proven violations, by the candidate that each began with
        self.rulings = 0
        self._confirmed: dict[str, float] = {}  # charged seconds by then
        self.sessions: list[tuple[float, float, int]] = []  # start and last event of each process, and its slots
        self.stopped = ""

    @property
    def open_asks(self) -> int:
        """Children asked for that were not told yet; the seed is nobody's child."""
        return len(self.matings) + 1 - len(self.candidates)

    @property
    def measured(self) -> bool:
        """Whether the seed program has a result, without which nobody can be compared."""
        return self.seed is not None and self.seed.verdict == "ok"

    @property
    def front(self) -> list[Candidate]:
        return self.search.front

    @property
    def confirming(self) -> list[str]:
        """The asks whose children, with the seeds trained so far, would enter the front."""
        passed = [ask for (ask, name), yes in self.answers.items() if yes and of_front(name)]
        return [ask for ask in passed if ask.removeprefix("ask/") not in self.candidates]

    @property
    def weakness(self) -> str:
        """That some process isolated less than the first one, or not at all; "" if none did."""
        return weakness(self.began, self._weakest)

    @property
    def wall(self) -> float:
        """Seconds of wall-clock time that processes spent on the run."""
        return sum(end - start for start, end, _ in self.sessions)

    @property
    def busy(self) -> float:
        """Share of the slots' time in which programs were trained: a charged second is shorter on a fast core."""
        room = sum(slots * (end - start) for start, end, slots in self.sessions)
        return self.worked / room if room > 0 else 0.0

    def replay(self, events: Iterable[Event]) -> None:
        """Apply what is on disk. Raises `StoreError` for an event that cannot follow those before it."""
        for event in events:
            try:
                self.apply(event)
            except (LookupError, AttributeError, TypeError, ValueError, AssertionError) as error:
                raise StoreError(
                    f"event {event.seq} ({event.kind}) of the run makes no sense ({type(error).__name__}: {error}): "
                    f"{FILE} is damaged, or of another version. Restore it from a copy, or choose another --run-dir."
                ) from error

    def apply(self, event: Event) -> None:
        getattr(self, f"_on_{event.kind}")(event)
        if self.sessions:
            start, _, slots = self.sessions[-1]
            self.sessions[-1] = (start, event.at, slots)

    def goes_on(self, rung: str, loss: float) -> bool:
        """Successive halving over the run: in the better half of the last seen at the rung; every eighth regardless.

        Of the last and not of all: children of a population that improves would nearly all be among the best of all.
        """
        seen = self.seen_losses[rung]
        recent = seen[-HALVED:]
        return sum(other < loss for other in recent) * PROMOTED <= len(recent) or (len(seen) + 1) % LUCKY == 0

    def would_enter(self, fitness: Fitness) -> bool:
        """Whether it is ahead of each confirmed member of the front in something, by a standard error.

        A change without an effect is mostly ahead in one of two objectives, and to confirm it costs as much as the next
        child.
        """
        return would_enter(fitness, self.front, self.search.objectives, AHEAD)

    def is_best(self, loss: float) -> bool:
        """Whether no confirmed loss is as low."""
        return self.best_loss is None or loss < self.best_loss.mean

    def first_like(self, proposal: Proposal, seen: Seen) -> str | None:
        """The first child that has this much in common with a proposed one."""
        return self.first_of.get(identities(proposal.genome, proposal.anchor).get(seen, ""))

    def _on_run(self, event: Event) -> None:
        self.header = event.body

    def _on_session(self, event: Event) -> None:
        """A process begins. What an earlier one had under way is lost, and charged in full for want of knowing.

        That are as many as it had slots, those that were submitted first; the others had not begun. Trials in a spool
        outlive the process: they are asked for again, and charged when they are done.
        """
        slots = self.sessions[-1][2] if self.sessions and not self.harness.get("outlived") else 0
        for owner, n in list(self.running)[:slots]:
            self._charge(owner, self.trials[owner, n].budget)
            self.statuses["lost"] += 1
        self.running.clear()
        self.spoiled.clear()
        self.spoiled_in_row = 0
        self.refusals = 0
        self.ended.clear()
        self.halted = ""
        self.stopped = ""
        self.search.arms.reopen()
        self.sessions.append((event.at, event.at, int(event.body.get("slots", 1))))
        self.harness = event.body
        self.began = self.began or event.body
        self._weakest = min(self._weakest or event.body, event.body, key=rank)

    def _on_genome(self, event: Event) -> None:
        genome = records.genome_from(event.body)
        self.genomes[genome.id] = genome

    def _on_ask(self, event: Event) -> None:
        mating = records.mating_from(event.body, self.candidates)
        self.matings[mating.index] = mating
        self.search.asked(mating)
        if mating.operator == PERSON:
            self.incoming.on_ask(mating.index)
        self.broken.pop(mating.parents[0].id, None)

    def _on_brought(self, event: Event) -> None:
        self.incoming.on_brought(event.body)

    def _on_learned(self, event: Event) -> None:
        self.incoming.on_learned(event.body)

    def _on_proposal(self, event: Event) -> None:
        proposal = records.proposal_from(event.body["proposal"], self.genomes)
        self.proposals[event.body["ask"]] = proposal
        if isinstance(proposal, Proposal):
            self._note_identities(proposal.genome, proposal.anchor, str(event.body["ask"]))
        elif proposal.ends:
            self._end(self.matings[event.body["ask"]].operator, proposal)

    def _note_identities(self, genome: Genome, anchor: Params, candidate: str) -> None:
        """Who was the first with this structure, and with these numbers too."""
        for name in identities(genome, anchor).values():
            self.first_of.setdefault(name, candidate)

    def _end(self, operator: str, refusal: Rejected) -> None:
        """An operator has no further children, or nobody has.

        Nobody has when only numbers could still be changed: a run would go on for hours and look well.
        """
        arms = self.search.arms
        self.ended.setdefault(operator, refusal.reason)
        if operator in arms:
            arms.close(operator)
        if refusal.ends == "run" or not arms.open(1, structural=True):
            self.halted = refusal.reason

    def _on_question(self, event: Event) -> None:
        self.calls.on_question(event.body)

    def _on_reply(self, event: Event) -> None:
        self.calls.on_reply(event.body)

    def _on_trial(self, event: Event) -> None:
        place = (event.body["owner"], event.body["n"])
        self.submitted = place
        self.trials[place] = records.trial_from(event.body["trial"], self.genomes)
        self.running[place] = None
        self.attempts[place] += 1

    def _on_outcome(self, event: Event) -> None:
        place = (event.body["owner"], event.body["n"])
        outcome = records.outcome_from(event.body["outcome"])
        trial = self.trials[place]
        self.running.pop(place, None)
        self.statuses[outcome.status] += 1
        self.spoiled_in_row = self.spoiled_in_row + 1 if outcome.status == "infrastructure" else 0
        self._charge(place[0], outcome.seconds)
        self._speed = outcome.metrics.get("core_speed", self._speed)
        self.worked += outcome.seconds / self._speed
        if not event.body["final"]:
            self.spoiled[place] += 1
            return
        self.outcomes[place] = outcome
        if trial.purpose == "control":
            self.controls.append(outcome)
        self._study(place[0], trial, outcome)

    def _on_withdrawn(self, event: Event) -> None:
        self.running.pop((event.body["owner"], event.body["n"]), None)

    def _on_start(self, event: Event) -> None:
        self.rungs_of[event.body["owner"]] = tuple(event.body["rungs"])

    def _on_answer(self, event: Event) -> None:
        body = event.body
        self.answers[body["owner"], body["name"]] = body["answer"]
        if not of_front(body["name"]):
            self.seen_losses[body["name"]].append(body["loss"])
            self.deciding[body["owner"], body["name"]] = body["loss"]

    def _on_tell(self, event: Event) -> None:
        candidate = records.candidate_from(event.body, self.genomes)
        self.search.tell(candidate)
        self.refusals = 0 if candidate.rung > 0 or candidate.index == 0 else self.refusals + 1
        if candidate.verdict in ("rejected", "duplicate"):
            self.last_refusal = candidate.reason
            return
        self.recent.append((candidate.genome.knobs, f"ask/{candidate.index}"))
        if candidate.index == 0:
            self._note_identities(candidate.genome, candidate.params, candidate.id)
            self.seen_losses[f"{self.all_rungs[0]:g}"] += [loss for _, loss in self.studies[SEED] if loss is not None]
        elif candidate.rung > 0:
            self._count(candidate)
        if candidate.index and candidate.verdict == "failed":
            self._note_failure(candidate)
        if candidate.confirmed:
            self._confirmed[candidate.id] = self.charged
        if any(member is candidate for member in self.front):
            self.last_gain = self.finished
            self._note_progress()

    def _on_quarantine(self, event: Event) -> None:
        """Who is out of the search, now that a violation is proven; what had been gained by it was not gained."""
        case = case_from(event.body)
        self.cases[case.origin] = case
        self.rulings += 1
        self.search.quarantine(marks(self.cases.values()))
        self.broken = {name: self.candidates[name] for name in self.broken if not self.candidates[name].quarantined}
        self.last_gain = self.finished  # a search that was led astray has its patience anew
        told = [(self.candidates[name], charged) for name, charged in self._confirmed.items()]
        self.progress = progress(told, self.search.objectives)

    def _count(self, candidate: Candidate) -> None:
        """A child was measured. Enough of them at both ends may show that the lowest rung misleads."""
        self.finished += 1
        if candidate.rung == 1.0 and f"{self.all_rungs[0]:g}" in self.rung_losses(candidate):
            self.at_both_ends += 1
            if self.at_both_ends % ENOUGH_PAIRS == 0:
                self.raised = self.raised or self._low_rung_misleads()

    def _note_failure(self, candidate: Candidate) -> None:
        """A child that crashed at once may be mended; one that the machine spoiled taught nothing of its structure."""
        if candidate.reason.startswith("infrastructure"):
            self.first_of = {name: first for name, first in self.first_of.items() if first != candidate.id}
        elif not candidate.rung and not candidate.violation and not candidate.quarantined:
            self.broken[candidate.id] = candidate

    def _note_progress(self) -> None:
        """The front has a new member."""
        best = self.best_loss
        assert best is not None
        self.progress.append((self.charged, best.mean, self.hypervolume()))

    def _on_stop(self, event: Event) -> None:
        self.stopped = event.body["reason"]
        self.waited += event.body["waited"]

    def _charge(self, owner: str, seconds: float) -> None:
        self.charged += seconds
        self.seconds[owner] += seconds

    @property
    def best_loss(self) -> Estimate | None:
        """The lowest confirmed loss."""
        best = self.front[0].fitness if self.front else None
        return best.values[self.loss] if best else None

    @property
    def rungs(self) -> tuple[float, ...]:
        """The rungs of the next candidate: without the lowest, once that says too little of the full budget."""
        return self.all_rungs[1:] if self.raised else self.all_rungs

    def _low_rung_misleads(self) -> bool:
        """Whether the low rung's losses order the candidates of the run too unlike the full budget's.

        Not asked where no rung lies between: numbers are chosen at the low one, and there is no other for that.
        """
        found = self.rung_correlation(f"{self.all_rungs[0]:g}", "1") if len(self.all_rungs) > 2 else None
        return found is not None and found.n >= ENOUGH_PAIRS and found.rho < LEAST_CORRELATION

    def hypervolume(self) -> float:
        """Of the front, in bits per byte times natural log of seconds, with the seed as reference point."""
        seed = self.seed
        return hypervolume(self.front, self.search.objectives, seed.fitness) if seed and seed.fitness else 0.0
