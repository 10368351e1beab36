"""From an answer to a child: edits applied, rules checked, and the question whether anything but numbers changed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from textwrap import dedent

from evolve.journal import cut
from evolve.model import Briefing, Candidate, Edit, Genome, Proposal
from operators.genome import NotAllowed, Reader
from operators.knobs import inherit
from operators.llm.answer import Answer, AnswerError, parse
from operators.llm.dialogue import Unusable
from operators.tree import FILE, EditError, addresses, apply, read

WORDS = 300  # of an answer about one place that are kept as its hypothesis
_BLOCK = re.compile(r"^```\w*\n(.*?)^```[ \t]*$", re.S | re.M)

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


def rewritten(text: str, place: str) -> Answer:
    """The answer to a question about one place: a code block with it whole, and words on why. Raises Unusable.

    The block may hold the class that the place is in. An answer in the form of all others does as well.
    """
    block = _BLOCK.search(text)
    if block is None or "EDIT" in text:
        return parsed(text)
    words = cut(_BLOCK.sub(" ", text).replace("HYPOTHESIS:", " ").strip(" #*\n"), WORDS)
    owner = place.rpartition(".")[0]
    whole = re.match(rf"(@.*\n)*class {re.escape(owner)}\b", block[1]) if owner else None
    edit = Edit("replace", owner if whole else place, block[1])
    return Answer(words or f"another version of {place}", None, "", (edit,), ())


def edited(reader: Reader, source: str, answer: Answer, settled: Collection[str] = ()) -> Genome:
    """The genome of a program after the edits of an answer; at `settled` places one may leave all as it is.

    Raises Unusable.
    """
    try:
        text = apply(source, answer.edits)
    except EditError as error:
        raise Unusable("edits", str(error).removesuffix(f", {FILE}")) from error
    for edit in answer.edits:
        if any(line.strip() == "..." for line in edit.code.splitlines()):
            raise Unusable("edits", f"the code for {edit.target} leaves lines out (...): write all of them.")
        if edit.target not in settled:
            _check_changes(source, edit)
    _check_defined_once(source, text)
    try:
        return reader.read(text)
    except NotAllowed as error:
        raise Unusable("rules", str(error)) from error


def child_of(parent: Candidate, text: str, place: str, reader: Reader, briefing: Briefing) -> tuple[Answer, Proposal]:
    """What an answer makes of one parent, with its numbers; `place` is the only one that was asked about, or "".

    Raises Unusable.
    """
    answer = rewritten(text, place) if place else parsed(text)
    genome = edited(reader, parent.genome.source, answer)
    check_new(genome, [parent], briefing)
    anchor = inherit(genome.knobs, parent.params)
    return answer, Proposal(genome, answer.edits, answer.hypothesis, anchor, expected=answer.expected)


def _check_changes(source: str, edit: Edit) -> None:
    """Raises Unusable for code that is what stands there, however it is indented."""
    if edit.op == "replace" and edit.target in addresses(source):
        old, new = (dedent(code).strip("\n") for code in (read(source, edit.target), edit.code.replace("\r\n", "\n")))
        if old == new:
            raise Unusable("edits", f"EDIT replace {edit.target} changes nothing: this code is what stands there.")


def _check_defined_once(source: str, text: str) -> None:
    """Raises Unusable for a name that became bound twice at one level: one of the two has no effect.

    A second `def` that is decorated by the first, such as a property's setter, is no such case.
    """
    for address in sorted(set(addresses(text)) - set(addresses(source))):
        name = re.sub(r"\.\d+$", "", address)
        setter = read(text, address).lstrip().startswith(f"@{name.rpartition('.')[2]}.")
        if name != address and "@" not in name and not setter:
            raise Unusable("edits", f"{name} is defined twice; replace it instead")


def check_new(genome: Genome, parents: Iterable[Candidate], briefing: Briefing) -> None:
    """Raises Unusable for a child that has the structure of a parent, or one that the run has tried."""
    for parent in parents:
        if parent.genome.skeleton == genome.skeleton:
            raise Unusable("same", TUNE.format(parent=f"candidate {parent.id}"))
    for seen in briefing.candidates:
        tried = seen.verdict != "rejected" and not seen.reason.startswith("infrastructure")
        if tried and seen.genome.key == genome.key:
            raise Unusable("known", f"candidate {seen.id} had this structure, and was tried. Propose another one.")
