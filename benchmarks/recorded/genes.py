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
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from evolve.model import Genome
from operators.catalogue import Refused, transformations
from operators.genome import NotAllowed
from operators.mutate import transformed

_NUMBER = re.compile(r"(?<![\w.])\d[\d_]*\.?\d*(?:e[-+]?\d+)?")
_COMMENT = re.compile(r"\s*#.*$")
TELLING = 3  # genes that may add the same line


def names(seed: Genome, reader: Any) -> tuple[str, ...]:
    """The transformations that apply to the seed program alone: the genes, in alphabetical order."""
    return tuple(name for name in transformations() if build(seed, [name], reader)[1])


def build(seed: Genome, genes: Iterable[str], reader: Any) -> tuple[Genome, tuple[str, ...]]:
    """The seed program with these genes, and those of them that could be applied."""
    return apply_in_order(seed, sorted(genes), reader)


def apply_in_order(seed: Genome, genes: Sequence[str], reader: Any) -> tuple[Genome, tuple[str, ...]]:
    """Transformations one after the other; what is refused, or not allowed by the rules, is left out."""
    genome, applied = seed, []
    for name in genes:
        try:
            genome = reader.read(transformed(genome.source, name, Random(0)))
        except (Refused, NotAllowed):
            continue
        applied.append(name)
    return genome, tuple(applied)


class Decoder:
    """Reads the genes of any program that descends from `seed`; `alone` is the seed program with each of them alone."""

    def __init__(self, seed: Genome, genes: Sequence[str], reader: Any) -> None:
        self._seed = _lines(seed.source)
        self.alone = {gene: build(seed, [gene], reader)[0] for gene in genes}
        changed = {gene: _lines(genome.source) for gene, genome in self.alone.items()}
        added = {gene: set(lines - self._seed) for gene, lines in changed.items()}
        common = Counter(line for lines in added.values() for line in lines)
        self._adds = {
            gene: {line for line in lines if common[line] == min(common[one] for one in lines) <= TELLING}
            for gene, lines in added.items()
        }
        self._removes = {gene: set(self._seed - lines) for gene, lines in changed.items()}
        self._implied: dict[str, set[str]] = {}
        read = {gene: set(self.genes(genome.source)) for gene, genome in self.alone.items()}
        self._implied = {gene: found - {gene} for gene, found in read.items()}

    def genes(self, source: str) -> tuple[str, ...]:
        """The genes that a program has, in alphabetical order."""
        lines = _lines(source)
        found = {gene for gene in self._adds if self._has(gene, lines)}
        parts = {part for gene in found for part in self._implied.get(gene, ())}
        return tuple(sorted(found - parts))

    def _has(self, gene: str, lines: Counter[str]) -> bool:
        if adds := self._adds[gene]:
            return 2 * sum(line in lines for line in adds) >= len(adds)
        removed = self._removes[gene]
        return bool(removed) and all(lines[line] < self._seed[line] for line in removed)


def agreement(seed: Genome, genes: Sequence[str], reader: Any, programs: int, most: int = 5) -> tuple[float, float]:
    """For programs with up to `most` transformations applied in random order: the share of programs that are read as
    what was applied, and of genes, applied or read, that are both."""
    decoder, rng = Decoder(seed, genes, reader), Random(0)
    exact, both, either = 0, 0, 0
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
