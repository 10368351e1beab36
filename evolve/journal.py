"""What was tried and what came of it, in a line a candidate: for people, and for whoever proposes the next one."""

from __future__ import annotations

import re

from evolve.model import Candidate, Effect

QUOTED = 300  # characters of what a program said, at most
HYPOTHESIS = 240
POINTS = 10  # of a loss curve
LOG = 1_000_000  # characters of a log that are read, from its end
LARGEST_LOSS, LONGEST_LOSS = 100, 8  # others are left out, or a log could spell a text in numbers
LOOKED_AT = 20  # times as many characters of a text as may be kept of it: a program may say megabytes

_LOSS = re.compile(r"\bloss\b[ =:]*(\d+\.\d+)", re.I)


def entry(candidate: Candidate) -> str:
    """`17 mutate of 12: hypothesis [replace GPT.forward] expected -0.030, measured -0.051±0.020 at 1: helps`."""
    if candidate.index == 0:
        return "0: the program that everything began with"
    parents = " and ".join(candidate.parents) or "nobody"
    if candidate.quarantined:  # no word of what it did: nobody is to try it again
        return f"{candidate.id} {candidate.operator} of {parents}: {verdict(candidate)}"
    edits = ", ".join(f"{edit.op} {edit.target}" for edit in candidate.edits[:6])
    more = f" and {len(candidate.edits) - 6} more" if len(candidate.edits) > 6 else ""
    expected = f" expected {candidate.expected:+.3f}," if candidate.expected is not None else ""
    what = cut(candidate.hypothesis, HYPOTHESIS) or "no child"
    places = f" [{edits}{more}]" if edits else ""
    return f"{candidate.id} {candidate.operator} of {parents}: {what}{places}{expected} {verdict(candidate)}"


def verdict(candidate: Candidate) -> str:
    """What was measured, with its uncertainty, and a word for it; a dead end is called one."""
    if candidate.quarantined:
        return f"was quarantined: {cut(candidate.quarantined, QUOTED)}"
    if candidate.verdict == "rejected":
        return f"refused: {cut(candidate.reason, QUOTED)}"
    if candidate.verdict == "duplicate":
        return f"seen before: {cut(candidate.reason, QUOTED)}"
    if candidate.reason.startswith("infrastructure"):
        return f"not measured, the machine failed: {crash(candidate.reason)}"
    if candidate.verdict == "failed":
        return f"dead end, {crash(candidate.reason)}"
    effect = candidate.effect
    if effect is None:
        return _without_effect(candidate)
    word = "no clear difference" if not effect.clear else "helps" if effect.delta < 0 else "hurts, a dead end"
    return f"measured {difference(effect)} at {effect.rung:g} of the budget: {word}"


def difference(effect: Effect) -> str:
    """`-0.051±0.020`: the change and its standard error, where that is known."""
    return f"{effect.delta:+.3f}" + (f"±{effect.error:.3f}" if effect.error is not None else "")


def _without_effect(candidate: Candidate) -> str:
    """Who was trained at some rung was measured, also where no ancestor can be compared with it."""
    if not candidate.rung:
        return "not measured"
    why = cut(candidate.reason, QUOTED) or "no ancestor was, so its effect is not known"
    return f"trained at {candidate.rung:g} of the budget: {why}"


def crash(reason: str) -> str:
    """Class and line of an error, then at most `QUOTED` characters of its message, in quotes: it is data, no advice."""
    found = re.match(
        r"(?P<when>[^:]{1,80}): (?P<what>\w{1,60}(?: at line \d+)?): (?P<message>.*)",
        reason[: LOOKED_AT * QUOTED],
        re.S,
    )
    if not found:
        return f'"{cut(reason, QUOTED)}"'
    return f'{cut(found["when"], 80)}: {found["what"]}, quoted: "{cut(found["message"], QUOTED)}"'


def loss_curve(log: str) -> list[float]:
    """At most `POINTS` of the losses in a log, evenly spaced, the first and the last among them: a program's own words,
    to be shown and never to be judged by."""
    found = [number for number in _LOSS.findall(log[-LOG:]) if len(number) <= LONGEST_LOSS]
    losses = [loss for loss in map(float, found) if loss < LARGEST_LOSS]
    if len(losses) <= POINTS:
        return losses
    return [losses[round(i * (len(losses) - 1) / (POINTS - 1))] for i in range(POINTS)]


def plain(text: str) -> str:
    """Text of a program without what could steer a terminal, hide or turn round other text, or cannot be encoded."""
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)


def cut(text: str, most: int) -> str:
    """One line of at most `most` characters, without quotation marks and other characters that could end a quote."""
    line = " ".join(plain(text[: LOOKED_AT * most]).replace('"', "'").replace("`", "'").split())
    return line if len(line) <= most else line[: most - 1] + "…"
