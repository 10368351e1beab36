"""The memory estimate: nobody who fits is refused, most who are hopeless are, and only what was measured counts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from evolve import records
from evolve.executors.inline import InlineExecutor
from evolve.executors.sparing import Estimates, SparingExecutor
from evolve.log import Log
from evolve.memory import Law, Program, Range, hopeless, refused, told
from evolve.model import Genome, Knob, Mating, Number, Outcome, Proposal, Purpose, Trial
from evolve.store import Store
from tests.contracts.suites import ExecutorContract
from tests.contracts.test_executors import scripted
from tests.evolve import toy
from tests.evolve.individuals import individual
from tests.evolve.runs import replayed
from tests.evolve.spooled import Bench

LIMIT = 80_000.0


def choice(address: str, *values: int) -> Knob:
    return Knob(address, "choice", values[0], values[-1], False, values[len(values) // 2], values)


KNOBS = (
    choice("DIM", 256, 384, 512, 640, 768, 1024, 1536, 2048),
    Knob("DEPTH", "int", 2, 24, True, 8),
    choice("BATCH_SIZE", 8, 16, 32, 64, 128, 256, 512),
    choice("HEADS", 1, 2, 4, 8, 16),
    Knob("MLP_RATIO", "int", 1, 8, False, 4),
    Knob("ROPE_BASE", "int", 1000, 1_000_000, True, 10_000),
    Knob("TOTAL_BATCH_SIZE", "int", 1000, 1_000_000, True, 100_000),
    Knob("LEARNING_RATE", "float", 1e-4, 1e-1, True, 1e-3),
)
START: dict[str, Number] = {k.address: k.default for k in KNOBS} | {"DIM": 512, "BATCH_SIZE": 64}
GENOME = Genome("program", "s", KNOBS)


# ------------------------------------------------------------------------------------- a law that nobody has told it


@dataclass(frozen=True)
class Structure:
    """What a transformer keeps: numbers a token, layer and width beside the MLP, share kept, numbers a logit."""

    lineage: tuple[str, ...] = ("0",)
    kept: float = 14.0
    mlp: float = 1.0
    share: float = 1.0
    logits: float = 8.0
    untied: bool = False
    scores: bool = False

    def edited(self, name: str, rng: Random) -> Structure:
        children = [
            replace(self, kept=self.kept * rng.choice((0.7, 1.4))),
            replace(self, mlp=self.mlp * rng.choice((0.7, 1.5))),
            replace(self, share=rng.choice((0.5, 1.0, 2.0))),
            replace(self, logits=rng.choice((4.0, 8.0, 12.0))),
            replace(self, untied=not self.untied),
            replace(self, scores=not self.scores),
            self,
        ]
        return replace(rng.choice(children), lineage=(name, *self.lineage))

    def peak_mb(self, size: Mapping[str, Number]) -> float:
        """A posynomial with a context, weights with their optimizer, and activations of 1,024 tokens."""
        depth, dim, batch, ratio = (size[name] for name in ("DEPTH", "DIM", "BATCH_SIZE", "MLP_RATIO"))
        weights = depth * dim**2 * (4 + 2 * ratio) + 8192 * dim * (2 if self.untied else 1)
        layer = dim * (self.kept + 2 * ratio * self.mlp) * 2 * self.share + 2048 * size["HEADS"] * self.scores
        return 600 + (16 * weights + batch * 1024 * (depth * layer + 8192 * self.logits)) / 2**20


@dataclass(frozen=True)
class Case:
    """A proposal: what it needs over the limit, whether it was refused, how far off it was in standard deviations."""

    over: float
    refused: bool
    known: bool  # its structure was measured before
    off: float


def moved(size: Mapping[str, Number], rng: Random) -> dict[str, Number]:
    found = dict(size)
    for knob in (k for k in KNOBS if rng.random() < 0.3):
        if knob.kind == "choice":
            place = knob.values.index(size[knob.address]) + rng.choice((-2, -1, 1, 1, 2))
            found[knob.address] = knob.values[max(0, min(len(knob.values) - 1, place))]
        elif knob.kind == "int":
            found[knob.address] = round(max(knob.low, min(knob.high, size[knob.address] * 2 ** rng.gauss(0, 1))))
    return found


def search(seed: int, count: int) -> Iterator[Case]:
    """A random search that keeps to large programs; the estimate is made anew now and then."""
    rng, found, law = Random(seed), {}, None
    parents = [(Structure(), START)]
    for n in range(count):
        largest = sorted(parents[-40:], key=lambda pair: -pair[0].peak_mb(pair[1]))
        structure, size = rng.choice(largest[:14])
        structure, size = structure.edited(f"{n}", rng) if rng.random() < 0.2 else structure, moved(size, rng)
        program, need = Program.of(structure.lineage, GENOME, size), structure.peak_mb(size)
        spared = False
        if law and program not in found:
            mean, deviation = law.predict(program)
            spared = hopeless(mean, deviation, LIMIT)
            known = any(p.lineage == program.lineage and r.high < math.inf for p, r in found.items())
            yield Case(need / LIMIT, spared, known, (math.log(need * 1.1) - mean) / deviation)
        if not spared:
            reserved = need * math.exp(rng.uniform(0.0, 0.2))
            if need <= LIMIT:
                peak = reserved if reserved < 0.9 * LIMIT else LIMIT * rng.uniform(0.9, 1.0)
                outcome = Outcome("ok", {"peak_device_mb": max(need, peak)}, device="gpu")
                parents.append((structure, size))
            else:
                outcome = out_of_memory(LIMIT * rng.uniform(0.3, 1.0))
            said = told(outcome, "tune", LIMIT)
            assert said
            found[program] = said
            law = Law(found) if n % 15 == 0 or len(found) < 20 else law


def out_of_memory(peak: float, reason: str = "OutOfMemoryError at line 9: CUDA out of memory.") -> Outcome:
    return Outcome("oom", {"peak_device_mb": peak}, seconds=1.0, device="gpu", reason=reason)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case for seed in range(5) for case in search(seed, 460)]


def test_nobody_who_fits_is_refused(cases: list[Case]) -> None:
    assert len(cases) > 2000 and sum(c.over <= 1 for c in cases) > 1000
    assert [c for c in cases if c.refused and c.over <= 1] == []


def test_most_who_are_hopeless_are_refused(cases: list[Case]) -> None:
    """Of structures that ran before; another one is hopeless only where it is far above."""
    double = [c.refused for c in cases if c.over > 2 and c.known]
    more = [c.refused for c in cases if c.over > math.sqrt(2) and c.known]
    assert len(double) > 50 and sum(double) > 0.75 * len(double)
    assert sum(more) > 0.5 * len(more)


def test_the_interval_holds_what_it_says(cases: list[Case]) -> None:
    """Of 95 of 100 programs, also those that were refused and those of structures that never ran."""
    for some in ([c for c in cases if c.known], [c for c in cases if not c.known]):
        assert sum(abs(c.off) < 1.96 for c in some) / len(some) > 0.9
    assert sum(abs(c.off) < 0.5 for c in cases) / len(cases) < 0.7, "and it is not wide for safety's sake"


# ------------------------------------------------------------------------------------------------------ few outcomes


def program(lineage: str = "0", **sizes: Number) -> Program:
    return Program.of(lineage.split(), GENOME, START | sizes)


def measured(peak: float) -> Range:
    said = told(Outcome("ok", {"peak_device_mb": peak}, device="gpu"), "tune", LIMIT)
    assert said
    return said


def verdict(found: Mapping[Program, Range], of: Program) -> bool:
    return hopeless(*Law(found).predict(of), LIMIT)


def test_eight_times_the_batch_of_one_measured_program() -> None:
    """In proportion it needs 6.8 times the limit, or 1.2 times: the first is clear and the second is not."""
    eight = program(BATCH_SIZE=512)
    assert verdict({program(): measured(0.85 * LIMIT)}, eight)
    assert not verdict({program(): measured(0.15 * LIMIT)}, eight)


@pytest.mark.parametrize("name", ["HEADS", "ROPE_BASE", "TOTAL_BATCH_SIZE", "DIM"])
def test_a_number_that_was_never_varied_refuses_nobody(name: str) -> None:
    found = {program(): measured(0.85 * LIMIT)}
    assert not verdict(found, program(**{name: 4 * START[name]}))


def test_what_a_number_costs_is_learnt() -> None:
    cheap = {program(HEADS=h): measured(0.8 * LIMIT) for h in (1, 2, 4, 8)}
    dear = {program(HEADS=h): measured(0.1 * LIMIT * h) for h in (1, 2, 4, 8)}
    assert not verdict(cheap, program(HEADS=64)) and verdict(dear, program(HEADS=64))


def test_rates_are_no_sizes() -> None:
    assert program() == program(LEARNING_RATE=0.1) != program(DEPTH=9)


def test_a_child_is_its_parent_until_it_is_measured() -> None:
    found = {program("0", BATCH_SIZE=b): measured(600 * b) for b in (8, 16, 32, 64)}
    child = Law(found).predict(program("1 0"))
    assert child[0] == pytest.approx(Law(found).predict(program("0"))[0])
    assert child[1] > 0.5 > Law(found).predict(program("0"))[1]
    found[program("1 0", BATCH_SIZE=16)] = measured(2 * 600 * 16)
    assert Law(found).predict(program("1 0"))[0] == pytest.approx(math.log(2 * 600 * 64), abs=0.1)
    assert Law(found).predict(program("2 1 0"))[0] == pytest.approx(math.log(2 * 600 * 64), abs=0.1)
    assert Law(found).predict(program("2 0"))[0] == pytest.approx(math.log(600 * 64), abs=0.1)


def test_peaks_at_the_limit_are_weak_evidence() -> None:
    """As the allocator fills what there is: the batch would seem to cost nothing from there on."""
    free = {program(BATCH_SIZE=b): measured(0.002 * b * LIMIT) for b in (8, 16, 32, 64, 128, 256)}
    full = free | {program(BATCH_SIZE=b): measured(0.97 * LIMIT) for b in (448, 512, 576)}
    assert verdict(free, program(BATCH_SIZE=1536)) and verdict(full, program(BATCH_SIZE=1536))
    assert not verdict(full, program(BATCH_SIZE=544))


def test_out_of_memory_is_a_bound() -> None:
    found = {program(BATCH_SIZE=b): measured(300 * b) for b in (8, 16, 32)}
    before = Law(found).predict(program("1 0"))
    contradicts = told(out_of_memory(0.9 * LIMIT), "tune", LIMIT)
    assert contradicts == Range(math.log(LIMIT), math.inf)
    after = Law(found | {program("1 0"): contradicts}).predict(program("1 0"))
    assert after[0] > before[0] + 0.5
    agrees = Law(found | {program(BATCH_SIZE=2048): contradicts}).predict(program())
    assert agrees == pytest.approx(Law(found).predict(program()))


def test_what_a_program_claims_needs_the_judges_measurement() -> None:
    """One that raises the error at 2 GB is no evidence of more than that; and the host's memory is another matter."""
    assert told(out_of_memory(2000.0), "tune", LIMIT) == Range(math.log(2000), math.inf)
    for reason in ("MemoryError at line 3: ", "memory: 9,000 MB on the host", "memory: the kernel's OOM killer"):
        assert told(out_of_memory(0.9 * LIMIT, reason), "tune", LIMIT) is None
    for reason in ("out of device memory: 90,000 MiB of H; the limit is 80,000 MiB", "OutOfMemoryError: none is left"):
        assert told(out_of_memory(LIMIT, reason), "tune", LIMIT) == Range(math.log(LIMIT), math.inf)
    smaller = Outcome("oom", {"peak_device_mb": 9000.0, "device_memory_mb": 1e4}, reason="CUDA out of memory")
    assert told(smaller, "tune", LIMIT) == Range(math.log(1e4), math.inf), "on another device than now"
    assert told(Outcome("oom", reason="estimated 90 GiB of device memory: out of memory"), "tune", LIMIT) is None
    assert told(Outcome("crashed", {"peak_device_mb": 9000.0}), "tune", LIMIT) is None
    assert told(Outcome("ok", {"peak_device_mb": 0.0}), "tune", LIMIT) is None, "nobody looked"


# ---------------------------------------------------------------------------------------------------- before a start


class TestSparingExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self) -> Iterator[SparingExecutor]:
        made = SparingExecutor(InlineExecutor(scripted, slots=2), toy.new_history())
        yield made
        made.close()


def trial(purpose: Purpose = "tune", genome: Genome = GENOME, **sizes: Number) -> Trial:
    return Trial(genome, START | sizes, 1.0, 0.25, "toy", 1, purpose)


class Written:
    """A run whose trials are written down here, with or without an outcome."""

    def __init__(self, directory: Path, memory: object = LIMIT) -> None:
        self.log = Log(Store.open(directory, durable=False), toy.new_history())
        self.estimates = Estimates(self.log.history)
        header = {"settings": {"seed": 0, "offspring": 4}, "rungs": [0.25, 0.5, 1.0]}
        self.log.record("run", "run", header)
        self.log.record("session", "session/0", {"slots": 1, "device_memory_mb": memory})
        self.log.record("genome", "genome", records.genome_record(GENOME))

    def submit(self, n: int, one: Trial, owner: str = "ask/0", attempt: int = 0) -> str:
        key = f"{owner}/trial/{n}/{attempt}"
        self.log.record("trial", key, {"owner": owner, "n": n, "trial": records.trial_record(one)})
        return self.estimates.refusal(one)

    def end(self, n: int, outcome: Outcome, owner: str = "ask/0") -> None:
        body = {"owner": owner, "n": n, "final": True, "outcome": records.outcome_record(outcome)}
        self.log.record("outcome", f"{owner}/trial/{n}/outcome", body)


def ok(peak: float) -> Outcome:
    return Outcome("ok", {"loss": 1.0, "peak_device_mb": peak}, seconds=1.0, device="gpu")


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    made = Written(tmp_path / "run")
    yield made
    made.log.close()


def test_a_refusal_says_why_and_what_it_is_compared_with(written: Written) -> None:
    assert written.submit(0, trial(BATCH_SIZE=512)) == "", "nothing is known"
    written.submit(1, trial())
    written.end(1, ok(0.85 * LIMIT))
    said = written.submit(2, trial(BATCH_SIZE=512))
    assert said.startswith("estimated ") and "of device memory, the limit is 78.1 GiB: not started" in said
    assert said.endswith("nearest measured: 66.4 GiB with BATCH_SIZE 64 instead of 512") and len(said) < 250
    assert written.submit(3, trial(BATCH_SIZE=64, LEARNING_RATE=0.1)) == ""


def test_the_law_is_kept_until_an_outcome_says_more(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted, looked = [], []

    class Counted(Law):
        def __init__(self, found: Mapping[Program, Range]) -> None:
            fitted.append(len(found))
            super().__init__(found)

    def counted(outcome: Outcome, purpose: str, limit: float) -> Range | None:
        looked.append(outcome)
        return told(outcome, purpose, limit)

    monkeypatch.setattr("evolve.executors.sparing.Law", Counted)
    monkeypatch.setattr("evolve.executors.sparing.told", counted)
    sizes = 8, 16, 32, 64
    for n, size in enumerate(sizes):
        written.submit(n, trial(BATCH_SIZE=size))
    for n, size in enumerate(sizes[:3]):
        written.end(n, ok(100.0 * size))
    for n in range(4, 8):
        assert written.submit(n, trial(BATCH_SIZE=128)) == ""
    assert (fitted, len(looked)) == ([3], 3)
    written.end(4, Outcome("crashed", reason="a name is not defined"))
    written.submit(8, trial(BATCH_SIZE=128))
    assert (fitted, len(looked)) == ([3], 4), "which says nothing of memory"
    written.end(3, ok(6400.0))
    written.submit(9, trial(BATCH_SIZE=128))
    assert (fitted, len(looked)) == ([3, 4], 5)


def test_on_a_larger_device_the_same_outcomes_say_something_else(written: Written) -> None:
    written.submit(0, trial())
    written.end(0, ok(0.95 * LIMIT))
    assert written.submit(1, trial(BATCH_SIZE=512)) == "", "the limit may have held the peak down"
    written.log.record("session", "session/1", {"slots": 1, "device_memory_mb": 1.2 * LIMIT})
    assert written.submit(2, trial(BATCH_SIZE=512)).startswith("estimated ")


def test_who_fitted_once_and_who_was_submitted_before_is_not_refused(written: Written) -> None:
    for n, b in enumerate((8, 16, 32, 64, 128)):
        written.submit(n, trial(BATCH_SIZE=b))
        written.end(n, ok(500.0 * b))
    assert written.submit(10, trial(BATCH_SIZE=512)), "by the others it needs three times the limit"
    written.submit(11, trial("smoke", BATCH_SIZE=512), attempt=1)
    assert written.submit(11, trial("smoke", BATCH_SIZE=512), attempt=2) == "", "its outcome may lie in a spool"
    written.end(11, ok(0.99 * LIMIT))
    assert written.submit(12, trial(BATCH_SIZE=512)) == ""


def test_a_childs_structure_is_taken_for_its_parents(written: Written) -> None:
    child = replace(GENOME, skeleton="another")
    written.log.record("genome", "child", records.genome_record(replace(child, source="child")))
    parent = replace(individual(0, 1.0, 1.0), genome=GENOME)
    written.log.record("tell", "ask/0/tell", records.candidate_record(parent))
    mating = Mating(1, "grow", (parent,), None, 1)
    written.log.record("ask", "ask/1", records.mating_record(mating))
    proposal = Proposal(replace(child, source="child"), (), "larger")
    written.log.record("proposal", "p", {"ask": 1, "proposal": records.proposal_record(proposal)})
    for n, b in enumerate((8, 16, 32, 64)):
        written.submit(n, trial(BATCH_SIZE=b))
        written.end(n, ok(1000.0 * b))
    assert written.submit(0, trial(genome=proposal.genome), "ask/1") == ""
    assert written.submit(1, trial(genome=proposal.genome, BATCH_SIZE=4096), "ask/1")


@pytest.mark.parametrize("memory", [None, 0, -1.0, "80 GB"])
def test_it_is_off_where_the_judge_does_not_say_how_much_there_is(tmp_path: Path, memory: object) -> None:
    written = Written(tmp_path / "run", memory)
    written.submit(1, trial())
    written.end(1, ok(0.85 * LIMIT))
    assert written.submit(2, trial(BATCH_SIZE=512)) == ""
    written.log.close()


def test_a_spool_hears_of_no_trial_that_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Written
) -> None:
    history = written.log.history
    written.submit(0, trial())
    written.end(0, ok(0.85 * LIMIT))
    with Bench(tmp_path / "spool", monkeypatch) as bench:
        inner = bench.executor(lambda one: one.genome.source, slots=4, place=lambda one: history.submitted)
        executor = SparingExecutor(inner, history)
        written.submit(1, trial(BATCH_SIZE=512))
        outcome = executor.submit(trial(BATCH_SIZE=512)).result(5)
        assert refused(outcome) and (outcome.status, outcome.seconds, outcome.metrics) == ("oom", 0.0, {})
        written.submit(2, trial(BATCH_SIZE=128))
        waiting = executor.submit(trial(BATCH_SIZE=128))
        while not inner.written:
            pass
        assert len(bench.spool.names("jobs")) == 1 and not waiting.done()


def test_a_replay_refuses_the_same(tmp_path: Path, written: Written) -> None:
    for n, b in enumerate((8, 16, 32, 64, 128)):
        written.submit(n, trial(BATCH_SIZE=b))
        written.end(n, ok(500.0 * b) if b != 64 else out_of_memory(0.9 * LIMIT))
    said = written.submit(9, trial(BATCH_SIZE=1024))
    written.log.store.close()
    again = replayed(tmp_path / "run")
    assert said and Estimates(again).refusal(trial(BATCH_SIZE=1024)) == said
