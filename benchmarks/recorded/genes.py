"""Structure as genes: which transformations of the catalogue a program has, written into a text and read from it.

`build` applies transformations to the seed program in alphabetical order; one that is refused beside those before it
is left out, so a genotype is what was applied. `Decoder` goes the other way, for any text: a search applies
transformations in any order, merges and tunes, and tells nobody how a program came to be. So it reads the program and
no record of it: each transformation, alone on the seed, adds lines and takes lines away; a program has the gene if it
has at least half of the added lines that are telling (of few other genes), or, of one that only takes away, lacks all
of those. Numbers are blanked, comments dropped; what a transformation alone is also read as (rotary positions take the
learned ones away) is a part of it. A structure that is not in the table is thus that of its nearest subset of genes;
`agreement` says for how many programs, made in random order, reading gives what was applied.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from evolve.model import Genome, Knob
from operators.catalogue import Refused, transformations
from operators.genome import NotAllowed
from operators.mutate import transformed

_NUMBER = re.compile(r"(?<![\w.])\d[\d_]*\.?\d*(?:e[-+]?\d+)?")
_COMMENT = re.compile(r"\s*#.*$")
TELLING = 3  # genes that may add the same line


@dataclass(frozen=True)
class Change:
    """What one transformation, alone on the seed program, does to the lines of its text (with repetitions)."""

    adds: tuple[str, ...]
    removes: tuple[str, ...]


def alone(seed: Genome, reader: Any) -> dict[str, Genome]:
    """The seed program with each of the transformations that apply to it: the genes, in alphabetical order."""
    built = ((name, build(seed, [name], reader)) for name in transformations())
    return {name: genome for name, (genome, applied) in built if applied}


def changes(seed: Genome, programs: Mapping[str, Genome]) -> dict[str, Change]:
    """Of each gene, from what `alone` gives."""
    before = _lines(seed.source)
    after = {gene: _lines(genome.source) for gene, genome in programs.items()}
    return {
        gene: Change(tuple(sorted((lines - before).elements())), tuple(sorted((before - lines).elements())))
        for gene, lines in after.items()
    }


def others_of(genomes: Sequence[Genome], seed: Genome) -> list[Knob]:
    """The numbers that genes bring, in order of their address; the first declaration of each."""
    found = {k.address: k for genome in reversed(genomes) for k in genome.knobs}
    return [found[address] for address in sorted(found.keys() - {k.address for k in seed.knobs})]


def build(seed: Genome, genes: Iterable[str], reader: Any) -> tuple[Genome, tuple[str, ...]]:
    """The seed program with these genes, and those of them that could be applied."""
    return apply_in_order(seed, sorted(genes), reader)


def apply_in_order(seed: Genome, genes: Sequence[str], reader: Any) -> tuple[Genome, tuple[str, ...]]:
    """Transformations one after the other; what is refused, or not allowed by the rules, is left out."""
    genome, applied = seed, []
    for name in genes:
        if child := _applied(genome, name, reader):
            genome = child
            applied.append(name)
    return genome, tuple(applied)


@lru_cache(maxsize=512)  # most programs begin like others
def _applied(genome: Genome, name: str, reader: Any) -> Genome | None:
    try:
        read: Genome = reader.read(transformed(genome.source, name, Random(0)))
    except (Refused, NotAllowed):
        return None
    return read


class Decoder:
    """Reads the genes of any program that descends from `seed`."""

    def __init__(self, seed: Genome, genes: Mapping[str, Change]) -> None:
        self._seed = _lines(seed.source)
        common = Counter(line for change in genes.values() for line in set(change.adds))
        self._adds = {
            gene: {line for line in change.adds if common[line] == min(common[o] for o in change.adds) <= TELLING}
            for gene, change in genes.items()
        }
        self._removes = {gene: set(change.removes) for gene, change in genes.items()}
        alone = {g: self._seed + Counter(change.adds) - Counter(change.removes) for g, change in genes.items()}
        self._parts = {gene: self._found(lines) - {gene} for gene, lines in alone.items()}

    def genes(self, source: str) -> tuple[str, ...]:
        """The genes that a program has, in alphabetical order."""
        found = self._found(_lines(source))
        return tuple(sorted(found - {part for gene in found for part in self._parts[gene]}))

    def _found(self, lines: Counter[str]) -> set[str]:
        return {gene for gene in self._adds if self._has(gene, lines)}

    def _has(self, gene: str, lines: Counter[str]) -> bool:
        if adds := self._adds[gene]:
            return 2 * sum(line in lines for line in adds) >= len(adds)
        removed = self._removes[gene]
        return bool(removed) and all(lines[line] < self._seed[line] for line in removed)


def agreement(
    seed: Genome, decoder: Decoder, genes: Sequence[str], reader: Any, programs: int, most: int = 5
) -> tuple[float, float]:
    """For programs with up to `most` transformations applied in random order: the share of programs that are read as
    what was applied, and of genes, applied or read, that are both."""
    rng, exact, both, either = Random(0), 0, 0, 0
    for _ in range(programs):
        genome, applied = apply_in_order(seed, rng.sample(list(genes), rng.randint(0, most)), reader)
        read, made = set(decoder.genes(genome.source)), set(applied)
        exact += read == made
        both += len(read & made)
        either += len(read | made)
    return exact / programs, both / max(1, either)


def _lines(source: str) -> Counter[str]:
    """The lines of a program without comments, docstrings of one line, indentation and numbers."""
    bare = (_NUMBER.sub("N", _COMMENT.sub("", line)).strip() for line in source.splitlines())
    return Counter(line for line in bare if line and not line.startswith('"""'))
