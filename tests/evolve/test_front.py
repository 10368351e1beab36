"""Who is shown of a front, in which order, and how it fits a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from evolve.config import ConfigError
from evolve.history import History
from evolve.model import Candidate, Estimate, Fitness, Genome, Objective, Outcome, Trial
from evolve.reports.columns import columns, decimals, number, ordered
from evolve.reports.front import View, chosen, print_front
from evolve.reports.standing import being_confirmed, knee, measured, standing
from evolve.reports.state import State
from evolve.search import ParetoSearch
from tests.evolve import toy
from tests.evolve.individuals import TWO, individual


def history_of(*children: Candidate, objectives: Sequence[Objective] = TWO) -> History:
    """A seed with the loss 3 at 8 seconds, which is the budget, and children; a third objective is 30,000 for it."""
    history = History(ParetoSearch(objectives, 8, {}, 0))
    history.header = {"settings": {"budget": 8.0, "offspring": 4}, "rungs": [0.25, 0.5, 1.0]}
    names = tuple(o.name for o in objectives)
    for candidate in (individual(0, *(3.0, 8.0, 30_000.0)[: len(names)], names=names), *children):
        history.search.tell(candidate)
    return history


@pytest.fixture
def history() -> History:
    """On the front: 1, 2 and 3; 4 dominated, 5 trained once and not dominated, 6 infeasible, 7 caught, 8 failed."""
    five = individual(5, 0.9, 7.5, n=1)
    caught = replace(individual(7, 0.1, 0.1), quarantined="causality", violation="causality")
    out = individual(6, 3.5, n=1, violation=0.5, names=("loss",))
    return history_of(
        individual(1, 1.0, 6.0, parents=(0,)),
        replace(
            individual(2, 1.2, 2.0, parents=(1,)), metrics={"tokens_per_second": 1234567.0, "peak_memory_mb": 99.5}
        ),
        replace(individual(3, 2.0, 1.0, parents=(1, 2)), operator="crossover@some-model-of-10"),
        individual(4, 2.5, 7.0, n=1),
        five,
        out,
        caught,
        individual(8, verdict="failed"),
    )


def printed(history: History, width: int = 200, state: State | None = None, **view: object) -> str:
    out = StringIO()
    print_front(Console(file=out, width=width), history, View(**view), state)  # type: ignore[arg-type]
    return out.getvalue()


def rows(text: str) -> list[str]:
    """The first cell of each row of the table, the seed's last."""
    below = text.partition("─\n")[2]
    return [line.split()[0] for line in f"\n{below}".partition("\nseed ")[0].splitlines() if line[:4].strip()]


def test_everybody_has_a_standing(history: History) -> None:
    found = {name: standing(history, c) for name, c in history.candidates.items()}
    front = dict.fromkeys("123", "front")
    others = {"0": "dominated", "4": "dominated", "5": "unconfirmed", "6": "infeasible", "7": "quarantined", "8": None}
    assert found == front | others
    assert [c.id for c in measured(history)] == ["1", "2", "3", "5", "0", "4", "6", "7"]


def test_the_front_is_confirmed_and_who_waits_is_named(history: History) -> None:
    text = printed(history)
    assert rows(text) == ["1", "2", "3"]
    assert "Measured too seldom to be on the front, and not dominated: 5 (--all)." in text
    everybody = printed(history, everybody=True)
    assert rows(everybody) == ["1", "2", "3", "5", "4", "6", "7"]
    for name, status in {"5": "unconfirmed", "6": "infeasible", "7": "quarantined", "seed": "dominated"}.items():
        assert any(line.split()[:1] == [name] and line.split()[-1] == status for line in everybody.splitlines())


@pytest.mark.parametrize(
    ("column", "order"),
    [
        ("id", "123"),
        ("loss", "123"),
        ("seconds_to_target", "321"),
        ("speed-up", "321"),
        ("tokens/s", "213"),  # only 2 has any
        ("memory", "213"),
        ("parents", "123"),
        ("operator", "312"),
    ],
)
def test_sorting_is_best_first_and_who_has_no_value_is_last(history: History, column: str, order: str) -> None:
    assert "".join(c.id for c in ordered(history.front, columns(history), column)) == order
    assert "".join(rows(printed(history, sort=column))) == order


def test_every_column_can_be_sorted_by_and_a_wrong_name_lists_them(history: History) -> None:
    found = columns(history)
    for column in found:
        assert sorted(c.id for c in ordered(measured(history), found, column.name)) == list("01234567")
    out = StringIO()
    with pytest.raises(ConfigError, match="no column 'los'.*choose from id, loss, n, seconds_to_target, speed-up"):
        print_front(Console(file=out), history, View(sort="los"), State("running", "Running."))
    assert out.getvalue() == ""


def test_an_objective_that_is_maximised_is_sorted_the_other_way_round() -> None:
    two = (Objective("loss"), Objective("tokens", "maximize"))
    names = ("loss", "tokens")
    children = [individual(1, 1.0, 5.0, names=names), individual(2, 2.0, 9.0, names=names)]
    history = History(ParetoSearch(two, 8, {}, 0))
    history.header = {"settings": {"budget": 8.0, "offspring": 4}, "rungs": [1.0]}
    for candidate in (individual(0, 3.0, 1.0, names=names), *children):
        history.search.tell(candidate)
    assert [c.id for c in ordered(history.front, columns(history), "tokens")] == ["2", "1"]
    assert knee(history.front, two)[0].id == "1"
    with pytest.raises(ConfigError, match="which this run does not have"):
        chosen(history, View(max_seconds=3))


def test_who_is_soon_enough(history: History) -> None:
    assert rows(printed(history, max_seconds=2.0)) == ["2", "3"]
    assert rows(printed(history, max_seconds=2.0, everybody=True)) == ["2", "3", "7"]
    text = printed(history, max_seconds=0.5)
    assert (
        rows(text) == [] and "Nobody is known to reach the target within 0.5 s. The soonest of the front is 3" in text
    )
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="--max-seconds must be a number above 0"):
            printed(history, max_seconds=bad)


def test_the_knee_is_farthest_from_the_line_through_the_extremes(history: History) -> None:
    chosen_one, why = knee(history.front, TWO)
    assert chosen_one.id == "2" and why.startswith("0.42 before the line")  # (1 - 0.2 - 0.2) / sqrt 2
    assert rows(printed(history, knee=True)) == ["2"] and "Knee: 2, 0.42 before" in printed(history, knee=True)
    assert "Knee: 3, the only one there is" in printed(history, knee=True, max_seconds=1.5)


@pytest.mark.parametrize(
    ("members", "picked", "why"),
    [
        ([(1.0, 5.0)], "1", "the only one"),
        ([(1.0, 5.0), (2.0, 1.0)], "1", "none lies before the line"),
        ([(1.0, 5.0), (1.9, 4.0), (2.0, 1.0)], "1", "none lies before the line"),  # bulges away from the ideal
        ([(1.0, 5.0), (1.5, 3.0), (2.0, 1.0)], "1", "none lies before the line"),  # on it
    ],
)
def test_the_knee_of_a_front_that_has_none(members: list[tuple[float, float]], picked: str, why: str) -> None:
    found, said = knee([individual(i, *values) for i, values in enumerate(members, 1)], TWO)
    assert found.id == picked and why in said


def test_a_knee_that_cannot_be_taken(history: History) -> None:
    with pytest.raises(ConfigError, match="no front yet"):
        knee([], TWO)
    with pytest.raises(ConfigError, match="a knee is taken of two objectives; this run has 3"):
        knee(history.front, (*TWO, Objective("memory")))
    with pytest.raises(ConfigError, match="no member of the front is left"):
        printed(history, knee=True, max_seconds=0.5)


@pytest.mark.parametrize("everybody", [False, True])
@pytest.mark.parametrize("width", [80, 120])
def test_no_number_is_cut_into_pieces(history: History, width: int, everybody: bool) -> None:
    text = printed(history, width, everybody=everybody)
    assert all(len(line) <= width for line in text.splitlines()) and "…" not in text
    (line,) = [line for line in text.splitlines() if line.split()[:1] == ["2"]]
    assert line.split()[1:8] == ["1.200±0.010", "3", "2.000±0.010", "4.00x", "1.23M", "100", "2"]


@pytest.mark.parametrize(
    ("value", "text"), [(7.0, "7"), (9999.0, "9,999"), (48_814.0, "48.8k"), (999_499.0, "999k"), (999_999.0, "1.00M")]
)
def test_a_large_number_is_shown_in_five_characters(value: float, text: str) -> None:
    fast = replace(individual(1, 1.0, 0.5), metrics={"tokens_per_second": value})
    assert text in printed(history_of(fast)).split()


def test_one_objective_is_enough() -> None:
    one = (Objective("loss"),)
    history = History(ParetoSearch(one, 8, {}, 0))
    history.header = {"settings": {"budget": 8.0, "offspring": 4}, "rungs": [1.0]}
    for candidate in (individual(0, 3.0, names=("loss",)), individual(1, 2.0, names=("loss",))):
        history.search.tell(candidate)
    assert rows(printed(history)) == ["1"] and rows(printed(history, knee=True)) == ["1"]


def test_a_censored_time_is_a_bound_for_the_speed_up() -> None:
    soon = individual(1, 1.0, 0.5)
    assert soon.fitness
    values = dict(soon.fitness.values) | {"seconds_to_target": Estimate(0.5, 3, None, True)}
    text = printed(history_of(replace(soon, fitness=Fitness(values))))
    assert "<0.500" in text and ">16.00x" in text


def test_without_a_front_that_is_said(history: History) -> None:
    empty = toy.new_history()
    assert printed(empty) == "The seed has not been measured yet: there is no front.\n"
    empty.search.tell(individual(0, verdict="failed"))
    assert "The seed program failed, so there is no front" in printed(empty)


def test_who_is_being_confirmed_is_named_with_what_is_known(history: History) -> None:
    genome = Genome("x")
    for n, loss in enumerate((0.5, 0.7)):
        history.trials["ask/9", n] = Trial(genome, {}, 8.0, 1.0, "toy", n, "rung")
        history.outcomes["ask/9", n] = Outcome("ok", {"loss": loss})
    assert being_confirmed(history) == {}, "nobody said yet that it may"
    history.answers["ask/9", "front/1"] = True
    assert being_confirmed(history) == {"9": (pytest.approx(0.6), 2)}
    assert "Waiting for confirmation, loss so far and of how many trainings: 9 (0.6000 of 2)." in printed(history)


def test_who_was_being_confirmed_when_a_run_ended_waits_for_nothing(history: History) -> None:
    history.trials["ask/9", 0] = Trial(Genome("x"), {}, 8.0, 1.0, "toy", 0, "rung")
    history.outcomes["ask/9", 0] = Outcome("ok", {"loss": 0.5})
    history.answers["ask/9", "front/1"] = True
    ended = (
        "Left unfinished before confirmation, loss so far and of how many trainings: 9 (0.5000 of 1); `resume` goes on"
    )
    interrupted = printed(history, state=State("interrupted", "Interrupted."))
    assert interrupted.startswith("Interrupted.\n") and ended in interrupted and "Waiting" not in interrupted
    assert "Waiting for confirmation" in printed(history, state=State("running", "Running."))
    history.stopped = "2 generations done"
    assert ended in printed(history)


THREE = (*TWO, Objective("tokens_per_second", "maximize"))


@pytest.fixture(scope="module")
def long_ids() -> History:
    """Fifty on a front in three objectives, with ids of four digits of which the first three are often alike."""
    children = [
        replace(
            individual(i, 1.0 + i / 1e4, 8.0 - i / 1e3, 37_993.0 + i / 4, names=tuple(o.name for o in THREE)),
            metrics={"tokens_per_second": 37_993.0 + i / 4, "peak_memory_mb": 84.0},
            operator="crossover@some-model-of-10",
            parents=(str(i - 1), str(i - 2)) if i > 1021 else ("0",),
        )
        for i in range(1020, 1070)
    ]
    return history_of(*children, objectives=THREE)


@pytest.mark.parametrize("everybody", [False, True])
@pytest.mark.parametrize("width", [60, 70, 80, 100, 120, 200])
def test_cells_are_whole_and_a_column_without_room_is_left_out_and_named(
    long_ids: History, width: int, everybody: bool
) -> None:
    text = printed(long_ids, width, everybody=everybody)
    assert all(len(line) <= width for line in text.splitlines()) and "…" not in text
    assert [name for name in rows(text) if name.isdecimal()][:50] == [c.id for c in long_ids.front]
    said = " ".join(text.split()).partition("Left out for want of room: ")[2].partition(" (")[0]
    out = said.split(", ") if said else []
    assert {*out} <= {"memory", "parents", "lines", "operator", "speed-up"}
    assert len(out) >= (2 if width == 60 else 1 if width < 80 and everybody else 0)
    whole = [c for c in columns(long_ids) if c.name not in out and not c.words and (everybody or c.name != "status")]
    for candidate in long_ids.front:
        line = next(line for line in text.splitlines() if line.startswith(f"{candidate.id} "))
        assert {column.text(candidate) for column in whole} <= {*line.split()}
    assert (width == 200) <= (not out)


def test_the_column_that_is_sorted_by_is_not_left_out(long_ids: History) -> None:
    assert "memory" in printed(long_ids, 60).partition("Left out for want of room: ")[2]
    text = printed(long_ids, 60, sort="memory")
    assert " MB" in text and "memory" not in text.partition("Left out for want of room: ")[2]


def test_what_has_no_room_at_all_is_whole_and_too_wide(long_ids: History) -> None:
    out = StringIO()
    print_front(Console(file=out, width=20), long_ids)
    for candidate in long_ids.front:
        line = next(line for line in out.getvalue().splitlines() if line.startswith(f"{candidate.id} "))
        assert columns(long_ids)[1].text(candidate) in line.split()


@pytest.mark.parametrize(
    ("means", "sem", "texts"),
    [
        ((37_993.036, 37_994.9), 100.0, ["37993±100", "37995±100"]),
        ((0.0213, 0.0224), 0.0004, ["0.02130±0.00040", "0.02240±0.00040"]),
        ((2.31314, 3.8161), 0.0032, ["2.3131±0.0032", "3.8161±0.0032"]),
        ((0.0213, 0.0224), None, ["0.021300", "0.022400"]),
        ((0.0, 0.0), 0.0, ["0.0000±0.0000"] * 2),
    ],
)
def test_digits_are_those_that_the_error_leaves(
    means: tuple[float, float], sem: float | None, texts: list[str]
) -> None:
    values = [Estimate(mean, 3, sem) for mean in means]
    assert [number(value, decimals(values)) for value in values] == texts


def test_times_to_the_target_differ_at_a_small_budget() -> None:
    """A run with a budget of a twentieth of a second."""
    history = history_of()
    history.header["settings"]["budget"] = 0.05
    for i, mean in enumerate((0.0213, 0.0224), 1):
        values = {"loss": Estimate(3.0 - i, 3, 0.01), "seconds_to_target": Estimate(mean, 3, 0.0004)}
        history.search.tell(replace(individual(i, 1.0, 1.0), fitness=Fitness(values)))
    text = printed(history)
    assert "0.02130±0.00040" in text and "0.02240±0.00040" in text
