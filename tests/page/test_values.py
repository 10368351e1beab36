"""What the page is made of, before it is HTML."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.history import History
from evolve.page import html
from evolve.page.data import facts_of
from evolve.page.individuals import DETAILS, KINDS, Individuals
from evolve.page.lineage import graph_of
from evolve.page.programs import hunks
from tests.page.conftest import Open
from tests.page.synthetic import HOSTILE, Run, failed_seed, history_of

TEXTS = st.lists(st.integers(0, 5), max_size=12)
STATIC = html.STATIC


@pytest.fixture(scope="module")
def run() -> Run:
    return Run(150)


@pytest.fixture(scope="module")
def history(run: Run) -> History:
    return history_of(run.events())


@given(TEXTS, TEXTS)
def test_hunks_turn_a_text_into_another(before: list[int], after: list[int]) -> None:
    made, at = [], 0
    for start, end, *lines in hunks(before, after):
        assert at <= start <= end
        made += [*before[at:start], *lines]
        at = end
    assert [*made, *before[at:]] == after


def longest_common(a: str, b: str) -> int:
    best = [0] * (len(b) + 1)
    for x in a:
        row = [0]
        for j, y in enumerate(b):
            row.append(best[j] + 1 if x == y else max(best[j + 1], row[j]))
        best = row
    return best[-1]


def test_the_difference_is_the_smallest_there_is(visit: Open) -> None:
    words = ["", "a", "ab", "abc", "bca", "aabbcc", "cabcab", "xyz", "abxcd", "axbcxd", "aaaa", "aaxaa", "dcba"]
    pairs = [(a, b) for a in words for b in words]
    found = visit("about:blank", ready=False)
    script = (STATIC / "difference.js").read_text(encoding="utf-8")
    rows: list[list[list[Any]]] = found.page.evaluate(
        f"(pairs) => {{ {script}; return pairs.map(([a, b]) => difference([...a], [...b])); }}", pairs
    )
    for (a, b), difference in zip(pairs, rows, strict=True):
        assert "".join(a[old] for _, old, _ in difference if old is not None) == a
        assert "".join(b[new] for _, _, new in difference if new is not None) == b
        assert all(a[old] == b[new] for kind, old, new in difference if kind == "same")
        assert sum(kind == "same" for kind, _, _ in difference) == longest_common(a, b)


def test_each_individual_is_of_one_kind(run: Run, history: History) -> None:
    rows = Individuals(history, DETAILS[0]).rows
    kinds = Counter(row["kind"] for row in rows)
    assert [row["id"] for row in rows] == [c.id for c in run.told]
    assert kinds.keys() <= KINDS.keys() and kinds["seed"] == 1
    everything = {"front", "dominated", "infeasible", "quarantined", "pruned", "failed", "duplicate", "rejected"}
    assert kinds.keys() >= everything | {"unmeasured"}
    assert {row["id"] for row in rows if row["kind"] == "front"} == {c.id for c in history.front}


def test_the_front_of_each_generation_is_that_of_those_told_by_then(run: Run, history: History) -> None:
    out = {c.id for c in history.candidates.values() if c.quarantined}
    individuals = Individuals(history, DETAILS[0])
    for generation in (1, 7, max(individuals.generation.values())):
        told = [c for c in run.told if individuals.generation[c.id] <= generation and c.confirmed and c.id not in out]
        points = {c.id: [e.mean for e in c.fitness.values.values()] for c in told if c.fitness and c.fitness.feasible}
        front = {
            a
            for a, p in points.items()
            if not any(q != p and all(x <= y for x, y in zip(q, p, strict=True)) for q in points.values())
        }
        shown = {
            row["id"]
            for row in individuals.rows
            if row["since"] is not None
            and row["since"] <= generation
            and (row["until"] is None or row["until"] > generation)
        }
        assert shown == front


def test_generations_are_those_of_the_run(history: History) -> None:
    """Six measured children each; who was refused or repeats another counts for none."""
    found = Individuals(history, DETAILS[0]).generation
    measured = [c for c in history.candidates.values() if c.index and c.rung]
    assert found["0"] == 0
    assert [found[c.id] for c in measured] == [1 + n // 6 for n in range(len(measured))]


def test_what_finds_no_room_is_left_out_and_the_page_says_so(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = html.page_of(tmp_path, history)
    assert "are not on this page" not in whole
    monkeypatch.setattr(html, "LIMIT", len(whole) - 10_000)
    cut = html.page_of(tmp_path, history)
    assert len(cut.encode()) < len(whole) - 10_000
    assert "are not on this page; python -m evolve show ID has them" in cut


def test_the_front_and_its_ancestors_are_the_last_to_be_left_out(history: History) -> None:
    rows = {row["id"]: row for row in Individuals(history, DETAILS[-1]).rows}
    waiting = [c.id for c in history.front]
    assert waiting
    while waiting:
        name = waiting.pop()
        assert "program" in rows[name] and "log" in rows[name]
        waiting += history.candidates[name].parents
    assert any("program" not in row for row in rows.values())


def test_children_stand_to_the_right_of_their_parents(history: History) -> None:
    graph = graph_of(history)
    assert {c.id for c in history.front} | {"0"} <= {node.id for node in graph.nodes}
    assert graph.edges and all(parent.x < child.x for parent, child in graph.edges)
    places = [(node.x, node.y) for node in graph.nodes]
    assert len(set(places)) == len(places)
    assert all(0 < x < graph.width and 0 < y < graph.height for x, y in places)


def test_the_facts_say_what_was_found_and_how_the_run_was_set_up(history: History, tmp_path: Path) -> None:
    facts = facts_of(tmp_path, history)
    best = history.front[0]
    assert facts.headline.startswith(f"Individual {best.id} beats the seed by ")
    assert "times sooner" in facts.headline
    assert [row[0] for row in facts.front.rows] == [*(c.id for c in history.front if c.index), "0"]
    setup = dict(facts.setup)
    assert "SHA-256 29f1c8400d91" in setup["text"] and setup["language models"] == "claude"
    assert setup["to continue"] == f"python -m evolve resume --run-dir {tmp_path}"
    told = Counter(c.verdict for c in history.candidates.values())
    counts = {f.reason.split(":")[0]: 0 for f in facts.failures}
    for failure in facts.failures:
        counts[failure.reason.split(":")[0]] += failure.count
    assert counts == {
        "failed": told["failed"],
        "rejected": told["rejected"],
        "seen before": told["duplicate"],
        "quarantined": 2,
    }
    assert sum(int(row[1].replace(",", "")) for row in facts.spent.rows) == len(history.outcomes)


def test_a_failed_seed_is_said_to_have_failed(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, history_of(failed_seed()))
    assert not facts.measured and facts.state.name == "failed"
    assert "The seed program has no score" in facts.headline and "ValueError" in facts.headline


def test_no_text_of_a_run_is_markup(tmp_path: Path) -> None:
    text = html.page_of(tmp_path, history_of(Run(60, hostile=HOSTILE).events()))
    assert "&lt;/script&gt;&lt;img" in text  # among the failures
    assert "<img" not in text
    assert text.count("<script") == text.count("</script>") == 3
