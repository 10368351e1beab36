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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from benchmarks.recorded import genes as catalogue
from benchmarks.recorded.units import from_unit, unit
from evolve.config import ConfigError
from evolve.model import Genome, Knob, Number, Params

KINDS = ("genes", "sobol", "random", "near")
RUNGS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)  # down to where a curve is followed
SHARE = 1 / 14  # of the genes in a point
STEP = 0.1  # of a row that is near the default, as a share of a knob's range
HEADER, GENES, ROWS = "table.json", "genes.json", "rows.jsonl"


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


class Program(NamedTuple):
    """What a row trains: a program that has `genes`, with these numbers and this seed."""

    kind: str
    genome: Genome
    genes: tuple[str, ...]
    params: Params
    seed: int


class Design:
    """Which program each row has."""

    def __init__(self, seed: Genome, genes: Sequence[str], reader: Any, number: int) -> None:
        self._seed, self._genes, self._reader, self._number = seed, tuple(genes), reader, number

    def program(self, index: int) -> Program:
        """What is trained as the row `index`."""
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
        return Program(kind, genome, applied, params, rng.getrandbits(31))

    def _point(self, kind: str, turn: int, rng: Random) -> tuple[dict[str, float], list[str]]:
        """Places of the seed's numbers by address (none for the defaults), and the genes that are wanted."""
        addresses = [k.address for k in self._seed.knobs]
        if kind == "genes" and turn % 2 == 0:
            return {}, [self._genes[turn // 2 % len(self._genes)]]
        if kind == "genes":
            return {}, rng.sample(self._genes, min(len(self._genes), rng.randint(2, 6)))
        size = len(addresses) + len(self._genes)
        if kind == "sobol":
            from scipy.stats import qmc  # takes seconds to import, and only who records needs it

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
    """Header and rows of a table, by index, of each the first. Raises `ConfigError`.

    A line that is no whole row, as a recorder that was killed leaves it, is left out: its row is missing.
    """
    header = read_header(folder)
    try:
        lines = (folder / ROWS).read_text().splitlines(keepends=True)
    except (OSError, ValueError) as error:
        raise _no_table(folder, error) from error
    rows: dict[int, Row] = {}
    for row in filter(None, map(_row, lines)):
        rows.setdefault(row.row, row)
    return header, [rows[index] for index in sorted(rows)]


def read_header(folder: Path) -> dict[str, Any]:
    """What the table was recorded with. Raises `ConfigError`."""
    try:
        return dict(json.loads((folder / HEADER).read_text()))
    except (OSError, ValueError) as error:
        raise _no_table(folder, error) from error


def _row(line: str) -> Row | None:
    try:
        told = json.loads(line) if line.endswith("\n") else {}
        rungs = {rung: Measured(*what) for rung, what in told["rungs"].items()}
        return Row(**{**told, "genes": tuple(told["genes"]), "rungs": rungs})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def read_genes(folder: Path) -> tuple[dict[str, catalogue.Change], list[Knob]]:
    """What each gene does to the seed program's text, and the numbers that genes bring. Raises `ConfigError`."""
    try:
        told = json.loads((folder / GENES).read_text())
        changes = {g: catalogue.Change(tuple(c["adds"]), tuple(c["removes"])) for g, c in told["changes"].items()}
        return changes, [Knob(**{**knob, "values": tuple(knob["values"])}) for knob in told["knobs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _no_table(folder, error) from error


def genes_text(seed: Genome, programs: Mapping[str, Genome]) -> str:
    """The file of the genes, from the seed program with each of them `alone`."""
    changes = {gene: asdict(change) for gene, change in catalogue.changes(seed, programs).items()}
    knobs = [asdict(knob) for knob in catalogue.others_of(list(programs.values()), seed)]
    return json.dumps({"changes": changes, "knobs": knobs}, indent=1) + "\n"


def _no_table(folder: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{folder} holds no recorded table ({error}): python -m benchmarks.record -o DIR")


def line_of(row: Row) -> str:
    """A row as a line of the file."""
    rungs = {rung: [m.status, m.loss, m.seconds] for rung, m in row.rungs.items()}
    return json.dumps({**asdict(row), "rungs": rungs}, separators=(",", ":")) + "\n"
