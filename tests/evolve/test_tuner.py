"""Numbers for one program: where a study starts, how it goes on, and that it never leaves a knob's range."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolve.model import Knob, Number, Params
from evolve.tuner import STARTUP, Study, TpeTuner, first_parameters, importance

LR = Knob("lr", "float", 1e-4, 1e-1, True, 1e-3)
BETA = Knob("beta", "float", 0.5, 0.99999, False, 0.9)
HEADS = Knob("heads", "choice", 1, 8, False, 4, (1, 2, 4, 8))
LAYERS = Knob("layers", "int", 1, 12, False, 6)
STEPS = Knob("steps", "int", 1, 10_000, True, 100)
ONE_FLOAT = Knob("one", "float", 0.5, 0.5, True, 0.5)
ONE_INT = Knob("single", "int", 3, 3, False, 3)
ONE_CHOICE = Knob("only", "choice", 7, 7, False, 7, (7,))
KNOBS = (LR, BETA, HEADS, LAYERS, STEPS, ONE_FLOAT, ONE_INT, ONE_CHOICE)
NOTHING = Study(())
DEFAULTS: Params = {}  # an anchor without a number: every knob starts at its default


def allowed(knob: Knob, value: Number) -> bool:
    if knob.kind == "choice":
        return value in knob.values
    return knob.low <= value <= knob.high and (knob.kind == "float" or isinstance(value, int))


def tuner(anchor: Params = DEFAULTS, known: Study = NOTHING, seed: int = 0) -> TpeTuner:
    return TpeTuner(anchor, known, seed)


def study(made: TpeTuner, knobs: Sequence[Knob], count: int, failing: bool = False) -> list[Params]:
    """Ask and tell; the loss is the distance of lr from 0.03 in powers of ten."""
    asked = []
    for _ in range(count):
        params = made.ask(knobs)
        asked.append(params)
        made.tell(params, None if failing else abs(math.log10(params.get("lr", 0.03) / 0.03)))
    return asked


def test_the_anchor_comes_first() -> None:
    assert tuner({"lr": 0.01, "heads": 2}).ask(KNOBS) == {
        **{k.address: k.default for k in KNOBS},
        "lr": 0.01,
        "heads": 2,
    }


def test_an_anchor_outside_the_range_is_moved_inside() -> None:
    anchor = {"lr": 5.0, "heads": 3, "layers": 99, "steps": 0, "unknown": 1}
    first = {"lr": 0.1, "heads": 2, "layers": 12, "steps": 1}
    assert first_parameters((LR, HEADS, LAYERS, STEPS), anchor) == first
    assert tuner(anchor).ask((LR, HEADS, LAYERS, STEPS)) == first


def test_a_known_anchor_is_not_tried_again() -> None:
    known = Study((({"lr": 1e-3}, 1.0),))
    assert tuner({"lr": 1e-3}, known).ask([LR]) != {"lr": 1e-3}


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_every_number_is_allowed(seed: int, failing: bool) -> None:
    """Start-up and TPE alike, also where a range is a single point, and when every trial fails."""
    for params in study(tuner(seed=seed), KNOBS, STARTUP + 4, failing):
        assert set(params) == {k.address for k in KNOBS}
        assert all(allowed(k, params[k.address]) for k in KNOBS)


@given(
    st.floats(1e-6, 1e6),
    st.floats(1.0, 1.001),
    st.booleans(),
    st.integers(0, 100),
    st.floats(-1e7, 1e7, allow_nan=False),
)
@settings(max_examples=40, deadline=None)
def test_rounding_never_leaves_a_narrow_range(low: float, factor: float, log: bool, seed: int, anchor: float) -> None:
    knob = Knob("x", "float", low, low * factor, log, low)
    assert all(allowed(knob, params["x"]) for params in study(tuner({"x": anchor}, seed=seed), [knob], 3))


def test_floats_have_four_digits_and_integers_are_integers() -> None:
    for params in study(tuner(), [LR, LAYERS, STEPS], STARTUP + 4):
        assert params["lr"] == float(f"{params['lr']:.4g}")
        assert type(params["layers"]) is int and type(params["steps"]) is int


def test_start_up_trials_are_small_steps() -> None:
    for seed in range(10):
        for params in study(tuner(seed=seed), [LR], STARTUP):
            assert abs(math.log10(params["lr"] / 1e-3)) < 3 * 0.12 * 4  # four standard deviations


@pytest.mark.parametrize("knob", [HEADS, LAYERS, Knob("at_its_end", "int", 1, 8, False, 1)])
def test_a_discrete_knob_alone_does_move(knob: Knob) -> None:
    """A step that rounds back to where it came from is drawn again."""
    for seed in range(20):
        first, second = study(tuner(seed=seed), [knob], 2)
        assert first != second


def test_a_space_that_is_used_up_does_not_hang() -> None:
    assert study(tuner(), [ONE_INT], STARTUP + 3) == [{"single": 3}] * (STARTUP + 3)
    assert study(tuner(), [], 2) == [{}, {}]


def test_a_study_depends_on_its_seed_and_on_what_was_told_only() -> None:
    one = study(tuner(seed=5), KNOBS, STARTUP + 4)
    assert study(tuner(seed=5), KNOBS, STARTUP + 4) == one
    assert study(tuner(seed=6), KNOBS, STARTUP + 4) != one
    again = tuner(seed=5)
    assert again.ask(KNOBS) == again.ask(KNOBS)
    continued = tuner({}, Study(tuple((p, abs(math.log10(p["lr"] / 0.03))) for p in one[:6])), seed=5)
    assert continued.ask(KNOBS) == one[6]


def test_it_finds_better_numbers() -> None:
    asked = study(tuner(seed=1), [LR, BETA], 20)
    best = min(abs(math.log10(p["lr"] / 0.03)) for p in asked)
    assert best < 0.3 < abs(math.log10(1e-3 / 0.03))


KNOWN = Study(tuple(({"lr": 10.0 ** -(2 + i / 4)}, 5.0 + i / 10) for i in range(8)))


def test_earlier_trials_of_a_structure_count_as_start_up() -> None:
    """With eight trials, the best at 0.01, TPE goes there, though the anchor is far from it."""
    drawn = [
        tuner({"lr": 1e-4}, Study((*KNOWN.trials, ({"lr": 1e-4}, 6.0))), seed).ask([LR])["lr"] for seed in range(20)
    ]
    assert sum(lr > 2e-3 for lr in drawn) >= 15


def test_a_number_that_earlier_trials_lack_counts_as_in_the_anchor() -> None:
    """All eight had no `beta`: as far as anybody knows they had this program's, so TPE begins around it."""
    drawn = []
    for seed in range(20):
        made = tuner({"lr": 0.01, "beta": 0.6}, KNOWN, seed)
        drawn.append(made.ask([LR, BETA])["beta"])
    assert sum(abs(beta - 0.6) < 0.1 for beta in drawn) > len(drawn) / 2 and all(allowed(BETA, beta) for beta in drawn)


def test_failures_do_not_end_the_start_up() -> None:
    failures = Study(tuple((params, None) for params, _ in KNOWN.trials))
    for seed in range(10):
        step = tuner({"lr": 1e-3}, Study((*failures.trials, ({"lr": 1e-3}, 3.0))), seed).ask([LR])["lr"]
        assert abs(math.log10(step / 1e-3)) < 3 * 0.12 * 4


def test_importance_is_the_explained_share_shrunk_by_how_little_was_seen() -> None:
    trials = tuple(({"lr": 10.0**-i, "beta": 0.9}, 2.0 * i) for i in (1, 2, 3, 4))
    found = importance([((LR, BETA), Study(trials))])
    assert found == {"lr": pytest.approx(4 / 12)}
    twice = importance([((LR, BETA), Study(trials))] * 2)
    assert twice["lr"] == pytest.approx(8 / 16)


def test_importance_ignores_failures_levels_and_short_studies() -> None:
    trials = tuple(({"lr": 10.0**-i}, 2.0 * i) for i in (1, 2, 3, 4))
    raised = Study((*((params, loss + 50.0) for params, loss in trials), ({"lr": 0.05}, None)))
    assert importance([((LR,), Study(trials)), ((LR,), raised)]) == {"lr": pytest.approx(8 / 16)}
    assert importance([((LR,), Study(trials[:2]))]) == {}
    flat = Study(tuple((params, 1.0) for params, _ in trials))
    assert importance([((LR,), flat)]) == {"lr": 0.0}
    assert importance([((ONE_FLOAT, ONE_INT, ONE_CHOICE), flat)]) == {}


def test_a_knob_that_was_a_float_in_the_parent_is_an_integer_in_the_child() -> None:
    """Its trials are imported all the same, at the nearest integers; Optuna takes nothing else."""
    assert first_parameters([LAYERS], {"layers": 3.6}) == {"layers": 4}
    known = Study(tuple(({"layers": 2.0 + i / 3}, 3.0 + i) for i in range(8)))
    asked = study(tuner({"layers": 3.6}, known), [LAYERS], STARTUP)
    assert all(type(params["layers"]) is int for params in asked)


def test_numbers_that_failed_are_kept_away_from() -> None:
    """The loss falls with the batch, and above 64 memory is out: of that no loss tells."""
    batch = Knob("batch", "choice", 1, 1024, False, 16, tuple(2**i for i in range(11)))
    knobs, start = (LR, batch), {"lr": 1e-3, "batch": 16}
    known = [(start, 3.6), *(({"lr": 1e-3 + i / 1e4, "batch": 2**i}, 4.0 - i / 10) for i in range(7))]
    failed: list[tuple[Params, float | None]] = [({"lr": 1e-3, "batch": 2**i}, None) for i in (7, 8, 9)]

    def too_large(study: Study) -> int:
        return sum(tuner(start, study, seed=seed).ask(knobs)["batch"] > 64 for seed in range(30))

    assert too_large(Study(tuple(known))) > 20 > 12 > too_large(Study((*known, *failed)))
