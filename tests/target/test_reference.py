"""The expert's script under the judge, at the CPU scale."""

from __future__ import annotations

from pathlib import Path

from evolve.assemble import read_seed
from evolve.config import load_target
from operators.genome import Reader
from tests.target.conftest import TARGET, Slot

REFERENCE = TARGET.parent / "benchmarks/reference"


def bound(folder: Path) -> str:
    target = load_target(folder)
    return read_seed(Reader(target.rules), target, "cpu").source


def test_the_reference_is_sound_and_far_ahead_of_the_seed(slot: Slot) -> None:
    seed, reference = (slot.run(bound(f), budget=1.5, rung=0.1, purpose="rung") for f in (TARGET, REFERENCE))
    assert seed["status"] == reference["status"] == "ok", (seed, reference)
    assert reference["metrics"]["val_bpb"] < seed["metrics"]["val_bpb"] - 0.4
    assert not [found for found in reference["checks"].values() if found.startswith("failed")]
