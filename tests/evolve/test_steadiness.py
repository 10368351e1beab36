"""What is said of a machine that was not the same all the time, and where it is said."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from evolve.effects import pooled
from evolve.history import History
from evolve.model import Outcome, Trial
from evolve.page.data import facts_of
from evolve.reports.front import print_front
from evolve.reports.show import print_candidate
from evolve.reports.state import state_of
from evolve.reports.steadiness import drifts, unsteady
from evolve.reports.watch import Look, facts
from tests.evolve import toy
from tests.evolve.runs import replayed, run


def on_a_gpu(trial: Trial) -> Outcome:
    """A device that does not change, but for a smoke test in which it was looked at once."""
    outcome = toy.run_trial(trial)
    held = 1.0 if trial.purpose == "smoke" else 0.05
    measured = {"tokens_per_second": 1e6, "throttled_share": held, "sm_mhz_median": 1980.0}
    return replace(outcome, metrics={**outcome.metrics, **measured}) if outcome.status == "ok" else outcome


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("steady") / "run"
    run(directory, 3, on_a_gpu)
    return directory


@pytest.fixture
def history(ran: Path) -> History:
    found = replayed(ran)
    assert len(found.controls) > 1 and unsteady(found) == []
    return found


def change(history: History, **metrics: float) -> None:
    """The last control found these."""
    last = history.controls[-1]
    history.controls[-1] = replace(last, metrics={**last.metrics, **metrics})


@pytest.mark.parametrize(("rate", "said"), [(0.969e6, "-3.1% to +0.0%"), (1.05e6, "+0.0% to +5.0%"), (0.971e6, "")])
def test_the_seed_s_speed_may_differ_by_three_percent(history: History, rate: float, said: str) -> None:
    change(history, tokens_per_second=rate)
    line = (
        f"Speed drifts: the seed trained at 1,000,000 tokens/s at first, and in {len(history.controls)} controls "
        f"since at {said} of that."
    )
    assert unsteady(history) == ([line] if said else [])


def test_where_a_judge_charges_by_the_core_s_speed_a_slow_core_is_no_drift(ran: Path) -> None:
    history = replayed(ran)
    history.outcomes = {
        place: replace(o, metrics={**o.metrics, "core_speed": 1.0}) for place, o in history.outcomes.items()
    }
    change(history, tokens_per_second=5e5)
    assert unsteady(history) == []


def test_the_seed_s_loss_may_differ_by_its_noise_and_more_the_more_controls_there_are(history: History) -> None:
    found, first = pooled(history.candidates.values(), history.all_rungs[0]), history.controls[0].metrics["loss"]
    assert found is not None
    noise, freedom = found
    most = math.sqrt(2) * stats.t.isf(0.025 / len(history.controls), freedom)
    change(history, loss=first + (most - 0.01) * noise)
    assert unsteady(history) == []
    change(history, loss=first - (most + 0.01) * noise)
    (said,) = unsteady(history)
    assert said.startswith(f"Losses drift: the seed's was {first:.4f} at first, and in ")
    assert said.endswith(f" {-(most + 0.01) * noise:+.4f} from that, where its noise is {noise:.4f}.")


@pytest.mark.parametrize(
    ("controls", "freedom", "least"), [(1, 2, 0.03), (200, 2, 0.0), (20, 30, 0.02), (200, 30, 0.01)]
)
def test_losses_of_a_steady_machine_are_seldom_said_to_drift(controls: int, freedom: int, least: float) -> None:
    draw = np.random.default_rng(controls)
    noises = np.sqrt(draw.chisquare(freedom, 2000) / freedom)
    losses = draw.standard_normal((2000, controls + 1))
    alarms = [drifts(list(row[1:] - row[0]), noise, freedom) for row, noise in zip(losses, noises, strict=True)]
    assert least <= np.mean(alarms) < 0.06, np.mean(alarms)


def test_a_control_that_failed_tells_of_no_drift(history: History) -> None:
    history.controls = [Outcome("crashed", reason="lost"), history.controls[0]]
    assert unsteady(history) == []


def test_trainings_that_were_throttled_are_counted_and_told_wherever_the_run_is(ran: Path, history: History) -> None:
    place = next(p for p, trial in history.trials.items() if trial.purpose == "rung")
    found = history.outcomes[place]
    history.outcomes[place] = replace(
        found, metrics={**found.metrics, "throttled_share": 0.42, "sm_mhz_median": 1310.0}
    )
    (said,) = unsteady(history)
    all_of_them = sum(t.purpose != "smoke" and history.outcomes[p].status == "ok" for p, t in history.trials.items())
    assert said == (
        f"Throttled by heat or power for more than 5% of their time: 1 of {all_of_them} trainings, at most 42%; "
        "median clocks 1,310 to 1,980 MHz."
    )
    assert said in printed(lambda console: print_front(console, history))
    assert history.seed and said in printed(lambda console: print_candidate(console, history, history.seed))
    assert facts(Look(state_of(ran, history), history, []), 0.0)["machine"] == said
    assert said in facts_of(ran, history).remarks


def printed(show: Callable[[Console], None]) -> str:
    out = StringIO()
    show(Console(file=out, width=200))
    return out.getvalue()
