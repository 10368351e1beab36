"""Repair by a language model: a program that crashed before anything was measured, mended with its idea kept."""

from __future__ import annotations

import re
from dataclasses import replace

from evolve.journal import crash
from evolve.model import Briefing, Mating, Proposal, Rejected
from operators.llm import prompt
from operators.llm.children import child_of
from operators.llm.office import Office
from operators.llm.prompt import Setting
from operators.llm.wire import Block, Request

_LINE = re.compile(r" at line (\d+):")


class Repair:
    """An `Operator` whose parent is a child that failed."""

    arity = 1
    mended_by = ""

    def __init__(self, office: Office) -> None:
        self.name = f"repair@{office.model}"
        self._office = office

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        """The mended program. It keeps the name of the idea that the failed one was made from."""
        broken = mating.parents[0]

        def ask(mating: Mating, briefing: Briefing, setting: Setting) -> tuple[Block, ...]:
            error, line = crash(broken.reason), failing_line(broken.genome.source, broken.reason)
            return prompt.mending(mating, briefing, setting, error, line)

        def child(text: str, request: Request) -> Proposal:
            _, made = child_of(broken, text, prompt.only_place(request), self._office.reader, briefing)
            return replace(made, idea=broken.idea)

        return self._office.converse("repair", mating, briefing, ask, child)


def failing_line(source: str, reason: str) -> str:
    """The line of the program that an error names, "" if it names none."""
    found, lines = _LINE.search(reason), source.splitlines()
    number = int(found[1]) if found else 0
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""
