"""A recorded table as a judge: a trial's outcome from the table where it is there, from the surrogate elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recorded.genes import Decoder, agreement
from benchmarks.recorded.rows import Measured, read_genes, read_rows
from benchmarks.recorded.surrogate import Encoder, Surrogate, cross_validated, encode
from evolve.config import ConfigError
from evolve.model import Genome, Number, Outcome, Trial

SURROGATE = "surrogate.json"
READ_AGAIN = 100  # programs that tell how well genes are read


class World:
    """Judges trials from the table in `folder`, whose seed program is `seed`. Raises `ConfigError` if it is another's.

    A program is read as its genes (`genes.Decoder`). If those were recorded with the same numbers, rung and seed, it
    gives what was recorded; any other is given to the surrogate.
    """

    def __init__(self, folder: Path, seed: Genome) -> None:
        self.header, self.rows = read_rows(folder)
        if self.header["program"] != seed.id:
            raise ConfigError(f"{folder} was recorded with another seed program: record it anew, with another -o")
        changes, others = read_genes(folder)
        self.decoder = Decoder(seed, changes)
        self._genes: dict[str, tuple[str, ...]] = {}
        self._encoder = Encoder(seed.knobs, self.header["genes"], others)
        self._table = encode(self.rows, self._encoder, self.header["budget"])
        self._recorded = {(row.genes, _numbers(row.knobs), row.seed): row.rungs for row in self.rows}
        self._folder, self._seed = folder, seed
        self.surrogate = self._fitted()

    def judge(self, trial: Trial) -> Outcome:
        """What comes of a trial, at once; the same for the same trial."""
        numbers = {k.address: trial.params.get(k.address, k.default) for k in trial.genome.knobs}
        genes = self._read(trial.genome)
        if known := self._recorded.get((genes, _numbers(numbers), trial.seed), {}).get(f"{trial.rung:g}"):
            return self._outcome(known, trial)
        (point,) = self._encoder.points(genes, numbers, [trial.rung])
        ((status, share),) = self.surrogate.statuses(point[None])
        charged = share * self.header["budget"] * trial.rung
        if status != "ok":
            return self._outcome(Measured(status, None, charged), trial)
        program = f"{trial.genome.key}:{_numbers(numbers)}:{trial.rung:g}"
        loss = float(self.surrogate.losses(point[None], drawn=True)[0]) * self.surrogate.noise(program, trial.seed)
        return self._outcome(Measured("ok", loss, charged), trial)

    def _read(self, genome: Genome) -> tuple[str, ...]:
        """The genes of a program, which has many trials."""
        if genome.id not in self._genes:
            self._genes[genome.id] = self.decoder.genes(genome.source)
        return self._genes[genome.id]

    def _outcome(self, measured: Measured, trial: Trial) -> Outcome:
        """Charged in proportion, where a trial's budget is not the table's."""
        seconds = measured.seconds * trial.budget / (self.header["budget"] * trial.rung)
        if measured.loss is None:
            reason = f"{measured.status} as in the recorded table"
            return Outcome(measured.status, seconds=seconds, device="table", reason=reason)  # type: ignore[arg-type]
        return Outcome("ok", {self.header["loss"]: measured.loss}, seconds=seconds, device="table")

    def _fitted(self) -> Surrogate:
        """With the hyperparameters that were learnt for these rows, if they were written down."""
        path = self._folder / SURROGATE
        told = json.loads(path.read_text()) if path.exists() else {}
        hyper = np.array(told["hyper"]) if told.get("rows") == len(self.rows) else None
        return Surrogate(self._table, self._encoder.groups, hyper)

    def assess(self, reader: Any, programs: int = READ_AGAIN) -> dict[str, Any]:
        """Writes how well the surrogate predicts and genes are read to `surrogate.json`, and returns it.

        With it what the surrogate gives for the seed program at the full budget, without noise.
        """
        hyper = self.surrogate.hyper
        exact, overlap = agreement(self._seed, self.decoder, self.header["genes"], reader, programs)
        point = self._encoder.points((), {}, [1.0])
        found = {
            "rows": len(self.rows),
            "seed_loss": round(float(self.surrogate.losses(point, drawn=True)[0]), 4),
            "cross_validation": cross_validated(self._table, self._encoder.groups, hyper),
            "genes_read_exactly": exact,
            "genes_overlap": overlap,
            "hyper": [round(float(value), 4) for value in hyper],
        }
        (self._folder / SURROGATE).write_text(json.dumps(found, indent=1) + "\n")
        return found


def read_surrogate(folder: Path) -> dict[str, Any]:
    """What `World.assess` wrote. Raises `ConfigError` if it did not."""
    try:
        return dict(json.loads((folder / SURROGATE).read_text()))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder} has no assessed surrogate ({error}): python -m benchmarks.record -o DIR"
        ) from error


def _numbers(knobs: Mapping[str, Number]) -> tuple[tuple[str, Number], ...]:
    return tuple(sorted(knobs.items()))
