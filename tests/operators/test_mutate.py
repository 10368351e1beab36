"""Which transformation of the catalogue is tried next."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from evolve.model import Briefing, Candidate, Edit, Effect, Genome, Verdict
from operators.catalogue import transformations
from operators.mutate import promising

NAMES = sorted(transformations())
RUNGS = (0.25, 0.5, 1.0)


def child(number: int, name: str, verdict: Verdict, rung: float) -> Candidate:
    edits = (Edit("replace", "GPT.forward", "", name),)
    return Candidate(str(number), number, Genome(""), {}, ("0",), "catalogue", verdict, rung=rung, edits=edits)


def first_choices(children: list[Candidate], draws: int = 2000) -> Counter[str]:
    briefing = Briefing(rungs=RUNGS, candidates=tuple(children))
    chances = (promising(briefing, Random(i)) for i in range(draws))
    return Counter(max(drawn, key=drawn.__getitem__) for drawn in chances)


def test_at_first_all_are_alike() -> None:
    chosen = first_choices([])
    assert set(chosen) == set(NAMES) and max(chosen.values()) < 3 * min(chosen.values())


def test_what_was_not_tried_comes_first_whatever_else_served() -> None:
    served = [improved(child(i, NAMES[0], "ok", 1.0), -1.0) for i in range(1, 9)]
    lost = [child(i, name, "pruned", 0.25) for i, name in enumerate(NAMES[1:30], 9)]
    assert set(first_choices([*served, *lost])) == set(NAMES[30:])


def test_of_what_was_tried_it_is_the_parent_that_was_to_be_beaten() -> None:
    """At the full budget: there nearly all children arrive, and below it a gain says little."""
    better = [improved(child(i, name, "ok", 1.0), -0.1) for i, name in enumerate(NAMES[:5], 1)]
    worse = [improved(child(i, name, "ok", 1.0), 0.1) for i, name in enumerate(NAMES[5:30], 6)]
    pruned = [improved(child(i, name, "pruned", 0.25), -0.1) for i, name in enumerate(NAMES[30:50], 31)]
    failed = [child(i, name, "failed", 0.0) for i, name in enumerate(NAMES[50:], 51)]
    chosen = first_choices([*better, *worse, *pruned, *failed])
    assert min(chosen[name] for name in NAMES[:5]) > 3 * max(chosen[name] for name in NAMES[5:])


def improved(candidate: Candidate, delta: float) -> Candidate:
    return replace(candidate, effect=Effect(delta, 1.0, None))


def test_a_repeat_counts_as_tried_and_says_nothing_else() -> None:
    asked = [child(i, NAMES[0], "duplicate", 0.0) for i in range(1, 9)]
    assert NAMES[0] not in first_choices(asked)
    drawn = [promising(Briefing(rungs=RUNGS, candidates=tuple(asked)), Random(i))[NAMES[0]] for i in range(400)]
    assert 0.45 < sum(drawn) / len(drawn) < 0.55


def test_what_is_under_way_counts_as_tried() -> None:
    chances = promising(Briefing(rungs=RUNGS, pending=(f"{NAMES[0]}: an idea",)), Random(0))
    assert chances[NAMES[0]] < 1 < min(chances[name] for name in NAMES[1:])
