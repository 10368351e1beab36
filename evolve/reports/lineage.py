"""Where a candidate comes from, or what came of it, as a tree of lines.

One below the other in the same column are a child and its first parent (or, in a tree of descendants, a parent and its
only child); what begins with ├ or └ is a branch: a further parent, or one of several children.
"""

from __future__ import annotations

import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from evolve.history import History
from evolve.journal import cut, verdict
from evolve.model import Candidate
from evolve.reports.columns import estimate, with_error

NARROW = 30  # columns that a line is given, however deep it is
NAME = 60  # characters of a hypothesis
EDITS = 8  # that are named
MEASURED = ("ok", "pruned", "failed")


@dataclass(frozen=True)
class Line:
    """`first` and `rest` are what the first and the further lines of a text begin with, `name` is an id or ""."""

    first: str
    rest: str
    name: str
    text: str


def print_ancestors(console: Console, history: History, candidate: Candidate, full: bool = True) -> None:
    """From the candidate down to the seed. `full` adds to each step its edits and what it changed."""
    _print(console, _ancestors(history, candidate, "", "", full, {candidate.id}))


def print_descendants(console: Console, history: History, candidate: Candidate) -> None:
    """All that were measured or tried to; refused and repeated children are counted."""
    children: defaultdict[str, list[Candidate]] = defaultdict(list)
    for child in history.candidates.values():
        for parent in child.parents:
            children[parent].append(child)
    _print(console, _descendants(history, candidate, children))


def _ancestors(
    history: History, candidate: Candidate, first: str, rest: str, full: bool, drawn: set[str]
) -> Iterator[Line]:
    """The line of first parents; the branch of a further parent ends where it meets what is drawn elsewhere."""
    chain = [candidate]
    while (parents := chain[-1].parents) and parents[0] not in drawn:
        drawn.add(parents[0])
        chain.append(history.candidates[parents[0]])
    for member in chain:
        goes_on = member is not chain[-1] or bool(member.parents)
        yield Line(first, rest + ("│ " if goes_on else "  "), member.id, about(history, member))
        first = rest
        if full and member.index:
            yield Line(rest + ("│ " if goes_on else "  "), rest + "│ ", "", verdict(member))
            if member.edits:
                yield Line(rest + ("│ " if goes_on else "  "), rest + "│ ", "", _edits(member))
        for name in member.parents[1:]:
            if name in drawn:
                yield Line(f"{rest}├ ", f"{rest}│ ", name, "is drawn elsewhere in this tree")
                continue
            drawn.add(name)
            yield from _ancestors(history, history.candidates[name], f"{rest}├ ", f"{rest}│ ", full, drawn)
    if last := chain[-1].parents:
        yield Line(rest, rest, last[0], "is drawn elsewhere in this tree")


def _descendants(history: History, root: Candidate, children: dict[str, list[Candidate]]) -> Iterator[Line]:
    """Depth first with a stack of its own: a lineage may be longer than Python's."""
    drawn: set[str] = set()
    waiting = [("", "", root)]
    while waiting:
        first, rest, candidate = waiting.pop()
        if candidate.id in drawn:
            yield Line(first, rest, candidate.id, "is drawn above, under another parent")
            continue
        drawn.add(candidate.id)
        known = children.get(candidate.id, [])
        shown = [c for c in known if c.verdict in MEASURED]
        others = Counter(
            {"rejected": "refused", "duplicate": "seen before"}[c.verdict] for c in known if c not in shown
        )
        more = "".join(f"; {n} more {word}" for word, n in others.items())
        text = about(history, candidate) + (f"; {change(candidate)}" if candidate.index else "") + more
        yield Line(first, rest + ("│ " if shown else "  "), candidate.id, text)
        if len(shown) == 1:
            waiting.append((rest, rest, shown[0]))
            continue
        for i, child in enumerate(reversed(shown)):
            waiting.append((f"{rest}├ ", f"{rest}│ ", child) if i else (f"{rest}└ ", f"{rest}  ", child))


def about(history: History, candidate: Candidate) -> str:
    """`merge of 12 and 30: what it tries, 2.3340±0.0021 (3)`."""
    of = f" of {' and '.join(candidate.parents)}" if candidate.parents else ""
    idea = cut(candidate.hypothesis.split(":")[0], NAME) if candidate.edits else ""
    loss = estimate(candidate, history.loss)
    said = [cut(candidate.operator, NAME) + of, *([idea] if idea else []), *([with_error(loss)] if loss else [])]
    return ", ".join([*said, *(["in quarantine"] if candidate.quarantined else [])])


def change(candidate: Candidate) -> str:
    """As in the journal, shorter where there is a number; why there is none."""
    if candidate.verdict == "pruned" and candidate.effect is None:
        return cut(candidate.reason, NAME)
    said = verdict(candidate)
    return (
        said.replace("measured ", "").replace(" of the budget", "").replace(", a dead end", "")
        if candidate.effect
        else said
    )


def _edits(candidate: Candidate) -> str:
    named = ", ".join(f"{e.op} {cut(e.target, NAME)}" for e in candidate.edits[:EDITS])
    more = len(candidate.edits) - EDITS
    return named + (f" and {more} more" if more > 0 else "")


def _print(console: Console, lines: Iterator[Line]) -> None:
    for line in lines:
        text = f"{line.name} {line.text}".strip()
        room = max(NARROW, console.width - max(len(line.first), len(line.rest)))
        for i, part in enumerate(textwrap.wrap(text, room, break_on_hyphens=False) or [""]):
            shown = Text((line.rest if i else line.first) + part)
            if line.name and i == 0:
                shown.stylize("bold", len(line.first), len(line.first) + len(line.name))
            console.print(shown, no_wrap=True, overflow="ignore", crop=False, highlight=False)
