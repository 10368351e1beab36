"""What the page is made of, before it is HTML."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean, variance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.history import History
from evolve.lineage import with_ancestors
from evolve.page import data, html, places
from evolve.page.data import duration, facts_of
from evolve.page.individuals import DETAILS, KINDS, Individuals, kind_of
from evolve.page.lineage import graph_of
from evolve.page.plots import plots_of
from evolve.page.programs import hunks
from evolve.plots.progress import SEED_BAND
from tests.page.synthetic import BUDGET, HOSTILE, IDEAS, Run, failed_seed, history_of

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


def test_each_individual_is_of_one_kind(run: Run, history: History) -> None:
    rows, _ = Individuals(history).rows(DETAILS[0])
    kinds = Counter(row["kind"] for row in rows)
    assert [row["id"] for row in rows] == [c.id for c in run.told]
    assert kinds.keys() <= KINDS.keys() and kinds["seed"] == 1
    everything = {"front", "dominated", "infeasible", "quarantined", "pruned", "failed", "duplicate", "rejected"}
    assert kinds.keys() >= everything | {"unmeasured"}
    assert {row["id"] for row in rows if row["kind"] == "front"} == {c.id for c in history.front}


def test_the_front_of_each_generation_is_that_of_those_told_by_then(run: Run, history: History) -> None:
    out = {c.id for c in history.candidates.values() if c.quarantined}
    individuals = Individuals(history)
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
            for row in individuals.rows(DETAILS[0])[0]
            if row["since"] is not None
            and row["since"] <= generation
            and (row["until"] is None or row["until"] > generation)
        }
        assert shown == front


def test_generations_are_those_of_the_run(history: History) -> None:
    """Six measured children each; who was refused or repeats another counts for none."""
    found = Individuals(history).generation
    measured = [c for c in history.candidates.values() if c.index and c.rung]
    assert found["0"] == 0
    assert [found[c.id] for c in measured] == [1 + n // 6 for n in range(len(measured))]


def test_what_finds_no_room_is_left_out_and_the_page_says_so(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = html.page_of(tmp_path, history)
    assert "are not on this page" not in whole
    monkeypatch.setattr(html, "LIMIT", len(whole) - 10_000)
    monkeypatch.setattr(html, "DETAILS", DETAILS[:7])
    cut = html.page_of(tmp_path, history)
    assert len(cut.encode()) < len(whole) - 10_000
    assert "are not on this page; python -m evolve show ID has them" in cut
    assert "too large for one page" not in cut
    monkeypatch.setattr(html, "LIMIT", 1)  # as if all were too large
    monkeypatch.setattr(html, "DETAILS", (DETAILS[0], DETAILS[-1]))
    smallest = html.page_of(tmp_path, history)
    assert f"{len(history.candidates) - 1} more individuals, the least interesting ones" in smallest
    assert len(smallest.encode()) < len(cut.encode())


def test_the_front_and_its_ancestors_are_the_last_to_be_left_out(history: History) -> None:
    individuals = Individuals(history)
    leading = with_ancestors(history.candidates, history.front)
    assert len(leading) < len(history.candidates) / 2
    for detail in DETAILS[:9]:
        rows = {row["id"]: row for row in individuals.rows(detail)[0]}
        assert [name for name in leading if "program" not in rows[name] or "log" not in rows[name]] == []
    assert any("program" not in row for row in rows.values())


def test_less_and_less_is_on_the_page(history: History) -> None:
    individuals = Individuals(history)
    left_out = [individuals.left_out(detail) for detail in DETAILS]
    assert left_out[0] == (0, 0, 0) and left_out[-1] == (len(history.candidates) - 1, 0, 0)
    details = [(away, away + logs, away + code) for away, logs, code in left_out]
    assert all(a <= b for one, next_one in pairwise(details) for a, b in zip(one, next_one, strict=True))
    assert individuals.shown(DETAILS[-1].share) == [history.seed]
    half = individuals.rows(DETAILS[8])[0]
    assert [row["id"] for row in half] == [c.id for c in history.candidates.values() if c.id in {r["id"] for r in half}]


def test_plots_of_a_page_that_leaves_some_out_are_of_the_others(history: History) -> None:
    shown = Individuals(history).shown(DETAILS[8].share)
    for lines in (places.points(history, shown), places.curves(history, shown)):
        assert lines.row and max(lines.row) < len(shown)
    assert places.points(history, shown).kind == [kind_of(history, c) for c in shown if c.fitness]


def test_children_stand_to_the_right_of_their_parents(history: History) -> None:
    graph = graph_of(history)
    assert {c.id for c in history.front} | {"0"} <= {node.id for node in graph.nodes}
    assert graph.edges and all(edge.parent.x < edge.child.x for edge in graph.edges)
    places = [(node.x, node.y) for node in graph.nodes]
    assert len(set(places)) == len(places)
    assert all(0 < x < graph.width and 0 < y < graph.height for x, y in places)
    for edge in graph.edges:
        assert edge.path.startswith(f"M{edge.parent.x:g} {edge.parent.y:g}C")
        assert edge.path.endswith(f" {edge.child.x:g} {edge.child.y:g}")


def test_a_learning_curve_is_of_trainings_with_the_final_numbers_where_there_are_some(history: History) -> None:
    shown = list(history.candidates.values())
    lines = places.curves(history, shown)
    assert len(lines.row) > 20
    for row, xs, ys in zip(lines.row, lines.xs, lines.ys, strict=True):
        known = sorted((float(rung) * BUDGET, fmean(losses)) for rung, losses in shown[row].losses.items())
        assert xs == [budget for budget, _ in known]
        assert ys == pytest.approx([loss for _, loss in known], abs=1e-5)
    pruned = next(c for c in shown if c.verdict == "pruned" and c.rung == 0.5)
    assert places.curve(history, replace(pruned, losses={"0.5": (3.0,)})) == history.rung_losses(pruned)
    assert len(history.rung_losses(pruned)) == 2


def test_the_band_around_the_seed_is_the_noise_of_a_training_at_the_full_budget(
    history: History, tmp_path: Path
) -> None:
    spread = [variance(c.losses["1"]) for c in history.candidates.values() if "1" in c.losses and not c.quarantined]
    sd = math.sqrt(fmean(spread))
    assert any(
        said.endswith(f"vary with a standard deviation (sd) of {sd:.4f}.")
        for said in facts_of(tmp_path, history).remarks
    )
    plot = json.dumps(plots_of(history, [], list(history.candidates.values()))["plot-loss"], ensure_ascii=False)
    assert history.seed and history.seed.fitness
    mean = history.seed.fitness.values["val_bpb"].mean
    ends = [float(found) for found in re.findall(r'"(?:bottom|top)": ?([\d.]+)', plot)]
    assert sorted(ends) == pytest.approx([mean - sd, mean + sd])
    assert SEED_BAND in plot


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.6, "1 min 0 s"), (844, "14 min 4 s"), (13_315, "3 h 41 min"), (360_000, "100 h 0 min")],
)
def test_a_duration_has_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_long_table_says_how_many_rows_there_would_be_more(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "MOST_ROWS", 1)
    facts = facts_of(tmp_path, history)
    assert len(facts.front.rows) == 2 and facts.front.more == len(history.front) - 1 > 0
    assert len(facts.ideas.rows) == 1 and facts.ideas.more == len(IDEAS) - 1


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
