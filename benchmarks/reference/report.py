"""Tables of seed, reference and tuned reference: means with standard errors, what is gained, and how much faster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean, stdev
from typing import Any

from evolve.objectives import estimate, seconds_to_target

SHOWN = {  # metric: heading, factor, format
    "val_bpb": ("val_bpb", 1.0, ".4f"),
    "tokens_per_second": ("tokens/s", 1.0, ",.0f"),
    "step_ms": ("ms a step", 1.0, ".2f"),
    "mfu_reported": ("MFU, reported", 100.0, ".1f"),
    "peak_device_mb": ("device MB", 1.0, ",.0f"),
    "peak_memory_mb": ("host MB", 1.0, ",.0f"),
    "watts": ("W", 1.0, ".0f"),
    "sm_mhz_median": ("SM MHz", 1.0, ".0f"),
    "throttled_share": ("throttled", 100.0, ".0f"),
    "power_capped_share": ("at the power cap", 100.0, ".0f"),
    "startup_seconds": ("s before the clock", 1.0, ".1f"),
    "parameters": ("parameters", 1e-6, ".1f"),
}
UNITS = {"mfu_reported": " %", "throttled_share": " %", "power_capped_share": " %", "parameters": " M"}
Runs = Mapping[str, Mapping[float, Sequence[Mapping[str, float]]]]  # metrics by program, budget and seed
Curves = Mapping[float, Mapping[float, Sequence[float]]]  # losses of the reference by budget and share of it


def summary(runs: Runs, curves: Curves, seeds: int) -> dict[str, Any]:
    """What is known by now, as numbers: each metric with n and standard error, noise, speed-ups."""
    table = [
        {
            "program": name,
            "budget": budget,
            "metrics": {m: asdict(estimate([r[m] for r in rows])) for m in _common(rows)},
        }
        for name, budgets in runs.items()
        for budget, rows in sorted(budgets.items())
        if rows
    ]
    seed = {budget: [m["val_bpb"] for m in rows] for budget, rows in runs["seed"].items() if len(rows) == seeds}
    noise = {f"{budget:g}": stdev(losses) for budget, losses in seed.items() if len(losses) > 1}
    speed = {f"{budget:g}": _speed(curves[budget], seed[budget], budget) for budget in curves if budget in seed}
    told = {"table": table, "noise_of_the_seed": noise, "speed": {b: found for b, found in speed.items() if found}}
    return told | {"of_tuning": _of_tuning(runs)}


def _of_tuning(runs: Runs) -> dict[str, Any]:
    """By how much the loss of the tuned reference is lower than that of the reference, over seeds, by budget."""
    gains = {}
    for budget, rows in runs.get("tuned", {}).items():
        own = runs["reference"].get(budget, ())
        if rows and len(own) == len(rows):
            pairs = zip(own, rows, strict=True)
            gains[f"{budget:g}"] = asdict(estimate([one["val_bpb"] - other["val_bpb"] for one, other in pairs]))
    return gains


def _common(rows: Sequence[Mapping[str, float]]) -> list[str]:
    return [name for name in rows[0] if all(name in row for row in rows)]


def _speed(curve: Mapping[float, Sequence[float]], losses: Sequence[float], budget: float) -> dict[str, Any]:
    """Seconds until the reference has the seed's mean loss of a budget, and the difference of the losses there."""
    if 1.0 not in curve:
        return {}
    target = fmean(losses)
    found: dict[str, Any] = {"target": target, "headroom": target - fmean(curve[1.0])}
    if found["headroom"] >= 0:
        found["seconds_to_target"] = asdict(seconds_to_target(curve, target, budget))
        found["speed_up"] = budget / found["seconds_to_target"]["mean"]
    return found


def report(found: Mapping[str, Any]) -> str:
    """The numbers as Markdown."""
    shown = [name for name in SHOWN if any(name in row["metrics"] for row in found["table"])]
    lines = [
        f"# Seed and reference at the scale {found['scale']}",
        "",
        "Mean ± standard error over seeds. MFU is reckoned from the number of parameters that the program reports.",
        "",
        "| program | s | n | " + " | ".join(SHOWN[name][0] for name in shown) + " |",
        "|---|--:|--:|" + "--:|" * len(shown),
    ]
    for row in found["table"]:
        cells = [_cell(name, row["metrics"].get(name)) for name in shown]
        lines.append(
            f"| {row['program']} | {row['budget']:g} | {row['metrics']['val_bpb']['n']} | {' | '.join(cells)} |"
        )
    lines += ["", "| budget, s | noise of the seed, bpb | headroom, bpb | seconds to the seed's loss | speed-up |"]
    lines += ["|--:|--:|--:|--:|--:|"]
    for budget, speed in found["speed"].items():
        noise = found["noise_of_the_seed"].get(budget)
        until = speed.get("seconds_to_target")
        seconds = "not reached" if until is None else ("< " if until["censored"] else "") + _number(until, 1.0, ".2f")
        factor = f"{'> ' if until['censored'] else ''}{speed['speed_up']:.2f}x" if until else ""
        cells = ["" if noise is None else f"{noise:.4f}", f"{speed['headroom']:+.4f}", seconds, factor]
        lines.append(f"| {budget} | {' | '.join(cells)} |")
    for budget, gain in found["of_tuning"].items():
        lines += ["", f"Tuned, the reference is {_number(gain, 1.0, '.4f')} bpb better at {budget} s, by seed."]
    return "\n".join([*lines, "", f"Measured on: {found['machine']}", ""])


def _cell(name: str, value: Mapping[str, Any] | None) -> str:
    _, factor, form = SHOWN[name]
    return "" if value is None else _number(value, factor, form) + UNITS.get(name, "")


def _number(value: Mapping[str, Any], factor: float, form: str) -> str:
    error = "" if value["sem"] is None else f" ± {factor * value['sem']:{form}}"
    return f"{factor * value['mean']:{form}}{error}"
