"""What an operator may return, what follows from a refusal that ends something, and who mends a child that crashed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evolve import plugins, proposals
from evolve.arms import Arm, Arms
from evolve.config import ConfigError
from evolve.executors.inline import InlineExecutor
from evolve.loop import Loop
from evolve.model import Briefing, Candidate, Cost, Edit, Mating, Proposal, Rejected
from evolve.protocols import Operator
from evolve.reports.grid import Grid
from evolve.reports.proposals import COLUMNS, outcomes, print_proposals
from evolve.store import Event, Store
from tests.evolve import toy
from tests.evolve.individuals import individual
from tests.evolve.runs import cut_off

MATING = Mating(3, "own", (individual(1, 5.0, 5.0),), None, 0)
CHILD = Proposal(toy.SEED, (Edit("replace", "lr"),), "why", {"lr": 1.0}, Cost(calls=2), -0.03, "a_note")


class Own:
    """Returns what it is given, or raises it."""

    name, arity, mended_by = "own", 1, ""

    def __init__(self, said: Any) -> None:
        self._said = said

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        if isinstance(self._said, Exception):
            raise self._said
        return self._said  # type: ignore[no-any-return]


def made(said: Any) -> Proposal | Rejected:
    return proposals.start(Own(said), MATING, Briefing()).result(10)


@pytest.mark.parametrize("expected", [None, 0.0, -0.03, 1e300, 3])
def test_a_sound_child_comes_through_and_waiting_is_counted(expected: float | None) -> None:
    found = made(replace(CHILD, expected=expected))
    assert replace(found, cost=CHILD.cost) == replace(CHILD, expected=expected)
    assert found.cost.seconds > 0 and found.cost.calls == 2


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (replace(CHILD, expected=math.nan), "own broke: ValueError: expects an effect that is no finite number: nan"),
        (replace(CHILD, expected=-math.inf), "own broke: ValueError: expects an effect that is no finite number: -inf"),
        (
            replace(CHILD, anchor={"lr": math.nan}),
            "own broke: ValueError: gave numbers that are no finite int or float",
        ),
        (replace(CHILD, anchor={"lr": True}), "own broke: ValueError: gave numbers that are no finite int or float"),
        (None, "own broke: TypeError: returned a NoneType, no Proposal or Rejected"),
        (ZeroDivisionError("by zero"), "own broke: ZeroDivisionError: by zero"),
    ],
)
def test_what_an_operator_may_not_return_is_a_refusal(said: Any, reason: str) -> None:
    found = made(said)
    assert isinstance(found, Rejected) and found.reason.startswith(reason) and found.ends == ""


def test_what_is_known_of_a_child_before_it_is_measured() -> None:
    child = proposals.child_of(MATING, CHILD)
    assert (child.id, child.index, child.parents, child.operator) == ("3", 3, ("1",), "own")
    assert (child.hypothesis, child.expected, child.idea, child.cost) == ("why", -0.03, "a_note", Cost(calls=2))
    refused = proposals.child_of(MATING, Rejected("no", Cost(calls=1), "format"))
    assert (refused.verdict, refused.genome, refused.cost) == ("rejected", MATING.parents[0].genome, Cost(calls=1))


class Mend(toy.Tune):
    """Puts another line in the place of the one that crashes."""

    name = "mend"

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        [broken] = mating.parents
        genome = toy.read(broken.genome.source.replace("t12", f"m{mating.index}"))
        anchor = {k.address: broken.params.get(k.address, 1.0) for k in genome.knobs}
        return Proposal(genome, (Edit("replace", "t12"),), "t12 was wrong", anchor, expected=-0.01, idea=broken.idea)


class MendInVain(Mend):
    """Adds a line, and leaves the one that crashes."""

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        genome = toy.read(mating.parents[0].genome.source + f"\nm{mating.index} = 1.0")
        return Proposal(genome, (Edit("insert_after", "t12"),), "m helps", {k.address: 1.0 for k in genome.knobs})


class Fragile(toy.Grow):
    """Grows a line that crashes every second time, and knows who mends it."""

    mended_by = "mend"

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        name = "t12" if mating.index % 2 else f"t{mating.index + 20}"
        genome = toy.read(mating.parents[0].genome.source + f"\n{name} = 1.0\nu{mating.index} = 1.0")
        anchor = {k.address: mating.parents[0].params.get(k.address, 1.0) for k in genome.knobs}
        return Proposal(genome, (Edit("insert_after", "lr"),), f"{name} helps", anchor, idea=f"note{mating.index}")


class Ends(toy.Tune):
    """Has no further children."""

    def __init__(self, ends: str) -> None:
        self._ends = ends

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        return Rejected("the budget of 3 USD is used", stage="answer", ends=self._ends)  # type: ignore[arg-type]


def run(
    directory: Path, generations: int, operators: Mapping[str, Operator], arms: Mapping[str, Arm] = toy.ARMS
) -> tuple[str, Loop]:
    executor = InlineExecutor(toy.run_trial)
    loop = toy.make_loop(directory, generations, executor)
    loop.history.search.arms = Arms(arms)
    loop._record("session", f"session/{len(loop.history.sessions)}", {"slots": 1})
    loop._operators = operators
    try:
        return loop.run(toy.SEED), loop
    finally:
        executor.close()
        loop.store.close()


def events(directory: Path) -> list[Event]:
    store = Store.read(directory)
    found = list(store.events())
    store.close()
    return found


def mended(loop: Loop) -> list[tuple[Candidate, Mating]]:
    """Matings of the mender with the child that they are to mend."""
    return [(m.parents[0], m) for m in loop.history.matings.values() if m.operator == "mend"]


def test_a_child_that_crashed_at_once_is_mended_once(tmp_path: Path) -> None:
    _, loop = run(tmp_path, 5, toy.operators() | {"grow": Fragile(), "mend": Mend()})  # type: ignore[operator]
    pairs, told = mended(loop), loop.history.candidates
    crashed = [c for c in told.values() if c.verdict == "failed" and c.rung == 0]
    assert len(crashed) > 3 and all(c.operator == "grow" for c in crashed)
    assert [b.id for b, _ in pairs] == [c.id for c in crashed][: len(pairs)] and len(crashed) - len(pairs) <= 2
    for broken, mating in pairs:
        assert mating.parents == (told[broken.id],) and mating.base is None and broken.operator == "grow"


def test_the_effect_of_a_mended_child_is_against_the_measured_ancestor_of_the_broken_one(tmp_path: Path) -> None:
    _, loop = run(tmp_path, 5, toy.operators() | {"grow": Fragile(), "mend": Mend()})  # type: ignore[operator]
    history, checked = loop.history, 0
    for broken, mating in mended(loop):
        child = history.candidates.get(str(mating.index))
        if child is None or not child.rung:
            continue
        parent = history.candidates[broken.parents[0]]
        assert history.measured_ancestor(child) == parent and child.idea == broken.idea
        shared = history.losses_of(child).keys() & history.losses_of(parent).keys()
        if not shared:  # one that was tuned was trained at the full budget alone
            assert child.effect is None
            continue
        rung = max(shared, key=float)
        assert child.effect and child.effect.rung == float(rung)
        assert child.effect.delta == pytest.approx(history.losses_of(child)[rung] - history.losses_of(parent)[rung])
        checked += 1
    assert checked > 2


def test_what_a_mender_made_is_not_mended_again(tmp_path: Path) -> None:
    _, loop = run(tmp_path, 3, toy.operators() | {"grow": Fragile(), "mend": MendInVain()})  # type: ignore[operator]
    pairs = mended(loop)
    assert pairs and all(broken.operator == "grow" for broken, _ in pairs)
    assert len({broken.id for broken, _ in pairs}) == len(pairs)


def test_without_a_mender_a_crash_is_the_end_of_a_child(tmp_path: Path) -> None:
    _, loop = run(tmp_path, 5, toy.operators())
    assert loop.history.broken and not mended(loop)


@pytest.mark.parametrize("after", [20, 40, 60, 75, 76, 77, 78, 79, 80, 81, 100, 130])
def test_a_run_that_goes_on_mends_nobody_twice(tmp_path: Path, after: int) -> None:
    operators = toy.operators() | {"grow": Fragile(), "mend": Mend()}  # type: ignore[operator]
    with cut_off(after):
        run(tmp_path, 4, operators)
    _, loop = run(tmp_path, 4, operators)
    once = [broken.id for broken, _ in mended(loop)]
    assert len(once) == len(set(once)) > 0
    crashed = {c.id for c in loop.history.candidates.values() if c.verdict == "failed" and c.operator == "grow"}
    assert crashed - set(once) == set(loop.history.broken)


def test_an_operator_that_ends_is_asked_no_more_and_the_others_go_on(tmp_path: Path) -> None:
    operators = toy.operators() | {"tune": Ends("operator")}  # type: ignore[operator]
    reason, loop = run(tmp_path, 4, operators)
    assert reason == "4 generations done" and not loop.history.halted
    kinds = [
        e.body["operator"] if e.kind == "ask" else "ended"
        for e in events(tmp_path)
        if e.kind == "ask" or (e.kind == "proposal" and e.body["proposal"].get("ends"))
    ]
    first = kinds.index("ended")
    assert "tune" in kinds[:first] and "tune" not in kinds[first:] and kinds[first:].count("grow") > 5


def test_when_nobody_is_left_the_run_ends_and_says_why(tmp_path: Path) -> None:
    ending = {name: Ends("operator") for name in ("grow", "tune")}
    reason, loop = run(tmp_path, 4, {**ending, "merge": toy.Merge()})
    assert reason == "the budget of 3 USD is used" == loop.history.stopped
    assert set(loop.history.candidates) == {"0", *map(str, loop.history.matings)}, "nothing is left under way"


def test_numbers_alone_do_not_keep_a_run_going(tmp_path: Path) -> None:
    """What made new structures has ended; `tune` could go on for ever, and does not."""
    arms = toy.ARMS | {"tune": replace(toy.ARMS["tune"], structural=False)}
    reason, loop = run(tmp_path, 40, toy.operators() | {"grow": Ends("operator")}, arms)  # type: ignore[operator]
    assert reason == "the budget of 3 USD is used" == loop.history.halted
    assert loop.history.ended.keys() == {"grow"}


def test_the_arms_of_a_run_say_who_makes_structures() -> None:
    weights = {"catalogue": 1.0, "tune": 0.2, "merge": 0.3, "llm": 1.0}
    operators = plugins.load_operators(weights, None) | {"own": Own(None)}
    arms = plugins.arms_of(weights | {"own": 1.0}, operators, ["m"])
    assert {name for name, arm in arms.items() if not arm.structural} == {"tune"}
    assert {"own", "mutate@m", "crossover@m", "catalogue", "merge"} < arms.keys()


class Unmended:
    """Does not say who mends its children."""

    name, arity = "unmended", 1

    def __init__(self, reader: object) -> None:
        pass

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        return Rejected("none")


def test_an_operator_must_say_who_mends_its_children() -> None:
    with pytest.raises(ConfigError, match="Unmended' lacks mended_by"):
        plugins.load_operators({f"{__name__}:Unmended": 1.0}, None)


def test_a_refusal_may_end_the_run(tmp_path: Path) -> None:
    """What is under way is finished first; nothing new is asked for."""
    reason, loop = run(tmp_path, 40, toy.operators() | {"tune": Ends("run")})  # type: ignore[operator]
    assert reason == "the budget of 3 USD is used" == loop.history.stopped
    kinds = [e.kind for e in events(tmp_path) if e.kind in ("ask", "proposal")]
    bodies = [e.body for e in events(tmp_path) if e.kind in ("ask", "proposal")]
    ended = next(i for i, body in enumerate(bodies) if body.get("proposal", {}).get("ends") == "run")
    assert "ask" not in kinds[ended:]
    assert set(loop.history.candidates) == {"0", *map(str, loop.history.matings)}


@pytest.mark.parametrize("ends", ["operator", "run"])
def test_the_same_command_tries_again(tmp_path: Path, ends: str) -> None:
    """There may be a new budget, or the right key, by then."""
    ending = {name: Ends(ends) for name in ("grow", "tune")}
    run(tmp_path, 3, {**ending, "merge": toy.Merge()})
    before = len(events(tmp_path))
    reason, loop = run(tmp_path, 3, toy.operators())
    later = {e.body["operator"] for e in events(tmp_path)[before:] if e.kind == "ask"}
    assert reason == "3 generations done" and {"grow", "tune"} <= later and not loop.history.halted


@pytest.mark.parametrize("width", [60, 80, 140])
def test_names_and_reasons_from_elsewhere_cannot_steer_a_terminal(tmp_path: Path, width: int) -> None:
    """The name of a model comes from the command line, that of a note is a file's, a reason is a server's."""
    _, loop = run(tmp_path, 1, toy.operators())
    bad = "\x1b[31mRED\x1b]0;pwn\x07\u202e"
    child = next(c for c in loop.history.candidates.values() if c.index)
    loop.history.candidates[child.id] = replace(child, operator=f"mutate@{bad}{'x' * 150}", idea=bad)
    loop.history.ended[f"mutate@{bad}"] = f"{bad} :smile: [b]x[/b]"
    out = StringIO()
    print_proposals(Console(file=out, width=width, emoji=False), loop.history)
    text = out.getvalue()
    assert not set(text) & set("\x1b\x07\u202e") and all(len(line) <= width for line in text.splitlines())
    assert "Asked no longer: mutate@ [31mRED ]0;pwn, [31mRED ]0;pwn :smile: [b]x[/b]." in " ".join(text.split())
    assert "by mean effect: [31mRED ]0;pwn" in " ".join(text.split())


def test_counts_are_whole_in_sixty_columns(tmp_path: Path) -> None:
    _, loop = run(tmp_path, 1, toy.operators())
    grid = outcomes(loop.history)
    many = Grid(grid.heads, [["crossover@some-model", *["12345"] * 9]])
    out = StringIO()
    Console(file=out, width=60).print(many)
    lines = out.getvalue().splitlines()
    (row,) = [line.split() for line in lines if "12345" in line]
    assert set(row[1:]) == {"12345"} and 3 <= len(row[1:]) < 9
    assert f"Left out for want of room: {', '.join(COLUMNS[3:5])}" in out.getvalue()
