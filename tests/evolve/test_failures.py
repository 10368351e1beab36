"""Why children came to nothing: alike reasons are one, nothing is left out, and no text does harm."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from evolve.history import History
from evolve.model import Candidate, Outcome
from evolve.reports.failures import MOST, alike, print_failures
from evolve.search import ParetoSearch
from tests.evolve.individuals import TWO, individual

SHAPES = "crashed at smoke: RuntimeError at line {}: mat1 and mat2 shapes cannot be multiplied ({}x32 and 64x64)"


def came_to_nothing(index: int, verdict: str, reason: str, **changed: object) -> Candidate:
    made = individual(index, verdict="failed", parents=(0,))
    return replace(made, verdict=verdict, reason=reason, fitness=None, **changed)  # type: ignore[arg-type]


def printed(*children: Candidate, width: int = 160, logs: dict[int, str] | None = None) -> str:
    history = History(ParetoSearch(TWO, 8, {}, 0))
    for candidate in (individual(0, 3.0, 8.0), *children):
        history.search.tell(candidate)
    for index, log in (logs or {}).items():
        history.outcomes[f"ask/{index}", 0] = Outcome("crashed", {}, log)
        history.statuses["crashed"] += 1
    history.charged = 100.0
    out = StringIO()
    print_failures(Console(file=out, width=width), history)
    return out.getvalue()


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        (SHAPES.format(3, 7), "RuntimeError: mat1 and mat2 shapes cannot be multiplied (# and #)"),
        ("crashed at 0.5 of the budget: KeyError at line 3: 'h1'", "KeyError: 'h1'"),
        ("crashed in every tuning trial: ValueError, in line 3 of train.py", "ValueError"),
        ("timeout at tune: deadline: 3.25 s", "timeout: deadline: # s"),
        ("oom at smoke: 1e9 bytes at 0x7ffe12", "oom: # bytes at #"),
        ("oom at smoke: ", "oom: at smoke"),
        ("has t1 already", "has t1 already"),
        ("-1.5 or conv2d of 3", "# or conv2d of #"),
        ("", ""),
    ],
)
def test_what_alike_reasons_share(reason: str, kept: str) -> None:
    assert alike(reason) == kept


def test_a_reason_of_megabytes_is_cut_before_anything_else() -> None:
    assert len(alike("crashed at smoke: E: " + "1 [red] " * 1_000_000)) <= 160


def test_failures_are_counted_by_reason_with_shares_charges_operators_and_examples() -> None:
    text = printed(
        came_to_nothing(1, "failed", SHAPES.format(3, 7), seconds=1.5),
        came_to_nothing(2, "failed", SHAPES.format(88, 9), seconds=2.5, operator="merge"),
        came_to_nothing(3, "failed", SHAPES.format(4, 5), seconds=1.0),
        came_to_nothing(4, "failed", "timeout at tune: deadline: 3 s", seconds=5.0),
        came_to_nothing(5, "failed", "invalid at audit: causality: 2 nats", violation="causality"),
        logs={1: "step 1\nlast [bold]words[/bold]\x1b[31m\n\n", 4: "  "},
    )
    assert "Failed: 5 of 6 candidates, 10.0 of 100.0 charged seconds" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    at = lines.index("3 60% 5.0 RuntimeError: mat1 and mat2 shapes cannot be multiplied (# and #)")
    assert lines[at + 1] == "by grow 2, merge 1"
    assert lines[at + 2] == '1 at smoke at line 3: last printed "last [bold]words[/bold] [31m"'
    assert lines[at + 3].startswith("2 at smoke at line 88") and not lines[at + 4].startswith("3 at")
    assert "1 20% 5.0 timeout: deadline: # s" in lines
    assert "1 20% 0.0 proven violation: causality" in lines
    assert "\x1b" not in text


def test_refusals_repeats_and_quarantine_are_apart() -> None:
    text = printed(
        came_to_nothing(1, "rejected", "edit 3 names no place"),
        came_to_nothing(2, "rejected", "edit 14 names no place", hypothesis="half a thought"),
        came_to_nothing(3, "duplicate", "same structure as 1"),
        came_to_nothing(4, "duplicate", "same structure as 2"),
        replace(individual(5, 1.0, 1.0), quarantined="causality"),
    )
    refused, repeats = text.index("Refused before any training: 2 of 6"), text.index("Seen before: 2 of 6 candidates")
    assert text.index("In quarantine for a proven violation: 1 of 6") < refused < repeats and "Failed:" not in text
    assert "edit # names no place" in text and "1: no child was made" in text and "2: half a thought" in text
    assert "3 (same structure as 1)" in text and "100%" in text


def test_the_rarest_of_many_reasons_are_counted_together() -> None:
    names = [chr(ord("a") + i) for i in range(MOST + 3)]
    text = printed(*(came_to_nothing(i, "rejected", f"no {name}") for i, name in enumerate(names, 1)), width=80)
    assert "3 other reasons" in text and f"no {names[MOST - 1]}" in text and f"no {names[MOST]}" not in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_what_a_judge_and_an_engine_say_cannot_steer_a_terminal() -> None:
    text = printed(
        came_to_nothing(1, "failed", "", violation="caus\x1b[2Jality"),
        came_to_nothing(2, "duplicate", "same as \x1b]0;x\x07"),
    )
    assert "proven violation: caus [2Jality" in text and "2 (same as ]0;x)" in text and "\x1b" not in text


def test_a_run_in_which_all_went_well_and_one_whose_trials_failed_harmlessly() -> None:
    assert printed() == "No failure, no refusal and no repeat among 1 candidates.\n"
    text = printed(individual(1, 1.0, 1.0), logs={1: "x"})
    assert text.endswith("Trials that failed without the end of their candidate: 1 crashed.\n")
