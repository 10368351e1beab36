"""The rows of a recorded table: which programs are trained, and the file that they are in.

A row is one program with its numbers, trained at every rung with one seed. Its index decides all of that, so a table
grows by going on. Four kinds take turns, and none looks at a result: `genes` (default numbers; each gene alone, in
turns with a few together), `sobol` and `random` (points of the whole space of genes and numbers, by a scrambled Sobol
sequence and independently), `near` (small steps from the default numbers, with a few genes). A point has a coordinate
for each number of the seed program and one for each gene; the gene is there where that is below `SHARE`, and what the
coordinate is within that share sets the gene's own numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from scipy.stats import qmc

from benchmarks.recorded import genes as catalogue
from benchmarks.recorded.units import from_unit, unit
from evolve.config import ConfigError
from evolve.model import Genome, Number, Params

KINDS = ("genes", "sobol", "random", "near")
RUNGS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)  # down to where a curve is followed
SHARE = 1 / 14  # of the genes in a point
STEP = 0.1  # of a row that is near the default, as a share of a knob's range
HEADER, ROWS = "table.json", "rows.jsonl"


@dataclass(frozen=True)
class Measured:
    """What one trial gave; `loss` is None unless `status` is "ok", `seconds` is what it was charged."""

    status: str
    loss: float | None
    seconds: float


@dataclass(frozen=True)
class Row:
    """One program at all rungs. `rungs` maps `f"{rung:g}"` to what was measured there."""

    row: int
    kind: str
    genes: tuple[str, ...]
    knobs: Mapping[str, Number]
    seed: int
    rungs: Mapping[str, Measured]


class Design:
    """Which program each row has."""

    def __init__(self, seed: Genome, genes: Sequence[str], reader: Any, number: int) -> None:
        self._seed, self._genes, self._reader, self._number = seed, tuple(genes), reader, number

    def program(self, index: int) -> tuple[str, Genome, tuple[str, ...], Params, int]:
        """Kind, program, its genes, its numbers and the seed of its training."""
        rng = Random(f"{self._number}:{index}")
        kind, turn = KINDS[index % len(KINDS)], index // len(KINDS)
        numbers, wanted = self._point(kind, turn, rng)
        genome, applied = catalogue.build(self._seed, wanted, self._reader)
        own = {k.address: k for k in self._seed.knobs}
        params = {}
        for knob in genome.knobs:
            default = unit(knob, knob.default)
            if knob.address in own:
                at = numbers.get(knob.address)
            else:
                at = None if kind == "genes" else rng.random() if kind != "near" else default + rng.gauss(0, STEP)
            params[knob.address] = knob.default if at is None else from_unit(knob, at)
        return kind, genome, applied, params, rng.getrandbits(31)

    def _point(self, kind: str, turn: int, rng: Random) -> tuple[dict[str, float], list[str]]:
        """Places of the seed's numbers by address (none for the defaults), and the genes that are wanted."""
        addresses = [k.address for k in self._seed.knobs]
        if kind == "genes" and turn % 2 == 0:
            return {}, [self._genes[turn // 2 % len(self._genes)]]
        if kind == "genes":
            return {}, rng.sample(self._genes, min(len(self._genes), rng.randint(2, 6)))
        size = len(addresses) + len(self._genes)
        if kind == "sobol":
            sequence = qmc.Sobol(size, scramble=True, rng=self._number)
            point = sequence.fast_forward(turn).random(1)[0] if turn else sequence.random(1)[0]
        else:
            point = [rng.random() for _ in range(size)]
        wanted = [g for g, at in zip(self._genes, point[len(addresses) :], strict=True) if at < SHARE]
        numbers = {address: float(at) for address, at in zip(addresses, point, strict=False)}
        if kind == "near":
            numbers = {k.address: unit(k, k.default) + rng.gauss(0, STEP) for k in self._seed.knobs}
        return numbers, wanted


def read_rows(folder: Path) -> tuple[dict[str, Any], list[Row]]:
    """Header and rows of a table, in order. A last line that was cut off is left out. Raises `ConfigError`."""
    try:
        header = json.loads((folder / HEADER).read_text())
        rows = list(_rows((folder / ROWS).read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder} holds no recorded table ({error}): python -m benchmarks.record -o DIR") from error
    return header, sorted(rows, key=lambda row: row.row)


def _rows(text: str) -> Iterator[Row]:
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            told = json.loads(line)
            rungs = {rung: Measured(*what) for rung, what in told["rungs"].items()}
            yield Row(**{**told, "genes": tuple(told["genes"]), "rungs": rungs})


def line_of(row: Row) -> str:
    """A row as a line of the file."""
    rungs = {rung: [m.status, m.loss, m.seconds] for rung, m in row.rungs.items()}
    return json.dumps({**asdict(row), "rungs": rungs}, separators=(",", ":")) + "\n"
