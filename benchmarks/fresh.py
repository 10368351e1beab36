"""Trainings on fresh seeds, which owe nothing to a search: what was chosen by luck does not repeat with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evolve.model import Candidate, Purpose, Trial

ABOUT = ("device", "versions", "isolation", "corpus")  # what a judge says of where it trains, kept with the results
FIRST_SEED = 9_000_001  # no search draws from here: its seeds are random 31-bit numbers or small ones


def fresh_trial(
    settings: Mapping[str, Any], which: Candidate, rung: float, seed: int, purpose: Purpose = "report"
) -> Trial:
    """A training of a candidate of a run with these settings. What it is for decides what is scored at the full budget:
    "report" all texts, "confirm" validation text."""
    budget = settings["budget"] * rung
    return Trial(which.genome, which.params, budget, rung, settings["scale"], seed, purpose if rung == 1.0 else "rung")
