"""Which transformation of the catalogue is tried next."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from statistics import fmean

import pytest

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


def test_what_was_not_tried_comes_before_what_failed_and_after_what_served() -> None:
    lost = [child(i, name, "pruned", 0.25) for i, name in enumerate(NAMES[:20], 1)]
    failed = [child(i, name, "failed", 0.0) for i, name in enumerate(NAMES[20:30], 21)]
    served = [child(31, NAMES[30], "ok", 1.0), child(32, NAMES[30], "ok", 1.0)]
    chosen = first_choices([*lost, *failed, *served])
    untried = min(chosen[name] for name in NAMES[31:])
    assert max(chosen[name] for name in NAMES[:30]) < untried < chosen[NAMES[30]]


@pytest.mark.parametrize(("delta", "serves"), [(-0.1, True), (0.1, False)])
def test_where_all_are_trained_in_full_it_is_the_parent_that_is_to_be_beaten(delta: float, serves: bool) -> None:
    children = [replace(child(i, NAMES[0], "ok", 1.0), effect=Effect(delta, 1.0, None)) for i in range(1, 9)]
    briefing = Briefing(rungs=(1.0,), candidates=tuple(children))
    drawn = [promising(briefing, Random(i))[NAMES[0]] for i in range(200)]
    assert (fmean(drawn) > 0.8) == serves and (fmean(drawn) < 0.2) != serves


def test_what_was_never_measured_says_nothing() -> None:
    asked = [child(i, NAMES[0], verdict, 0.0) for i, verdict in enumerate(("duplicate", "rejected"), 1)]
    assert promising(Briefing(rungs=RUNGS, candidates=tuple(asked)), Random(0)) == promising(
        Briefing(rungs=RUNGS), Random(0)
    )
