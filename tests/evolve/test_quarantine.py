"""A violation that was proven leaves the search with all who carry it, however it came in and whenever it was found."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evolve.audits import Audits
from evolve.history import History
from evolve.loop import Loop
from evolve.model import Briefing, Candidate, Edit, Effect, Mating, Outcome, Proposal, Rejected, Trial
from evolve.quarantine import Case, marks
from evolve.store import Event
from tests.evolve import runs, toy
from tests.evolve.individuals import individual
from tests.evolve.runs import cut_off, replayed

CHEAT = "t7"
GAIN = 1.5  # of a line that cheats: more than all honest lines together


def proven(trial: Trial, lines: tuple[str, ...] = (CHEAT,)) -> Outcome:
    name = next(line for line in lines if line in trial.genome.source.split())
    reason = f"causality: {name} looks ahead"
    return Outcome("invalid", {}, "", trial.budget, "toy", reason, "causality", {"suffix": "failed by 2 nats"})


def cheating(
    caught: Callable[[Trial], bool], lines: tuple[str, ...] = (CHEAT,), gain: float = GAIN
) -> Callable[[Trial], Outcome]:
    """The toy in which each of `lines` lowers the loss by `gain`; a trial proves it if `caught`."""

    def function(trial: Trial) -> Outcome:
        outcome = toy.run_trial(trial)
        cheats = sum(line in trial.genome.source.split() for line in lines)
        if not cheats or outcome.status != "ok":
            return replace(outcome, checks={"suffix": "ok"})
        if caught(trial):
            return proven(trial, lines)
        return replace(outcome, metrics={**outcome.metrics, "loss": outcome.metrics["loss"] - gain * cheats})

    return function


def run(directory: Path, generations: int, function: Callable[[Trial], Outcome], seed: int = 0) -> tuple[str, Loop]:
    return runs.run(directory, generations, function, seed, refusals=0)


def state(history: History) -> list[object]:
    asks = [history.search.ask(i) for i in range(500, 510)]
    return [history.search.population, history.front, history.progress, history.cases, history.candidates, asks]


def offered(history: History) -> set[str]:
    """The programs that may be parents, are shown to operators or are reported."""
    asks = [history.search.ask(index) for index in range(900, 960)]
    shown = [c for ask in asks for c in (*ask.parents, *ask.inspirations)]
    return {c.genome.source for c in [*history.search.population, *history.front, *shown]}


def carried(history: History, source: str) -> list[str]:
    """The candidates whose guilty edits a program carries."""
    origins = [history.candidates[case.origin] for case in history.cases.values() if case.guilty]
    known = {o.id: [history.candidates[p].genome.source for p in o.parents] for o in origins}
    return [o.id for o in origins if any(toy.carries(source, edit, known[o.id]) for edit in o.edits)]


def test_every_member_of_the_front_was_audited(tmp_path: Path) -> None:
    _, loop = run(tmp_path, 12, toy.run_trial)
    history = loop.history
    confirmed = [c for c in history.candidates.values() if c.confirmed]
    assert len(confirmed) > 3 and all(m in confirmed for m in history.front)
    for member in confirmed:
        owner = f"ask/{member.index}"
        full = [t.purpose for (o, _), t in sorted(history.trials.items()) if o == owner and t.rung == 1.0]
        assert member.index == 0 or (len(full) == 3 and full.count("audit") == 1), "no training besides those"


def test_a_cheat_that_only_an_audit_proves_never_enters_the_front(tmp_path: Path) -> None:
    _, loop = run(tmp_path, 12, cheating(lambda trial: trial.purpose == "audit"))
    history = loop.history
    first = next(c for c in history.candidates.values() if c.violation)
    assert (first.verdict, first.violation, first.quarantined) == ("failed", "causality", "causality")
    assert first.reason == "invalid at audit: causality: t7 looks ahead" and first.checks == {
        "suffix": "failed by 2 nats"
    }
    assert history.cases[first.id].guilty
    assert not any(CHEAT in source.split() for source in offered(history))
    refused = [c for c in history.candidates.values() if c.reason.startswith("quarantined") and c.index > first.index]
    assert refused and {c.verdict for c in refused} <= {"rejected", "failed"}
    assert f"candidate {first.id}" in refused[0].reason and "causality" in refused[0].reason
    assert state(replayed(tmp_path)) == state(history)


def test_a_cheat_that_spread_is_traced_to_where_it_began(tmp_path: Path) -> None:
    """It gains too little for an audit, and is caught by luck when many have it; then audits follow it up the line."""
    trained: set[str] = set()

    def caught(trial: Trial) -> bool:
        trained.update({trial.genome.id} if trial.rung == 1.0 else ())
        return len(trained) > 3 or trial.purpose == "audit"

    _, loop = run(tmp_path, 20, cheating(caught, gain=0.05), seed=2)
    history = loop.history
    assert any(case.guilty for case in history.cases.values())
    assert not any(CHEAT in source.split() for source in offered(history))
    spread = [c for c in history.candidates.values() if c.verdict == "ok" and CHEAT in c.genome.source.split()]
    assert all(c.quarantined == "causality" for c in spread)
    honest = [
        c for c in history.candidates.values() if c.index and c.verdict == "ok" and CHEAT not in c.genome.source.split()
    ]
    assert honest and not any(c.quarantined for c in honest)
    assert history.best_loss and history.progress[-1][1] == history.best_loss.mean
    assert state(replayed(tmp_path, seed=2)) == state(history)


LINES = ("t5", "t6", "t7", "t8")


@pytest.mark.parametrize("seed", [0, 5, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_nobody_in_sight_carries_what_was_proven(tmp_path: Path, seed: int) -> None:
    """Random lineages, random lines that cheat, found at random: by luck in any trial, surely in an audit."""
    rng = random.Random(f"lines:{seed}")
    lines = tuple(rng.sample(LINES, rng.randint(1, 3)))
    luck = rng.choice((0.02, 0.1, 0.3))

    def caught(trial: Trial) -> bool:
        drawn = random.Random(f"{seed}:{trial.genome.id}:{trial.seed}:{trial.rung}").random()
        return trial.purpose == "audit" or drawn < luck

    reason, loop = run(tmp_path, 10, cheating(caught, lines), seed)
    history = loop.history
    assert reason == "10 generations done"
    assert not Audits(history, toy.carries).suspects() and not Audits(history, toy.carries).rulings()
    for source in offered(history):
        assert not carried(history, source), source
    for candidate in history.candidates.values():
        if candidate.violation:
            assert candidate.quarantined and candidate.id in history.cases
        if candidate.quarantined and candidate.id not in history.cases:
            assert carried(history, candidate.genome.source)
        if not candidate.quarantined and candidate.verdict in ("ok", "pruned") and candidate.index:
            ancestors = set(Audits(history, toy.carries)._ancestors(candidate))
            assert not ancestors & set(carried(history, candidate.genome.source))
    assert "0" in history.candidates and not history.candidates["0"].quarantined
    assert state(replayed(tmp_path, seed)) == state(history)


class GrowTwo(toy.Grow):
    """Adds two lines at once, in an edit each."""

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        rng, parent = random.Random(mating.seed), mating.parents[0]
        lines = [f"t{n}" for n in rng.sample(range(1, 12), 2)]
        if any(line in parent.genome.source.split() for line in lines):
            return Rejected("has one of them already")
        genome = toy.read("\n".join([parent.genome.source, *(f"{line} = 1.0" for line in lines)]))
        anchor = {k.address: parent.params.get(k.address, 1.0) for k in genome.knobs}
        return Proposal(genome, tuple(Edit("insert_after", "lr", line) for line in lines), "both help", anchor)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_an_honest_line_that_came_with_a_cheat_is_lost_to_descendants_only(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    operators = {"grow": GrowTwo(), "merge": toy.Merge(), "tune": toy.Tune()}
    monkeypatch.setattr(toy, "operators", lambda: operators)
    _, loop = run(tmp_path, 15, cheating(lambda trial: trial.purpose == "audit"), seed)
    history, audits = loop.history, Audits(loop.history, toy.carries)
    blamed = {e.code for case in history.cases.values() for e in history.candidates[case.origin].edits} - {CHEAT}
    assert blamed
    honest = [
        c for c in history.candidates.values() if c.verdict in ("ok", "pruned") and CHEAT not in c.genome.source.split()
    ]
    kept = [c for c in honest if not c.quarantined and blamed & set(c.genome.source.split())]
    assert kept, "lines that came with a cheat elsewhere live on where they came without it"
    assert all(c.quarantined == "" or set(audits._ancestors(c)) & history.cases.keys() for c in honest)
    assert not any(CHEAT in member.genome.source.split() for member in history.front)
    assert state(replayed(tmp_path, seed)) == state(history)


@pytest.mark.parametrize("after", (150, 250, 330, 410, 500))
def test_cut_off_while_a_cheat_is_traced_and_continued(tmp_path: Path, after: int) -> None:
    def caught(trial: Trial) -> bool:
        return trial.purpose == "audit" or trial.seed % 5 == 0

    with cut_off(after):
        run(tmp_path, 8, cheating(caught))
    reason, loop = run(tmp_path, 8, cheating(caught))
    assert reason == "8 generations done" and loop.history.cases
    assert not any(carried(loop.history, source) for source in offered(loop.history))
    assert not Audits(loop.history, toy.carries).suspects()
    assert state(replayed(tmp_path)) == state(loop.history)


def made(index: int, lines: str, *parents: int, edit: str = "", **fields: object) -> Candidate:
    edits = tuple(Edit("insert_after", "lr", line) for line in edit.split())
    loss = 5.0 - 0.1 * index
    found = replace(individual(index, loss, loss, parents=parents), genome=toy.read(lines), edits=edits)
    return replace(found, **fields)  # type: ignore[arg-type]


FAMILY = (
    made(0, "lr = 1.0"),
    made(1, "lr = 1.0\nt7 = 1.0", 0, edit="t7"),
    made(2, "lr = 1.0\nt7 = 1.0\nt1 = 1.0", 1, edit="t1"),
    made(3, "lr = 1.0\nt1 = 1.0", 2, edit=""),
    made(4, "lr = 1.0\nt1 = 1.0", 0, edit="t1"),
)
GUILTY = made(5, "lr = 1.0\nt7 = 1.0\nt1 = 1.0\nt2 = 1.0", 2, edit="t2", verdict="failed", violation="causality")


def ruling(history: History, case: Case) -> None:
    history.apply(Event(0, "", "quarantine", 0.0, {**case.__dict__, "ids": list(case.ids)}))


def audited(history: History, name: str, violation: str) -> None:
    history.outcomes[f"audit/{name}", 0] = Outcome("invalid" if violation else "ok", violation=violation)


def test_guilt_goes_up_the_line_as_far_as_audits_prove_it() -> None:
    history = runs.told(*FAMILY, GUILTY)
    audits = Audits(history, toy.carries)
    assert [c.id for c in audits.suspects()] == ["2"]
    assert audits.rulings() == [Case("5", "causality", ("5",), True)]
    audited(history, "2", "causality")
    assert [c.id for c in audits.suspects()] == ["1"], "what the parent carries may be older still"
    assert audits.rulings()[0] == Case("2", "causality", ("2", "3", "5"), True), "t1 is 2's own, and 1 not cleared"
    audited(history, "1", "causality")
    assert audits.suspects() == []
    cases = {case.origin: case for case in audits.rulings()}
    assert cases["1"] == Case("1", "causality", ("1", "2", "5"), True), "3 no longer carries t7, 4 never did"
    assert cases["2"] == Case("2", "causality", ("2",), False) and cases["5"] == Case("5", "causality", ("5",), False)


def test_a_parent_that_an_audit_clears_leaves_the_guilt_with_the_child() -> None:
    history = runs.told(*FAMILY, GUILTY, made(6, "lr = 1.0\nt2 = 1.0", 0, edit="t2"))
    audits = Audits(history, toy.carries)
    assert audits.rulings() == [Case("5", "causality", ("5",), True)], "6 is no descendant, and 2 is not cleared yet"
    audited(history, "2", "")
    assert audits.suspects() == []
    assert audits.rulings() == [Case("5", "causality", ("5", "6"), True)]


def program(*lines: str) -> str:
    return "\n".join(f"{line} = 1.0" for line in ("lr", *lines))


TWO_EDITS = (
    made(0, program()),
    made(1, program("t2", "t7"), 0, edit="t2 t7"),
    made(2, program("t2", "t7", "t1"), 1, edit="t1"),
    made(3, program("t2", "t1"), 2),
    made(4, program("t2"), 0, edit="t2"),
    made(5, program("t7"), 0, edit="t7"),
    made(6, program("t2", "t7"), 5, edit="t2"),
)


def test_one_edit_of_several_condemns_descendants_only() -> None:
    """t2 is honest and t7 the cheat, which nobody knows: who found t2 by itself keeps it, and t7 is caught anew."""
    history = runs.told(*TWO_EDITS)
    audits = Audits(history, toy.carries)
    audited(history, "1", "causality")
    (case,) = audits.rulings()
    assert case == Case("1", "causality", ("1", "2", "3", "6"), True)
    ruling(history, case)
    seed, three, four, five = (history.candidates[name] for name in "0345")
    assert [c.quarantined for c in (three, four, five)] == ["causality", "", ""]
    honest, both = toy.read(program("t2", "t3")), toy.read(program("t2", "t7", "t3"))
    assert audits.carried(honest, Mating(9, "grow", (four,), None, 1)) is None
    assert audits.carried(both, Mating(9, "merge", (four, five), seed, 1)) == case
    assert audits.carried(honest, Mating(9, "grow", (three,), None, 1)) == case, "a descendant"


def test_an_audit_that_was_passed_with_a_part_of_the_edits_acquits_nobody_of_all() -> None:
    passed = replace(TWO_EDITS[4], trials=1)
    history = runs.told(*TWO_EDITS[:4], passed, made(5, program("t2", "t7"), 4, edit="t7"))
    history.trials["ask/4", 0] = Trial(passed.genome, {}, 1.0, 1.0, "toy", 1, "audit")
    history.outcomes["ask/4", 0] = Outcome("ok")
    audits = Audits(history, toy.carries)
    audited(history, "1", "causality")
    assert audits.rulings() == [Case("1", "causality", ("1", "2", "3", "5"), True)]
    audited(history, "5", "")
    history.trials["audit/5", 0] = history.trials["ask/4", 0]
    assert audits.rulings() == [Case("1", "causality", ("1", "2", "3"), True)], "5 passed with both"


def test_a_parent_that_passed_its_confirmation_is_audited_again_before_its_child_is_blamed() -> None:
    """t7 is the cheat, and the audit in the confirmation of 1 did not find it; t2 is honest."""
    parent = replace(FAMILY[1], trials=1)
    child = made(2, program("t7", "t2"), 1, edit="t2", verdict="failed", violation="causality")
    honest = made(3, program("t2"), 0, edit="t2")
    history = runs.told(FAMILY[0], parent, child, honest)
    history.trials["ask/1", 0] = Trial(parent.genome, {}, 1.0, 1.0, "toy", 1, "audit")
    history.outcomes["ask/1", 0] = Outcome("ok")
    audits = Audits(history, toy.carries)
    assert [c.id for c in audits.suspects()] == ["1"]
    assert audits.rulings() == [Case("2", "causality", ("2",), True)], "3 is not condemned before that is known"
    assert audits.carried(toy.read(program("t2", "t3")), Mating(9, "grow", (honest,), None, 1)) is None
    audited(history, "1", "causality")
    assert audits.suspects() == []
    assert audits.rulings() == [Case("1", "causality", ("1", "2"), True), Case("2", "causality", ("2",), False)]


def test_what_a_cheat_crowded_out_comes_back_and_what_it_gained_is_taken_back() -> None:
    told = [replace(c, effect=Effect(-1.0, 1.0, 0.01)) if c.index else c for c in FAMILY]
    history = runs.told(*told)
    assert [c.id for c in history.front] == ["4"]
    before = history.search.arms.tallies()["grow"]
    ruling(history, Case("4", "causality", ("4", "3"), True))
    assert [c.id for c in history.front] == ["2"] and {c.id for c in history.search.population} == {"0", "1", "2"}
    assert history.candidates["3"].quarantined == "causality"
    after = history.search.arms.tallies()["grow"]
    assert (after.pulls, len(after.gains)) == (before.pulls, len(before.gains) - 2)
    ruling(history, Case("4", "causality", ("4",), False))
    assert [c.id for c in history.front] == ["3"] and not history.candidates["3"].quarantined
    assert len(history.search.arms.tallies()["grow"].gains) == len(before.gains) - 1


def test_a_mating_of_an_earlier_process_is_not_made_with_who_is_in_quarantine_by_now() -> None:
    history = runs.told(*FAMILY)
    audits = Audits(history, toy.carries)
    one, two, four = (FAMILY[i] for i in (1, 2, 4))
    mating = Mating(9, "grow", (four,), None, 1, (one, two))
    assert audits.admissible(mating) == mating
    ruling(history, Case("1", "causality", ("1",), True))
    assert audits.admissible(mating) == replace(mating, inspirations=(two,))
    assert audits.admissible(replace(mating, parents=(one,))) is None


def test_an_own_violation_is_named_before_that_of_another() -> None:
    assert marks([Case("1", "causality", ("1", "2"), True), Case("2", "canary", ("2",), False)]) == {
        "1": "causality",
        "2": "canary",
    }
