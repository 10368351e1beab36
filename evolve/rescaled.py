"""Candidates of a run as they are trained at another scale of its target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evolve import plugins
from evolve.config import ConfigError, Target
from evolve.history import History
from evolve.model import Candidate, Genome, Params, digest


@dataclass(frozen=True)
class Move:
    """From the scale of a run to another one: the constants that either binds, as the seed program has them at both."""

    scale: str
    home: Mapping[str, Any]
    there: Mapping[str, Any]

    @property
    def changes(self) -> list[str]:
        return [
            f"{name} {self.home[name]} to {value}" for name, value in self.there.items() if value != self.home[name]
        ]


@dataclass(frozen=True)
class Program:
    """A genome and its numbers at a scale, the digest of its text there, and what of its size is its own (`notes`)."""

    genome: Genome
    params: Params
    digest: str
    notes: Sequence[str] = ()


def move_to(target: Target, history: History, scale: str) -> Move:
    """What lies between the scale of a run and another one: nothing where it is the same one.

    A constant that the other scale does not bind has the value of the target's script.
    """
    assert history.seed is not None
    constants = plugins.load(plugins.CONSTANTS)
    at = history.header["settings"]["scale"]
    if scale == at:
        return Move(scale, {}, {})
    home, own = constants(history.seed.genome.source), constants(target.source)
    before, now = (target.scales.get(name, {}).get("bindings", {}) for name in (at, scale))
    there = {**own, **now}
    names = [name for name in {**now, **before} if name in home and name in there]
    return Move(scale, {name: home[name] for name in names}, {name: there[name] for name in names})


def program_at(reader: Any, move: Move, candidate: Candidate) -> Program:
    """A candidate with its tuned numbers after a move to the scale of `reader`; as it is without one.

    Raises `ConfigError` where the target allows no such program.
    """
    genome, params, notes = candidate.genome, candidate.params, ()
    try:
        if move.there:
            found = plugins.load(plugins.RESCALE)(reader, genome, params, move.home, move.there)
            genome, params, notes = found.genome, found.params, found.notes
        return Program(genome, params, digest(reader.bind(genome, params)), notes)
    except (ValueError, SyntaxError) as error:
        raise ConfigError(f"candidate {candidate.id} cannot be had at the scale {move.scale}: {error}") from error
