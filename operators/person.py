"""A variant that a person wrote, as a child of the program that it comes from."""

from __future__ import annotations

from collections.abc import Callable

from evolve.model import Briefing, Candidate, Genome, Knob, Mating, Number, Proposal, Rejected
from operators.genome import NotAllowed, Reader
from operators.knobs import inherit, spans
from operators.literals import Literal, literals
from operators.tree import diff


class Person:
    """An `Operator` with one parent. `brought` gives the program and the hypothesis for the number of an ask."""

    name = "person"
    arity = 1
    mended_by = ""

    def __init__(self, reader: Reader, brought: Callable[[int], tuple[str, str]]) -> None:
        self._reader = reader
        self._brought = brought

    def propose(self, mating: Mating, briefing: Briefing) -> Proposal | Rejected:
        """The program as it was brought; it was checked then, but the rules of the target may have changed since."""
        source, hypothesis = self._brought(mating.index)
        try:
            return child_of(self._reader, mating.parents[0], source, hypothesis)
        except NotAllowed as refusal:
            return Rejected(str(refusal), stage="rules")


def child_of(reader: Reader, parent: Candidate, source: str, hypothesis: str) -> Proposal:
    """What `source` is to `parent`. Its numbers are the first that are tried, and no part of the structure.

    An exported program holds tuned numbers, and ranges derive from the numbers of a text. So where `parent` has the
    knob and its range holds the number, the text gets the parent's number back: a program that was exported, changed
    and brought back differs in what was changed. What then has the structure of `parent` and other comments is
    `parent` with other numbers: it has no edits. Raises NotAllowed.
    """
    genome = reader.read(source)
    numbers = {knob.address: knob.default for knob in genome.knobs}
    genome = _with_defaults_of(reader, parent.genome, genome)
    if genome.key == parent.genome.key:
        return Proposal(parent.genome, (), hypothesis, inherit(parent.genome.knobs, numbers))
    edits = diff(parent.genome.source, genome.source, note="by a person")
    return Proposal(genome, edits, hypothesis, inherit(genome.knobs, numbers))


def _with_defaults_of(reader: Reader, parent: Genome, child: Genome) -> Genome:
    """The child with the parent's literals, letter by letter, where both have a knob that allows the child's number."""
    known = {knob.address: knob for knob in parent.knobs}
    shared = [k.address for k in child.knobs if k.address in known and _allows(known[k.address], k.default)]
    ours, theirs = (_written(reader, genome.source) for genome in (child, parent))
    text = child.source
    for address in sorted(shared, key=lambda address: ours[address].start, reverse=True):
        text = text[: ours[address].start] + theirs[address].text + text[ours[address].end :]
    return reader.read(text)


def _allows(knob: Knob, number: Number) -> bool:
    return inherit((knob,), {knob.address: number})[knob.address] == number


def _written(reader: Reader, source: str) -> dict[str, Literal]:
    """The literals of the knobs of a program, by address."""
    by_span = {literal.span: literal for literal in literals(source)}
    return {address: by_span[span] for address, span in spans(source, reader.rules.hints).items()}
