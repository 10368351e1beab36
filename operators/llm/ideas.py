"""Notes from outside: `ideas/*.md` beside the target's `program.md`, one idea a file, the file's name is the idea's.

They are read anew for each request, so a file that is added or changed while a run is on is picked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

OFFERED = 2  # in one request
LONGEST = 2000  # characters of a note


@dataclass(frozen=True)
class Idea:
    """A note by its name."""

    name: str
    text: str


def read_ideas(folder: Path) -> list[Idea]:
    """All notes by name; a file that cannot be read as text is passed over."""
    found = []
    for path in sorted(folder.glob("*.md")):
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text:
            found.append(Idea(path.stem, text[:LONGEST]))
    return found


def offer(ideas: Sequence[Idea], seed: int, used: Sequence[str]) -> tuple[Idea, ...]:
    """One or two notes, drawn; those that children were made of already are less likely, by 1 / (1 + times)."""
    rng, rest, chosen = Random(f"{seed}:ideas"), list(ideas), []
    for _ in range(min(rng.randint(1, OFFERED), len(rest))):
        idea = rng.choices(rest, [1 / (1 + used.count(i.name)) for i in rest])[0]
        rest.remove(idea)
        chosen.append(idea)
    return tuple(chosen)
