"""The programs of a run in little room: every line once, and each program as its differences from an ancestor's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Any

from evolve.model import Candidate

Hunk = list[int]  # start and end of what is replaced in the base, then the numbers of the lines that stand there now


class Programs:
    """Add candidates parents first; `table` is what the page unpacks.

    A program is `[base, hunks]`: the number of an earlier program, -1 for an empty one, and hunks in ascending order.
    Equal texts are one program.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}  # of lines
        self._texts: list[list[int]] = []  # programs as numbers of lines
        self._known: dict[str, int] = {}  # genome id to the number of its program
        self._packed: list[list[Any]] = []

    def add(self, candidate: Candidate, ancestors: Iterable[Candidate]) -> int:
        """The number of a candidate's program, kept as a difference from that of the first of `ancestors` known."""
        genome = candidate.genome
        if genome.id not in self._known:
            base = next((self._known[a.genome.id] for a in ancestors if a.genome.id in self._known), -1)
            text = [self._numbers.setdefault(line, len(self._numbers)) for line in genome.source.split("\n")]
            before = self._texts[base] if base >= 0 else []
            self._known[genome.id] = len(self._texts)
            self._texts.append(text)
            self._packed.append([base, hunks(before, text)])
        return self._known[genome.id]

    def table(self) -> dict[str, Any]:
        return {"lines": list(self._numbers), "programs": self._packed}


def hunks(before: Sequence[int], after: Sequence[int]) -> list[Hunk]:
    """What turns one sequence of lines into another; what both begin and end with is not looked at twice."""
    most = min(len(before), len(after))
    head = next((i for i in range(most) if before[i] != after[i]), most)
    most -= head
    tail = next((i for i in range(most) if before[-1 - i] != after[-1 - i]), most)
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [[head + i1, head + i2, *new[j1:j2]] for kind, i1, i2, j1, j2 in blocks if kind != "equal"]
