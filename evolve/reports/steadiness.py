"""Whether the machine measured the same all the time: what held trainings back, who was there, the seed as control."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from evolve.effects import pooled
from evolve.history import SEED, History
from evolve.journal import QUOTED, cut
from evolve.model import Outcome
from evolve.student import beyond

HELD_BACK = 0.05  # of a training's time, in which heat or power lowered the device's clock
DRIFT = 0.03  # of the seed's tokens per second, where the budget is time on a clock
FALSE_ALARM = 0.05  # the probability that the losses of a steady machine are said to drift, whatever their number
SPEED, THROTTLED, CLOCK = "tokens_per_second", "throttled_share", "sm_mhz_median"
OTHERS = "others_device_mb"  # MiB of the device in the hands of processes that were there when a training began
CHARGED_BY_SPEED = "core_speed"  # a judge that tells it weighs seconds by it: there drift has no effect on a budget


def not_exclusive(hello: Mapping[str, Any]) -> str:
    """A line about a judge that others share its device with; "" where it does not say so."""
    beside = str(hello.get("beside", ""))
    return f"Not exclusive: {cut(beside, QUOTED)}; speeds and losses are not those of a free device." if beside else ""


def unsteady(history: History) -> list[str]:
    """A line with numbers for each way in which the machine was not the same all the time."""
    first, again = _first(history), [o for o in history.controls if o.status == "ok"]
    said = [_held_back(history), _not_alone(history)]
    if first and again:
        said += [_faster_or_slower(first, again), _other_losses(history, first, again)]
    return [line for line in said if line]


def print_unsteady(console: Console, history: History) -> None:
    for line in unsteady(history):
        console.print(line, markup=False, highlight=False)


def _first(history: History) -> Outcome | None:
    """The training of the seed that its controls repeat."""
    trials = (place for place, trial in history.trials.items() if place[0] == SEED and trial.purpose == "tune")
    found = history.outcomes.get(next(trials, (SEED, -1)))
    return found if found and found.status == "ok" else None


def _held_back(history: History) -> str:
    looked = [o for place, o in history.outcomes.items() if history.trials[place].purpose != "smoke"]  # one look or two
    looked = [o for o in looked if THROTTLED in o.metrics]
    held = [o for o in looked if o.metrics[THROTTLED] > HELD_BACK]
    if not held:
        return ""
    most = max(o.metrics[THROTTLED] for o in held)
    clocks = [o.metrics[CLOCK] for o in looked if CLOCK in o.metrics]
    range_of = f"; median clocks {min(clocks):,.0f} to {max(clocks):,.0f} MHz" if clocks else ""
    return (
        f"Throttled by heat or power for more than {HELD_BACK:.0%} of their time: {len(held):,} of {len(looked):,} "
        f"trainings, at most {most:.0%}{range_of}."
    )


def _not_alone(history: History) -> str:
    beside = [o.metrics[OTHERS] for o in history.outcomes.values() if OTHERS in o.metrics]
    if not beside:
        return ""
    return (
        f"On a device that was not exclusive: {len(beside):,} of {len(history.outcomes):,} trainings, beside others "
        f"that held up to {max(beside):,.0f} MiB of it: speeds and losses are not those of a free device."
    )


def _faster_or_slower(first: Outcome, again: Sequence[Outcome]) -> str:
    before = first.metrics.get(SPEED, 0.0)
    rates = [o.metrics[SPEED] for o in again if SPEED in o.metrics]
    if before <= 0 or not rates or CHARGED_BY_SPEED in first.metrics:
        return ""
    low, high = min(rates) / before - 1, max(rates) / before - 1
    if max(-low, high) <= DRIFT:
        return ""
    return (
        f"Speed drifts: the seed trained at {before:,.0f} tokens/s at first, and {_runs(again)} at "
        f"{low:+.1%} to {high:+.1%} of that."
    )


def _other_losses(history: History, first: Outcome, again: Sequence[Outcome]) -> str:
    differences = [o.metrics[history.loss] - first.metrics[history.loss] for o in again]
    noise, freedom = pooled(history.candidates.values(), history.all_rungs[0]) or (0.0, 0)
    if not noise or not drifts(differences, noise, freedom):
        return ""
    farthest = max(differences, key=abs)
    return (
        f"Losses drift: the seed's was {first.metrics[history.loss]:.4f} at first, and {_runs(again)} it was up to "
        f"{farthest:+.4f} from that, where its noise is {noise:.4f}."
    )


def drifts(differences: Sequence[float], noise: float, freedom: int) -> bool:
    """Whether the largest of many differences of two losses is more than chance brings about once in twenty runs.

    `noise` is one loss's standard deviation, with so many degrees of freedom. Bonferroni's bound (Dunn 1961, J. Am.
    Stat. Assoc. 56, 52-64); all differences are to one loss and by one noise, so false alarms are fewer still.
    """
    farthest = max(map(abs, differences))
    return len(differences) * beyond(farthest / math.hypot(noise, noise), freedom) < FALSE_ALARM


def _runs(again: Sequence[Outcome]) -> str:
    return f"in {len(again)} controls since" if len(again) > 1 else "in the control since"
