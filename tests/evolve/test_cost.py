"""What a run cost: nothing is left out, nothing counts twice, and a gain counts only when it is one."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from evolve.executors.inline import InlineExecutor
from evolve.history import History
from evolve.model import Cost, Effect, Outcome, Trial
from evolve.reports.cost import Spent, by_model, by_operator, by_purpose, confirmed_gain, print_cost
from tests.evolve import toy
from tests.evolve.individuals import individual


def printed(history: History, width: int = 120) -> str:
    out = StringIO()
    print_cost(Console(file=out, width=width), history)
    return out.getvalue()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> History:
    """A run of which the machine spoiled some trials, and that was killed in the middle and went on."""
    directory = tmp_path_factory.mktemp("cost")
    spoiled: set[int] = set()

    def spoil(trial: Trial) -> Outcome:
        if len(spoiled) < 3 and trial.purpose == "tune" and id(trial) not in spoiled:
            spoiled.add(id(trial))
            return Outcome("infrastructure", {}, "", 0.125, "toy", "the judge died")
        return toy.run_trial(trial)

    for generations in (2, 4):
        executor = InlineExecutor(spoil)
        loop = toy.make_loop(directory, generations, executor)
        loop.history.apply(loop.store.append("session", f"session/{generations}", {"slots": 1}))
        loop.run(toy.SEED)
        executor.close()
        if generations == 2:
            genome = loop.history.candidates["0"].genome
            body = {"genome": genome.id, "params": {}, "budget": 2.5, "rung": 1.0, "scale": "toy", "seed": 1}
            lost = {"owner": "audit/1", "n": 0, "trial": body | {"purpose": "audit"}}
            loop.history.apply(loop.store.append("trial", "audit/1/trial/0/0", lost))
        loop.store.close()
    return loop.history


def test_every_charged_second_has_a_purpose_and_somebody_who_spent_it(run: History) -> None:
    found = by_purpose(run)
    assert found["lost"] == (4, pytest.approx(2.5 + 3 * 0.125))
    assert list(found) == ["smoke", "tune", "rung", "confirm", "audit", "control", "lost"]
    assert sum(seconds for _, seconds in found.values()) == pytest.approx(run.charged)
    assert sum(n for n, _ in found.values()) == run.statuses.total()
    spent = by_operator(run)
    assert sum(s.charged for s in spent) == pytest.approx(run.charged)
    assert sum(s.children for s in spent) == len(run.matings)
    assert [s.name for s in spent[-3:]] == ["seed program", "controls of the seed", "audits of ancestors"]


def test_the_table_adds_up(run: History) -> None:
    text = printed(run)
    gained = sum(map(confirmed_gain, run.candidates.values()))
    assert gained > 0
    (total,) = [line.split() for line in text.splitlines() if line.startswith("in all")]
    charged = sum(spent.charged for spent in by_operator(run))  # in the table's order: half a tenth rounds either way
    assert total[3:5] == [f"{charged:,.1f}", "100.0%"] or total[3:5] == [f"{charged:,.0f}", "100.0%"]
    assert total[-2:] == [f"{gained:.4f}", f"{gained / run.charged * 1000:.4f}"]
    assert "USD" not in text and "By language model" not in text
    assert "Slots stood empty while a child was being made" in text


@pytest.mark.parametrize(
    ("changed", "gain"),
    [
        ({}, 0.5),
        ({"effect": Effect(-0.5, 1.0, 0.3)}, 0.0),  # within two standard errors
        ({"effect": Effect(-0.5, 1.0)}, 0.0),  # of which nobody knows the error
        ({"effect": Effect(0.5, 1.0, 0.1)}, 0.0),
        ({"effect": None}, 0.0),
        ({"quarantined": "causality"}, 0.0),
        ({"fitness": individual(1, 1.0, 1.0, n=2).fitness}, 0.0),  # not confirmed
    ],
)
def test_a_gain_counts_when_it_is_clear_confirmed_and_honest(changed: dict[str, object], gain: float) -> None:
    child = replace(individual(1, 1.0, 1.0, parents=(0,)), effect=Effect(-0.5, 1.0, 0.1))
    assert confirmed_gain(replace(child, **changed)) == gain  # type: ignore[arg-type]


def test_ways_of_asking_a_model_are_one_model() -> None:
    one, two = Cost(2.0, 1, 100, 0, 50, 0.25), Cost(1.0, 1, 10, 0, 5, 0.5)
    rows = [
        Spent("mutate@a", 2, 10.0, one, 0.5),
        Spent("repair@a", 1, 1.0, two, 0.25),
        Spent("mutate@b", 1, 20.0, two),
        Spent("tune", 3, 5.0),
        Spent("seed program", 0, 7.0),
    ]
    assert by_model(rows) == [
        Spent("b", 1, 20.0, two),
        Spent("a", 3, 11.0, one + two, 0.75),
        Spent("none", 3, 12.0),
    ]
    assert by_model(rows[3:]) == []


def test_dollars_and_tokens_of_a_model_fit_into_80_columns(run: History, monkeypatch: pytest.MonkeyPatch) -> None:
    cost = Cost(1234.0, 3, 1_000_000, 5_000_000, 30_000, 12.5)
    child = next(c for c in run.candidates.values() if c.index and confirmed_gain(c))
    name = "crossover@[b]some-model-of-10"
    monkeypatch.setitem(run.matings, child.index, replace(run.matings[child.index], operator=name))
    monkeypatch.setitem(run.candidates, child.id, replace(child, cost=cost))
    text = printed(run, 80)
    assert all(len(line) <= 80 for line in text.splitlines()) and "…" not in text
    rows = text.partition("By language model")[2].splitlines()
    row = next(line.split() for line in rows if "6,030,000" in line)
    gain = confirmed_gain(child)
    assert row[-5:] == ["6,030,000", "12.50", f"{gain:.4f}", row[-2], f"{gain / 12.5:.4f}"]


@pytest.mark.parametrize("width", [50, 60, 80])
def test_a_sum_is_whole_where_there_is_little_room(run: History, width: int) -> None:
    text = printed(run, width)
    assert all(len(line) <= width for line in text.splitlines())
    gained = sum(map(confirmed_gain, run.candidates.values()))
    (total,) = [line.split() for line in text.splitlines() if line.startswith("in all")]
    assert total[-2:] == [f"{gained:.4f}", f"{gained / run.charged * 1000:.4f}"]
    assert ("Left out for want of room: " in text) is (width < 60)


def test_a_run_that_only_began_cost_nothing(tmp_path: Path) -> None:
    executor = InlineExecutor(toy.run_trial)
    loop = toy.make_loop(tmp_path, 1, executor)
    assert printed(loop.history) == "Nothing was charged yet: no trial has ended.\n"
    loop.store.close()
    executor.close()
