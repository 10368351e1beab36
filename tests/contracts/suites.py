"""What every implementation of a protocol has to keep, as classes of tests.

To hold a new implementation to its contract, write a class that inherits from a suite and supplies its fixture:

    class TestMySearch(SearchContract):
        @pytest.fixture
        def make(self): return lambda: MySearch(...)
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from evolve import records
from evolve.model import Briefing, Candidate, Genome, Knob, Mating, Outcome, Params, Proposal, Rejected, Trial
from evolve.protocols import Executor, Operator, Search, Tuner
from tests.evolve.individuals import individual

BRIEFING = Briefing()
STATUSES = {"ok", "rejected", "crashed", "timeout", "oom", "invalid", "infrastructure"}


def history_of(count: int) -> list[Candidate]:
    """A seed and descendants of every verdict, one of them infeasible."""
    rng = random.Random(count)
    told = [individual(0, 5.0, 5.0)]
    for i in range(1, count):
        parents = tuple(rng.sample(range(i), min(i, rng.choice((1, 1, 2)))))
        verdict = rng.choice(("ok", "ok", "ok", "pruned", "failed", "duplicate", "rejected"))
        means, violation = ([5.2], 0.2) if i % 9 == 0 else ([rng.uniform(1, 5), rng.uniform(1, 5)], 0.0)
        told.append(individual(i, *means, violation=violation, parents=parents, verdict=verdict))
    return told


class SearchContract:
    """Supply `make`: a function that returns a new search over `loss` and `seconds_to_target`, always the same."""

    @pytest.fixture
    def make(self) -> Callable[[], Search]:
        raise pytest.UsageError("a contract needs its fixture")

    @pytest.fixture
    def told(self) -> list[Candidate]:
        return history_of(40)

    @pytest.fixture
    def search(self, make: Callable[[], Search], told: list[Candidate]) -> Search:
        return _told(make(), told)

    def test_parents_were_told_and_are_fit_to_be_parents(self, search: Search, told: list[Candidate]) -> None:
        known = {c.id: c for c in told}
        for index in range(40, 80):
            mating = search.ask(index)
            assert mating.index == index and len(mating.parents) in (1, 2)
            assert all(p == known[p.id] and p.verdict == "ok" for p in mating.parents)
            assert len({p.id for p in mating.parents}) == len(mating.parents)
            assert mating.base is None or mating.base == known[mating.base.id]

    def test_an_ask_depends_on_its_index_and_on_what_was_told_only(
        self, make: Callable[[], Search], told: list[Candidate], search: Search
    ) -> None:
        forwards = [search.ask(i) for i in range(40, 60)]
        random.seed(1)
        again = _told(make(), told)
        assert [again.ask(i) for i in reversed(range(40, 60))] == forwards[::-1]
        assert [search.ask(i) for i in range(40, 60)] == forwards

    def test_asks_before_and_between_tells_leave_no_trace(
        self, make: Callable[[], Search], told: list[Candidate], search: Search
    ) -> None:
        other = make()
        for candidate in told:
            other.tell(candidate)
            other.ask(candidate.index + 1)
        assert [other.ask(i) for i in range(40, 60)] == [search.ask(i) for i in range(40, 60)]

    def test_the_seeds_of_the_asks_differ(self, search: Search) -> None:
        assert len({search.ask(i).seed for i in range(40, 140)}) == 100

    def test_a_seed_alone_can_have_children(self, make: Callable[[], Search]) -> None:
        search = _told(make(), history_of(1))
        assert {p.id for i in range(1, 20) for p in search.ask(i).parents} == {"0"}


def _told(search: Search, candidates: Sequence[Candidate]) -> Search:
    for candidate in candidates:
        search.tell(candidate)
    return search


class OperatorContract:
    """Supply `operator` and `parents`: at least three measured candidates, the first a common ancestor of the others.

    Both are class methods with the scope "class": a proposal may take long, so all tests look at the same few.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def operator(cls) -> Operator:
        raise pytest.UsageError("a contract needs its fixture")

    @pytest.fixture(scope="class")
    @classmethod
    def parents(cls) -> list[Candidate]:
        raise pytest.UsageError("a contract needs its fixture")

    @pytest.fixture(scope="class")
    @classmethod
    def matings(cls, operator: Operator, parents: list[Candidate]) -> list[Mating]:
        base = parents[0] if operator.arity == 2 else None
        some = tuple(parents[1 : 1 + operator.arity])
        return [Mating(10 + seed, operator.name, some, base, seed, ()) for seed in range(3)]

    @pytest.fixture(scope="class")
    @classmethod
    def before(cls, matings: list[Mating]) -> list[records.Record]:
        return [records.candidate_record(p) for p in matings[0].parents]

    @pytest.fixture(scope="class")
    @classmethod
    def proposals(
        cls, operator: Operator, matings: list[Mating], before: list[records.Record]
    ) -> list[Proposal | Rejected]:
        return [operator.propose(m, BRIEFING) for m in matings]

    def test_it_has_a_name_and_an_arity(self, operator: Operator) -> None:
        assert operator.name and operator.arity in (1, 2) and isinstance(operator.mended_by, str)

    def test_who_says_that_it_changes_no_structure_does_not(
        self, operator: Operator, matings: list[Mating], proposals: list[Proposal | Rejected]
    ) -> None:
        """`structural` may be left out, and is True then; a run ends when only operators without it are left."""
        structural = getattr(operator, "structural", True)
        assert isinstance(structural, bool)
        known = {p.genome.key for p in matings[0].parents}
        assert structural or all(p.genome.key in known for p in proposals if isinstance(p, Proposal))

    def test_it_is_a_function_of_the_mating(
        self, operator: Operator, matings: list[Mating], proposals: list[Proposal | Rejected]
    ) -> None:
        """The same on several threads, in another order and after others: no state between calls."""
        with ThreadPoolExecutor(len(matings)) as threads:
            again = list(threads.map(lambda m: operator.propose(m, BRIEFING), reversed(matings)))
        assert [_without_time(p) for p in again] == [_without_time(p) for p in reversed(proposals)]

    def test_a_child_can_be_recorded_and_read_again(self, proposals: list[Proposal | Rejected]) -> None:
        for proposal in proposals:
            known = {proposal.genome.id: proposal.genome} if isinstance(proposal, Proposal) else {}
            text = json.dumps(records.proposal_record(proposal), allow_nan=False)
            assert records.proposal_from(json.loads(text), known) == proposal

    def test_a_child_comes_with_numbers_for_its_knobs(self, proposals: list[Proposal | Rejected]) -> None:
        made = [p for p in proposals if isinstance(p, Proposal)]
        assert made, "not one child in three: give the contract better parents"
        for proposal in made:
            knobs = {k.address: k for k in proposal.genome.knobs}
            assert proposal.anchor.keys() == knobs.keys()
            for address, value in proposal.anchor.items():
                assert knobs[address].low <= value <= knobs[address].high
                assert not knobs[address].values or value in knobs[address].values

    def test_a_child_with_edits_is_another_program(
        self, matings: list[Mating], proposals: list[Proposal | Rejected]
    ) -> None:
        for proposal in proposals:
            if isinstance(proposal, Proposal) and proposal.edits:
                assert proposal.hypothesis
                assert proposal.genome.key not in {p.genome.key for p in matings[0].parents}

    def test_parents_are_left_as_they_are(
        self, matings: list[Mating], before: list[records.Record], proposals: list[Proposal | Rejected]
    ) -> None:
        assert proposals and [records.candidate_record(p) for p in matings[0].parents] == before

    def test_a_refusal_has_a_reason(self, operator: Operator, matings: list[Mating]) -> None:
        """A program without anything to work on is refused, or changed, but is no exception."""
        empty = [replace(p, genome=Genome("", "nothing"), params={}) for p in matings[0].parents]
        proposal = operator.propose(replace(matings[0], parents=tuple(empty)), BRIEFING)
        assert isinstance(proposal, Proposal) or proposal.reason


def _without_time(proposal: Proposal | Rejected) -> Proposal | Rejected:
    return replace(proposal, cost=replace(proposal.cost, seconds=0.0))


class TunerContract:
    """Supply `make(knobs, seed)`: a new tuner of these knobs that starts at their defaults."""

    KNOBS = (
        Knob("lr", "float", 1e-4, 1e-1, True, 1e-3),
        Knob("decay", "float", 0.0, 0.3, False, 0.0),
        Knob("heads", "choice", 1, 8, False, 4, (1, 2, 4, 8)),
        Knob("layers", "int", 1, 12, False, 6),
        Knob("steps", "int", 10, 10_000, True, 100),
        Knob("fixed", "int", 5, 5, False, 5),
    )

    @pytest.fixture
    def make(self) -> Callable[[Sequence[Knob], int], Tuner]:
        raise pytest.UsageError("a contract needs its fixture")

    def study(self, tuner: Tuner, losses: Callable[[int], float | None], count: int = 9) -> list[Params]:
        asked = []
        for i in range(count):
            asked.append(tuner.ask(self.KNOBS))
            tuner.tell(asked[-1], losses(i))
        return asked

    @pytest.mark.parametrize(
        "losses", [lambda i: 3.0 - i / 10, lambda i: 1.0, lambda i: None, lambda i: None if i % 2 else 1e9]
    )
    def test_every_number_is_allowed(
        self, make: Callable[[Sequence[Knob], int], Tuner], losses: Callable[[int], float | None]
    ) -> None:
        for params in self.study(make(self.KNOBS, 0), losses):
            assert list(params) == [k.address for k in self.KNOBS]
            for knob in self.KNOBS:
                value = params[knob.address]
                assert knob.low <= value <= knob.high and math.isfinite(value)
                assert not knob.values or value in knob.values
                assert knob.kind == "float" or isinstance(value, int)

    def test_the_first_numbers_are_those_it_starts_from(self, make: Callable[[Sequence[Knob], int], Tuner]) -> None:
        assert make(self.KNOBS, 0).ask(self.KNOBS) == {k.address: k.default for k in self.KNOBS}

    def test_a_study_can_be_repeated(self, make: Callable[[Sequence[Knob], int], Tuner]) -> None:
        first = self.study(make(self.KNOBS, 3), lambda i: float(i % 4))
        random.seed(7)
        assert self.study(make(self.KNOBS, 3), lambda i: float(i % 4)) == first

    def test_it_does_not_repeat_itself(self, make: Callable[[Sequence[Knob], int], Tuner]) -> None:
        asked = self.study(make(self.KNOBS, 0), lambda i: 3.0 - i / 10)
        assert len({tuple(params.values()) for params in asked}) == len(asked)

    def test_a_program_without_knobs(self, make: Callable[[Sequence[Knob], int], Tuner]) -> None:
        tuner = make((), 0)
        for _ in range(9):
            assert tuner.ask(()) == {}
            tuner.tell({}, 1.0)


class ExecutorContract:
    """Supply `executor` with two slots, whose trials do what the seed of a trial says, after `params["sleep"]` seconds.

    Seed 0: ok with the metric loss = params["lr"]; 1: crashed with "ValueError in line 1". `budget` is charged.
    """

    @pytest.fixture
    def executor(self) -> Executor:
        raise pytest.UsageError("a contract needs its fixture")

    @staticmethod
    def trial(lr: float = 1.0, seed: int = 0, sleep: float = 0.0) -> Trial:
        params = {"lr": lr, "sleep": sleep}
        return Trial(Genome("program ü 模型", "s"), params, 2.0, 0.25, "toy", seed, "tune")

    def test_an_outcome_belongs_to_its_trial(self, executor: Executor) -> None:
        futures = [executor.submit(self.trial(lr=i / 8)) for i in range(12)]
        outcomes = [f.result(30) for f in futures]
        assert [o.metrics["loss"] for o in outcomes] == [i / 8 for i in range(12)]
        assert all(o.status == "ok" and o.seconds == 2.0 for o in outcomes)

    def test_what_a_program_does_is_a_status_and_not_an_exception(self, executor: Executor) -> None:
        outcome = executor.submit(self.trial(seed=1)).result(30)
        assert (outcome.status, outcome.metrics) == ("crashed", {})
        assert outcome.reason == "ValueError in line 1" and outcome.status in STATUSES
        assert executor.submit(self.trial()).result(30).status == "ok"

    def test_submitting_returns_at_once_and_slots_run_side_by_side(self, executor: Executor) -> None:
        assert executor.slots == 2
        long = executor.submit(self.trial(sleep=0.8))
        short = executor.submit(self.trial())
        assert short.result(30).status == "ok" and not long.done()
        assert long.result(30).status == "ok"

    def test_what_waits_can_be_taken_back(self, executor: Executor) -> None:
        running = [executor.submit(self.trial(sleep=0.2)) for _ in range(2)]
        waiting = executor.submit(self.trial())
        executor.cancel(waiting)
        assert waiting.cancelled()
        assert all(f.result(30).status == "ok" for f in running)

    def test_after_closing_nothing_is_left_undecided(self, executor: Executor) -> None:
        futures: list[Future[Outcome]] = [executor.submit(self.trial(sleep=0.2)) for _ in range(6)]
        executor.close()
        assert all(f.done() for f in futures)
        assert all(f.cancelled() or f.result().status in STATUSES for f in futures)
        executor.close()  # twice is once
