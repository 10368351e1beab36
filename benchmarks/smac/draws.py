"""Numbers that SMAC3 draws in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.language import Language
from evolve.model import Candidate, Knob, Objective, Params
from evolve.tuner import coded, decoded

PYTHON = "EVOLVE_SMAC"  # in the environment: the interpreter that has SMAC
SCRIPT = Path(__file__).with_name("ask_tell.py")


def without_smac(language: Language | None) -> str:
    """What the method is missing; "" where there is an interpreter for it."""
    python = os.environ.get(PYTHON, "")
    if python and Path(python).is_file():
        return ""
    return f"needs SMAC3 in an environment of its own: python -m benchmarks.smac DIR, then {PYTHON}=DIR/bin/python"


class SmacError(Exception):
    """SMAC gave no answer."""


@dataclass(frozen=True)
class Smac:
    """The sampler, with so many points of an initial design."""

    first: int

    def begin(self, seed: Candidate, objectives: Sequence[Objective], number: int) -> SmacDraws:
        return SmacDraws(seed, objectives[0].name, number, self.first)


class SmacDraws:
    """As `samplers.Draws`, on the objective `loss` alone. The process ends with this object.

    Raises `SmacError` where SMAC gives no answer; what it said is on stderr.
    """

    def __init__(self, seed: Candidate, loss: str, number: int, first: int) -> None:
        self._knobs = {f"x{place}": knob for place, knob in enumerate(seed.genome.knobs)}
        self._loss = loss
        self._drawn = {seed.index}
        self._process = subprocess.Popen(
            [os.environ[PYTHON], "-I", str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.close = weakref.finalize(self, _end, self._process)
        space = [_dimension(name, knob, seed.params) for name, knob in self._knobs.items()]
        self._answer({"space": space, "seed": number, "first": first})
        self.tell(seed)

    def ask(self, index: int) -> Params:
        """The numbers of a child."""
        self._drawn.add(index)
        said = self._answer({"ask": index})
        return {knob.address: decoded(knob, said[name]) for name, knob in self._knobs.items()}

    def tell(self, candidate: Candidate) -> None:
        """What became of it; nothing for one whose numbers were not drawn here."""
        if candidate.index in self._drawn:
            loss = candidate.fitness.values[self._loss].mean if candidate.fitness else None
            self._answer({"tell": candidate.index, "loss": loss})

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        if not (line := self._process.stdout.readline()):
            raise SmacError(f"SMAC ended with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _dimension(name: str, knob: Knob, start: Params) -> dict[str, Any]:
    """A knob as SMAC sees it. A choice is the place among its ordered values, an integer."""
    choice = knob.kind == "choice"
    return {
        "name": name,
        "kind": "float" if knob.kind == "float" else "int",
        "low": 0 if choice else knob.low,
        "high": len(knob.values) - 1 if choice else knob.high,
        "log": knob.log and not choice,
        "start": coded(knob, start.get(knob.address, knob.default)),
    }
