"""From an answer to a child: edits applied, rules checked, and the question whether anything but numbers changed."""

from __future__ import annotations

from collections.abc import Iterable

from evolve.model import Briefing, Candidate, Genome
from operators.genome import NotAllowed, Reader
from operators.llm.answer import Answer, AnswerError, parse
from operators.llm.dialogue import Unusable
from operators.tree import FILE, EditError, apply

TUNE = "tune, don't mutate: only numbers differ from {parent}, and those are tuned anyway. Change what it does."


def parsed(text: str, takes: bool = False) -> Answer:
    """The answer in parts. Raises Unusable; TAKE lines are for two parents only."""
    try:
        answer = parse(text)
    except AnswerError as error:
        raise Unusable("format", str(error)) from error
    if answer.takes and not takes:
        raise Unusable("format", "TAKE chooses between two parents, and here is one: write EDIT lines.")
    return answer


def edited(reader: Reader, source: str, answer: Answer) -> Genome:
    """The genome of a program after the edits of an answer. Raises Unusable."""
    try:
        return reader.read(apply(source, answer.edits))
    except EditError as error:
        raise Unusable("edits", str(error).removesuffix(f", {FILE}")) from error
    except NotAllowed as error:
        raise Unusable("rules", str(error)) from error


def check_new(genome: Genome, parents: Iterable[Candidate], briefing: Briefing) -> None:
    """Raises Unusable for a child that has the structure of a parent, or one that the run has tried."""
    for parent in parents:
        if parent.genome.skeleton == genome.skeleton:
            raise Unusable("same", TUNE.format(parent=f"candidate {parent.id}"))
    for seen in briefing.candidates:
        tried = seen.verdict != "rejected" and not seen.reason.startswith("infrastructure")
        if tried and seen.genome.key == genome.key:
            raise Unusable("known", f"candidate {seen.id} had this structure, and was tried. Propose another one.")
