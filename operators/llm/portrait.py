"""A candidate as a language model sees it: what was measured, in lines. Scores are rounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from evolve.journal import cut, loss_curve, verdict
from evolve.model import Briefing, Candidate, Estimate

ANCESTORS = 8
IN_SHORT = 100  # characters of a hypothesis that stands in the journal too
METRICS = {  # those that are shown, and how
    "tokens_per_second": "{:,.0f} tokens per second",
    "steps": "{:,.0f} steps",
    "parameters": "{:,.0f} parameters",
    "peak_memory_mb": "{:,.0f} MB of memory at most",
    "mfu_reported": "{:.1%} of the device's arithmetic",
}


def score(candidate: Candidate, briefing: Briefing) -> str:
    """All objectives in a few words: `val_bpb 3.412±0.010 (3 seeds), seconds_to_target 8.20`."""
    if candidate.fitness is None:
        losses = briefing.losses.get(candidate.id, {})
        found = [f"{loss:.3f} at {rung} of the budget" for rung, loss in sorted(losses.items(), key=_by_rung)]
        return f"{candidate.verdict}, " + (", ".join(found) or "never measured")
    parts = [f"{name} {_rounded(value)}" for name, value in candidate.fitness.values.items()]
    return ", ".join(parts) + ("" if candidate.fitness.feasible else " (worse than candidate 0)")


def facts(candidate: Candidate, briefing: Briefing) -> list[str]:
    """What was measured of a candidate, a line each."""
    lines = [score(candidate, briefing)]
    losses = sorted(briefing.losses.get(candidate.id, {}).items(), key=_by_rung)
    if len(losses) > 1:
        lines.append("by share of the budget: " + ", ".join(f"{loss:.3f} at {rung}" for rung, loss in losses))
    shown = [text.format(candidate.metrics[name]) for name, text in METRICS.items() if name in candidate.metrics]
    if shown:
        lines.append("at the full budget " + ", ".join(shown))
    if curve := loss_curve(briefing.logs.get(candidate.id, "")):
        lines.append("training loss as it printed it, from start to end: " + " ".join(f"{v:.2f}" for v in curve))
    return lines


def numbers(candidate: Candidate, importance: Mapping[str, float]) -> list[str]:
    """Tuned numbers: those that are not the default or that matter, the most important first."""
    rows = []
    for knob in candidate.genome.knobs:
        value, share = candidate.params.get(knob.address, knob.default), importance.get(knob.address, 0.0)
        if value != knob.default or share >= 0.1:
            weight = f", {share:.0%}" if share >= 0.01 else ""
            rows.append((share, f"{knob.address} = {value:g} (default {knob.default:g}{weight})"))
    return [text for _, text in sorted(rows, key=lambda row: -row[0])]


def lineage(candidate: Candidate, told: Mapping[str, Candidate]) -> list[str]:
    """What a candidate and its ancestors along first parents tried, newest first; the journal says more of each."""
    tried = [c for c in ancestors(candidate, told) if c.edits][:ANCESTORS]
    return [f"{c.id}: {'' if c.quarantined else cut(c.hypothesis, IN_SHORT) + ' '}{verdict(c)}" for c in tried]


def ancestors(candidate: Candidate, told: Mapping[str, Candidate]) -> Iterator[Candidate]:
    """The candidate itself and who came before it along first parents."""
    yield candidate
    while candidate.parents and (parent := told.get(candidate.parents[0])):
        candidate = parent
        yield candidate


def latest_code(candidate: Candidate, most: int = 24) -> str:
    """The code of its last edits, cut to `most` lines; none of one in quarantine."""
    if candidate.quarantined:
        return ""
    lines: Sequence[str] = "\n".join(edit.code.rstrip() for edit in candidate.edits if edit.code).splitlines()
    return "".join(f"{line}\n" for line in lines[:most]) + ("# …\n" if len(lines) > most else "")


def _rounded(value: Estimate) -> str:
    error = f"±{value.sem:.3f}" if value.sem is not None else ""
    return f"{'below ' if value.censored else ''}{value.mean:.3f}{error} ({value.n} seed{'s' if value.n > 1 else ''})"


def _by_rung(pair: tuple[str, float]) -> float:
    return float(pair[0])
