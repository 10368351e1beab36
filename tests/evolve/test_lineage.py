"""Trees of ancestors and descendants: everybody once, edits and effects beside them, readable where it is narrow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from evolve.history import History
from evolve.model import Candidate, Edit, Effect
from evolve.reports.lineage import print_ancestors, print_descendants
from evolve.search import ParetoSearch
from tests.evolve.individuals import TWO, individual


def child(index: int, *parents: int, **changed: object) -> Candidate:
    made = individual(index, 3.0 - index / 10, 1.0, parents=parents)
    return replace(made, hypothesis=f"idea{index}: because", **changed)  # type: ignore[arg-type]


@pytest.fixture
def history() -> History:
    """0 - 1 - 2 - 4, 0 - 1 - 3, and 4 is the merge of 2 and 3; 5 is a repeat, 6 a refused and 7 a failed child of 4."""
    history = History(ParetoSearch(TWO, 8, {}, 0))
    for candidate in (
        individual(0, 3.0, 8.0),
        child(1, 0, effect=Effect(-0.5, 1.0, 0.01), edits=(Edit("replace", "GPT.forward"), Edit("delete", "[red]x"))),
        child(2, 1, effect=Effect(0.001, 0.5, 0.01)),
        child(3, 1, quarantined="causality"),
        child(4, 2, 3, edits=tuple(Edit("replace", f"place{i}") for i in range(11))),
        child(5, 4, verdict="duplicate", reason="same structure as 2", fitness=None),
        child(6, 4, verdict="rejected", reason="no", fitness=None),
        child(7, 4, verdict="failed", reason="crashed at smoke: KeyError at line 3: \x1b[31m'x'", fitness=None),
    ):
        history.search.tell(candidate)
    return history


def printed(show: Callable[..., None], history: History, name: str, width: int = 200, **options: bool) -> list[str]:
    out = StringIO()
    show(Console(file=out, width=width), history, history.candidates[name], **options)
    return out.getvalue().splitlines()


def test_ancestors_are_drawn_once_from_the_candidate_to_the_seed(history: History) -> None:
    lines = printed(print_ancestors, history, "4", full=False)
    assert lines == [
        "4 merge of 2 and 3, idea4, 2.600±0.010 (3)",
        "├ 3 grow of 1, idea3, 2.700±0.010 (3), in quarantine",
        "│ 1 is drawn elsewhere in this tree",
        "2 grow of 1, idea2, 2.800±0.010 (3)",
        "1 grow of 0, idea1, 2.900±0.010 (3)",
        "0 grow, 3.000±0.010 (3)",
    ]


def test_each_step_has_its_edits_and_what_it_changed(history: History) -> None:
    lines = printed(print_ancestors, history, "4")
    at = lines.index("1 grow of 0, idea1, 2.900±0.010 (3)")
    helps = "│ measured -0.500±0.010 at 1 of the budget: helps"
    assert lines[at + 1 : at + 3] == [helps, "│ replace GPT.forward, delete [red]x"]
    assert "│ measured +0.001±0.010 at 0.5 of the budget: no clear difference" in lines
    assert "│ │ was quarantined: causality" in lines
    assert any(line.endswith("replace place7 and 3 more") for line in lines)


def test_descendants_count_who_was_never_measured(history: History) -> None:
    lines = printed(print_descendants, history, "1")
    assert lines[0] == "1 grow of 0, idea1, 2.900±0.010 (3); -0.500±0.010 at 1: helps"
    assert lines[1] == "├ 2 grow of 1, idea2, 2.800±0.010 (3); +0.001±0.010 at 0.5: no clear difference"
    assert lines[2].startswith("│ 4 merge of 2 and 3") and lines[2].endswith("; 1 more seen before; 1 more refused")
    assert lines[3].startswith("│ 7 grow of 4, idea7; dead end, crashed at smoke: KeyError at line 3, quoted:")
    assert lines[4].startswith("└ 3 grow of 1") and lines[5] == "  4 is drawn above, under another parent"
    assert len(lines) == 6 and "\x1b" not in "".join(lines)


@pytest.mark.parametrize("show", [print_ancestors, print_descendants])
def test_a_long_line_goes_on_under_itself(history: History, show: Callable[..., None]) -> None:
    lines = printed(show, history, "4" if show is print_ancestors else "0", 50)
    assert max(map(len, lines)) <= 50
    places = [word.strip(",") for line in lines for word in line.split() if word.startswith("place")]
    assert places == ([f"place{i}" for i in range(8)] if show is print_ancestors else [])


def test_a_lineage_may_be_longer_than_the_stack() -> None:
    history = History(ParetoSearch(TWO, 2, {}, 0))
    for index in range(3000):
        parents = (index - 1,) if index else ()
        history.search.archive[str(index)] = individual(index, 1.0, 1.0, parents=parents)
    assert len(printed(print_ancestors, history, "2999", full=False)) == 3000
    assert len(printed(print_descendants, history, "0")) == 3000
