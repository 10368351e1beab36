"""The attacks: one program a file, with what it attempts and what has to come of it in comment lines at its top.

    # row: 21                     of the list of behaviours
    # attempts: ...               what it does where nothing stops it
    # expects: ok|invalid         the status of the outcome; ok where the attempt is in vain and the run is scored
    # violation: causality        of the verdict, where it is a proven one; alternatives as in a regular expression
    # reason: ^deadline           a pattern that is found in the reason
    # defence: ...                what stops it
    # off: landlock mount         defences of weakened.py; without them it does harm
    # false score: below 3        a loss that the program cannot have earned
    # purpose, budget, share      of the trial; share is of the full evaluation
    # twice: yes                  it runs two times; `compare: tune audit` once for each purpose
    # watch: yes                  its processes are looked at while it runs
    # slow: yes                   only with `-m slow`
    # harm: ...                   what it is known to do all the same, by its beginning
    # open: why                   nothing stops it yet
    # unsafe: why                 not tried without its defence; `note` says more
    # gpu: yes                    it needs a GPU, and runs in gpu_laboratory.py
    # judge: key=value ...        values of the scale and the judge that it is run with there, others than usual
    # says: HOLDS                 there: a pattern that is found in its log where the attempt was made at all
    # harmful: FOUND [1-9]        there: one that is found in it where the attempt was no failure
    # at L ...: ...               the same keys where level L of the isolation differs

Words in angle brackets in a program, such as <scratch>, are filled in by the laboratory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDER = Path(__file__).parent / "programs"
KNOWN = {
    "row", "attempts", "expects", "violation", "reason", "defence", "off", "false score", "purpose", "budget",
    "share", "twice", "compare", "watch", "slow", "unsafe", "note", "harm", "open",
    "gpu", "judge", "says", "harmful",
}  # fmt: skip
HEADER = re.compile(r"# ((?:at L )?[a-z ]+): ?(.*)")


@dataclass(frozen=True)
class Program:
    """One attack and what is expected of it at a level of the isolation."""

    path: Path
    level: str = "N"

    @property
    def name(self) -> str:
        return self.path.stem

    @cached_property
    def source(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def header(self) -> dict[str, str]:
        lines = self.source.splitlines()
        found = []
        while lines and (match := HEADER.fullmatch(lines.pop(0))):
            found.append((match[1], match[2].strip()))
        plain = {key: value for key, value in found if not key.startswith("at L ")}
        changed = {key.removeprefix("at L "): value for key, value in found if key.startswith("at L ")}
        unknown = (plain.keys() | changed.keys()) - KNOWN
        assert not unknown, f"{self.path.name}: unknown keys {unknown}"
        return plain | (changed if self.level == "L" else {})

    def __getitem__(self, key: str) -> str:
        return self.header.get(key, "")

    @property
    def budget(self) -> float:
        return float(self["budget"] or 0.05)

    @property
    def share(self) -> float:
        """Of the full budget, and so of the rows of a full evaluation."""
        return float(self["share"] or 0.02)

    @property
    def purposes(self) -> list[str]:
        return (self["compare"] or self["purpose"] or "tune").split()

    @property
    def earned(self) -> float:
        """Bits per byte below which a score is false."""
        return float(self["false score"].removeprefix("below") or 2.0)

    def faults(self, outcome: dict[str, object]) -> list[str]:
        """Where an outcome is not what is expected."""
        wanted = (
            ("status", self["expects"], outcome["status"]),
            ("violation", self["violation"], outcome["violation"]),
        )
        faults = [
            f"{name} {value!r} instead of {pattern!r}"
            for name, pattern, value in wanted
            if not re.fullmatch(pattern, str(value))
        ]
        if not re.search(self["reason"], str(outcome["reason"])):
            faults.append(f"reason {outcome['reason']!r} has nothing of {self['reason']!r}")
        return faults


def programs(level: str = "N", gpu: bool = False) -> list[Program]:
    """Those that need no GPU, or those that do."""
    every = [Program(path, level) for path in sorted(FOLDER.glob("*.py"))]
    return [program for program in every if bool(program["gpu"]) == gpu]
