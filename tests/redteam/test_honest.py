"""Unusual but honest scripts are scored: nothing that judges a script mistakes one of them for a cheat.

Each script of `honest/` is a whole program against the contract of prepare.py that does something which a careless
probe would take for a leak: other behaviour in evaluation than in training, state between calls, rounding that depends
on the batch, shapes that depend on the tokens. `python -m benchmarks.false_alarms` measures how far each stays from the
thresholds.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.target.conftest import Slot

SCRIPTS = sorted((Path(__file__).parent / "honest").glob("*.py"))
QUICK = {  # of what probes could stumble over, one of a kind; all others are slow tests
    "bf16_logits", "causal_conv", "copy_head", "document_mask", "dropout_depth", "ema", "fused_at_first_use",
    "hashed_ngrams", "huge_logits", "lstm", "moe_tokens", "prefix_cache",
}  # fmt: skip
BUDGET = 0.25


def cases(purposes: tuple[str, ...]) -> list[object]:
    return [
        pytest.param(path, purpose, id=f"{path.stem}-{purpose}", marks=() if path.stem in QUICK else pytest.mark.slow)
        for path in SCRIPTS
        for purpose in purposes
    ]


def scored(judge: Slot, path: Path, purpose: str) -> None:
    outcome = judge.run(path.read_text(), budget=BUDGET, purpose=purpose)
    alarms = {name: text for name, text in outcome.get("checks", {}).items() if text.startswith("failed")}
    assert (outcome["status"], outcome["reason"], outcome["violation"], alarms) == ("ok", "", "", {})
    assert outcome["metrics"]["steps"] >= 1


@pytest.mark.parametrize(("path", "purpose"), cases(("tune",)))
def test_an_honest_script_is_scored(judge: Slot, path: Path, purpose: str) -> None:
    scored(judge, path, purpose)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "purpose"), cases(("confirm", "audit")))
def test_an_honest_script_is_scored_where_it_is_probed_most(judge: Slot, path: Path, purpose: str) -> None:
    scored(judge, path, purpose)


def test_there_are_many_of_them_and_each_says_what_is_unusual() -> None:
    assert len(SCRIPTS) >= 14 and {path.stem for path in SCRIPTS} >= QUICK
    assert len({path.read_text().split('"""')[1] for path in SCRIPTS}) == len(SCRIPTS)
