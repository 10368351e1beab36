"""What was tried and what came of it, in a line a candidate: for people, and for whoever proposes the next one."""

from __future__ import annotations

import re

from evolve.model import Candidate

QUOTED = 300  # characters of what a program said, at most
HYPOTHESIS = 240


def entry(candidate: Candidate) -> str:
    """`17 mutate of 12: hypothesis [replace GPT.forward] expected -0.030, measured -0.051±0.020 at 1: helps`."""
    if candidate.index == 0:
        return "0: the program that everything began with"
    edits = ", ".join(f"{edit.op} {edit.target}" for edit in candidate.edits[:6])
    more = f" and {len(candidate.edits) - 6} more" if len(candidate.edits) > 6 else ""
    expected = f" expected {candidate.expected:+.3f}," if candidate.expected is not None else ""
    what = cut(candidate.hypothesis, HYPOTHESIS) or "no child"
    places = f" [{edits}{more}]" if edits else ""
    parents = " and ".join(candidate.parents) or "nobody"
    return f"{candidate.id} {candidate.operator} of {parents}: {what}{places}{expected} {verdict(candidate)}"


def verdict(candidate: Candidate) -> str:
    """What was measured, with its uncertainty, and a word for it; a dead end is called one."""
    if candidate.verdict == "rejected":
        return f"refused: {cut(candidate.reason, QUOTED)}"
    if candidate.verdict == "duplicate":
        return f"seen before: {candidate.reason}"
    if candidate.reason.startswith("infrastructure"):
        return f"not measured, the machine failed: {crash(candidate.reason)}"
    if candidate.verdict == "failed":
        return f"dead end, {crash(candidate.reason)}"
    effect = candidate.effect
    if effect is None:
        return "not measured"
    error = f"±{effect.error:.3f}" if effect.error is not None else ""
    word = "no clear difference" if not effect.clear else "helps" if effect.delta < 0 else "hurts, a dead end"
    return f"measured {effect.delta:+.3f}{error} at {effect.rung:g} of the budget: {word}"


def crash(reason: str) -> str:
    """Class and line of an error, then at most `QUOTED` characters of its message, in quotes: it is data, no advice."""
    found = re.match(r"(?P<when>[^:]*): (?P<what>\w{1,60}(?: at line \d+)?): (?P<message>.*)", reason, re.S)
    if not found:
        return f'"{cut(reason, QUOTED)}"'
    return f'{found["when"]}: {found["what"]}, quoted: "{cut(found["message"], QUOTED)}"'


def cut(text: str, most: int) -> str:
    """One line of at most `most` characters, without quotation marks and other characters that could end a quote."""
    line = " ".join(text.replace('"', "'").replace("`", "'").split())
    return line if len(line) <= most else line[: most - 1] + "…"
