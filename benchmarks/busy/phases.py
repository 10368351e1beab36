"""Where the wall time of trials goes, as arithmetic and as tables: shares, and throughput inside against outside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from evolve.model import Estimate
from evolve.objectives import estimate

PHASES = ("start", "startup", "training", "evaluation", "rest")
HEADS = {
    "start": "process or box, s",
    "startup": "build and compile, s",
    "training": "training, s",
    "evaluation": "evaluation, s",
    "rest": "rest, s",
}
OUTSIDE = "plain"


@dataclass(frozen=True)
class Measurement:
    """One trial: wall seconds by phase, tokens and steps trained, bits per byte."""

    phases: Mapping[str, float]
    tokens: int
    steps: int
    val_bpb: float

    @property
    def wall(self) -> float:
        return sum(self.phases.values())

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.phases["training"]


BySeed = Mapping[int, Measurement]


def busy(trials: Sequence[Measurement], *also: str) -> Estimate:
    """Training's share, and that of phases besides, of the wall time of trials that follow one another.

    A ratio of sums; its standard error is that of a ratio estimator (Cochran 1977, section 6.4).
    """
    wall = [trial.wall for trial in trials]
    parts = [sum(trial.phases[name] for name in ("training", *also)) for trial in trials]
    share, n = sum(parts) / sum(wall), len(trials)
    if n < 2:
        return Estimate(share, n)
    rest = sum((part - share * whole) ** 2 for part, whole in zip(parts, wall, strict=True))
    return Estimate(share, n, math.sqrt(rest / (n - 1) / n) / fmean(wall))


def throughput_ratio(inside: BySeed, outside: BySeed) -> Estimate | None:
    """Tokens a second inside over outside, paired by seed: the geometric mean, its error by the delta method."""
    logs = [math.log(inside[s].tokens_per_second / outside[s].tokens_per_second) for s in _both(inside, outside)]
    if not logs:
        return None
    found = estimate(logs)
    ratio = math.exp(found.mean)
    return Estimate(ratio, found.n, None if found.sem is None else ratio * found.sem)


def loss_difference(inside: BySeed, outside: BySeed) -> Estimate | None:
    """Bits per byte inside minus outside, paired by seed."""
    pairs = [inside[seed].val_bpb - outside[seed].val_bpb for seed in _both(inside, outside)]
    return estimate(pairs) if pairs else None


def _both(inside: BySeed, outside: BySeed) -> list[int]:
    return sorted(inside.keys() & outside.keys())


def summary(ways: Mapping[str, BySeed]) -> dict[str, dict[str, Any]]:
    """Estimates by way that has trials, and by what is estimated."""
    outside = ways.get(OUTSIDE, {})
    found: dict[str, dict[str, Any]] = {}
    for way, by_seed in ways.items():
        if not by_seed:
            continue
        trials = list(by_seed.values())
        found[way] = {
            **{name: estimate([trial.phases[name] for trial in trials]) for name in PHASES},
            "wall": estimate([trial.wall for trial in trials]),
            "busy": busy(trials),
            "busy_with_evaluation": busy(trials, "evaluation"),
            "tokens_per_second": estimate([trial.tokens_per_second for trial in trials]),
            "val_bpb": estimate([trial.val_bpb for trial in trials]),
        }
        if way != OUTSIDE:
            found[way] |= {
                "throughput_ratio": throughput_ratio(by_seed, outside),
                "loss_difference": loss_difference(by_seed, outside),
            }
    return found


def table(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Two tables of one budget, in lines of Markdown."""
    lines = [f"| way | n | {' | '.join(HEADS.values())} | wall, s | busy | busy or evaluating |"]
    lines += ["|---|--:|" + "--:|" * (len(HEADS) + 3)]
    for way, row in found.items():
        cells = [f"{row[name].mean:.2f}" for name in PHASES] + [_number(row["wall"], ".1f")]
        cells += [_number(row[name], ".1f", 100, " %") for name in ("busy", "busy_with_evaluation")]
        lines.append(f"| {way} | {row['wall'].n} | {' | '.join(cells)} |")
    lines += ["", f"| way | tokens/s | of {OUTSIDE}'s | val_bpb | less {OUTSIDE}'s | pairs |", "|---|" + "--:|" * 5]
    for way, row in found.items():
        ratio, difference = row.get("throughput_ratio"), row.get("loss_difference")
        cells = [_number(row["tokens_per_second"], ",.0f"), _number(ratio, ".2f", 100, " %")]
        cells += [_number(row["val_bpb"], ".4f"), _number(difference, "+.4f"), str(ratio.n) if ratio else ""]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return lines


def _number(value: Estimate | None, form: str, factor: float = 1.0, unit: str = "") -> str:
    if value is None:
        return ""
    error = "" if value.sem is None else f" ± {factor * value.sem:{form.lstrip('+')}}"
    return f"{factor * value.mean:{form}}{error}{unit}"
