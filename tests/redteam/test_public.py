"""Known public cheats: a harness in the process of the script is fooled by each, the judge by none.

A cheat is refused, or, where it only inflates a number that it reports of itself, scored as its honest twin is. The
twin is the same program without the trick. `python -m benchmarks.public_cheats` makes the table of scores.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from benchmarks.public_cheats import NOISE, SCRIPTS, SOURCES, keeps_time, naive, source
from tests.target.conftest import Slot

REFUSED = {  # cheat: status, and the kinds of fault that are named first in the reason
    "block_causal": ("invalid", {"causality"}),
    "fft_wrap": ("invalid", {"causality"}),
    "time_statistics": ("invalid", {"causality"}),
    "target_gated_cache": ("invalid", {"causality"}),
    "trains_in_forward": ("invalid", {"causality", "stateful-eval"}),
    "trains_on_validation": ("crashed", {"ValueError at line"}),
    "extra_steps": ("timeout", {"deadline"}),
}
SCORED = ("unnormalised", "scaled_log_probs", "self_timed", "patched_clock", "printed_metric")
QUICK = {"fft_wrap", "target_gated_cache", "trains_on_validation", "printed_metric"}  # all others are slow tests
FAST = {"fft_wrap": 1.0, "printed_metric": 0.1}  # seconds that show it in the naive harness
BUDGET = 1.5


def cases(names: Iterable[str], quick: Iterable[str] = QUICK) -> list[object]:
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]


def test_each_cheat_is_looked_at() -> None:
    assert {*REFUSED, *SCORED} == {path.stem for path in SCRIPTS.glob("*.py")} == set(SOURCES)


@pytest.mark.parametrize("name", cases(REFUSED))
def test_the_judge_refuses_what_cheats(judge: Slot, name: str) -> None:
    outcome = judge.run(source(name, budgets=4), budget=BUDGET)
    status, kinds = REFUSED[name]
    assert outcome["status"] == status, outcome
    assert any(outcome["reason"].startswith(kind) for kind in kinds), outcome["reason"]
    assert outcome["violation"] in (kinds if status == "invalid" else {""})
    assert outcome["metrics"] == {}


@pytest.mark.parametrize("name", cases(REFUSED, quick=["fft_wrap"]))
def test_the_judge_scores_the_honest_twin(judge: Slot, name: str) -> None:
    outcome = judge.run(source(name, cheat=False, budgets=4), budget=0.3)
    assert (outcome["status"], outcome["reason"]) == ("ok", "")


@pytest.mark.parametrize("name", cases(SCORED))
def test_the_judge_scores_as_the_twin_what_only_reports_wrongly(judge: Slot, name: str) -> None:
    twin = judge.run(source(name, cheat=False, budgets=4), budget=BUDGET, rung=1.0, seed=1)
    cheat = judge.run(source(name, budgets=1 if keeps_time(name) else 4), budget=BUDGET, rung=1.0, seed=1)
    assert (twin["status"], cheat["status"]) == ("ok", "ok"), (twin, cheat)
    gain = twin["metrics"]["val_bpb"] - cheat["metrics"]["val_bpb"]
    assert gain < NOISE
    if name != "scaled_log_probs":  # which loses by it
        assert gain > -NOISE


@pytest.mark.parametrize("name", cases(SOURCES, quick=[]))
def test_the_naive_harness_is_fooled(judge: Slot, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVOLVE_CACHE", str(judge.cache))
    budget = FAST.get(name, 2 * BUDGET)
    cheat, twin = naive(source(name), budget), naive(source(name, cheat=False), budget)
    assert cheat.bpb is not None and twin.bpb is not None, (cheat, twin)
    assert cheat.bpb < twin.bpb - NOISE
