"""Where wall time goes: shares and ratios, what was measured already, a recorded run, and the ways themselves."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from benchmarks.busy import __main__ as busy
from benchmarks.busy import ways
from benchmarks.busy.phases import PHASES, Measurement, summary, table
from benchmarks.busy.recorded import split
from evolve.batch import OutOfTime
from evolve.config import ConfigError
from evolve.exports.recorded import open_recorded
from evolve.model import Outcome, Trial
from evolve.records import genome_record, outcome_record, trial_record
from evolve.store import Store
from tests.evolve import toy

TAUGHT = 5  # steps


def trial(*seconds: float, tokens: int = 1000, val_bpb: float = 2.0) -> Measurement:
    return Measurement(dict(zip(PHASES, seconds, strict=True)), tokens, 10, val_bpb)


WAYS = {
    "plain": {1: trial(5, 10, 30, 4, 1, tokens=3000), 2: trial(5, 20, 30, 4, 1, tokens=6000, val_bpb=2.5)},
    "ready": {1: trial(0, 5, 30, 4, 1, tokens=3300, val_bpb=2.1), 2: trial(0, 5, 20, 4, 1, tokens=4400, val_bpb=2.6)},
    "cached": {3: trial(0, 1, 30, 4, 1)},
}


def test_busy_is_the_share_of_the_whole_sequence() -> None:
    found = summary(WAYS)
    assert found["plain"]["busy"].mean == pytest.approx(60 / 110)
    assert found["ready"]["busy"].mean == pytest.approx(50 / 70)
    assert found["ready"]["busy_with_evaluation"].mean == pytest.approx(58 / 70)
    assert found["ready"]["startup"].mean == 5 and found["plain"]["wall"].mean == 55
    # residuals of training on wall time: 30 - 40 * 5/7 and 20 - 30 * 5/7
    residuals = (30 - 200 / 7) ** 2 + (20 - 150 / 7) ** 2
    assert found["ready"]["busy"].sem == pytest.approx((residuals / 1 / 2) ** 0.5 / 35)
    assert found["cached"]["busy"].sem is None


def test_throughput_and_loss_are_compared_seed_by_seed() -> None:
    found = summary(WAYS)["ready"]
    ratio, difference = found["throughput_ratio"], found["loss_difference"]
    assert (ratio.mean, ratio.sem, ratio.n) == (pytest.approx(1.1), pytest.approx(0.0, abs=1e-12), 2)
    assert (difference.mean, difference.sem) == (pytest.approx(0.1), pytest.approx(0.0, abs=1e-12))
    assert summary(WAYS)["cached"]["throughput_ratio"] is None
    assert "throughput_ratio" not in summary(WAYS)["plain"]


def test_the_tables_say_the_same() -> None:
    text = "\n".join(table(summary(WAYS)))
    assert "| plain | 2 | 5.00 | 15.00 | 30.00 | 4.00 | 1.00 | 55.0 ± 5.0 | 54.5 ±" in text
    assert "| ready | 165 ± 55 | 110.00 ± 0.00 % | 2.3500 ± 0.2500 | +0.1000 ± 0.0000 | 2 |" in text
    assert "| cached | 33 |  | 2.0000 |  |  |" in text


def kept(folder: Path, *arguments: str, device: str = "a GPU", cores: int = 4) -> busy.Kept:
    options = busy.parse(["-o", str(folder), "--budgets", "30", "--ways", "plain,ready", "--trials", "3", *arguments])
    machine = {"device": device, "cores": cores, "versions": {"torch": "2"}, "corpus": "text"}
    return busy.Kept(options, machine, "digest")


def test_ways_alternate_in_blocks_and_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    first = kept(tmp_path)
    order = [(way, seed - busy.FIRST_SEED) for way, _, seed in first.due(1e12)]
    assert order == [("plain", 0), ("plain", 1), ("ready", 0), ("ready", 1), ("ready", 2), ("plain", 2)]
    for key in itertools.islice(first.due(1e12), 3):
        first.keep(key, WAYS["plain"][1], 50.0)
    again = kept(tmp_path)
    assert [(way, seed - busy.FIRST_SEED) for way, _, seed in again.due(1e12)] == order[3:]
    assert again.of(30.0)["ready"] == {busy.FIRST_SEED: WAYS["plain"][1]}
    with pytest.raises(ConfigError, match="of another kind .device a GPU.: choose another -o"):
        kept(tmp_path, device="another GPU")
    with pytest.raises(ConfigError, match="of another kind .cores 4.: choose another -o"):
        kept(tmp_path, cores=8)


def test_no_trial_is_begun_that_would_end_too_late(tmp_path: Path) -> None:
    ledger = kept(tmp_path, "--trials", "4")
    due = ledger.due(time.monotonic() + 30 + busy.START + 5)
    ledger.keep(next(due), WAYS["plain"][1], 40.0)  # 10 s besides its budget
    assert next(due)[0] == "plain"
    late = ledger.due(time.monotonic() + 41)
    with pytest.raises(OutOfTime):
        next(late)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Of two slots: three trials, the third of which had to wait, and a pause before the end."""
    store = Store.open(tmp_path / "run", durable=False)

    def at(second: float, kind: str, key: str, body: dict[str, Any]) -> None:
        with mock.patch("evolve.store.time.time", return_value=1000.0 + second):
            store.append(kind, key, body)

    settings = {"seed": 0, "offspring": 4, "population": 8, "budget": 1.0, "operators": {}, "corpus": ""}
    objectives = [{"name": o.name, "direction": o.direction} for o in toy.OBJECTIVES]
    at(0, "run", "run", {"settings": settings, "rungs": [0.25, 0.5, 1.0], "objectives": objectives})
    at(0, "session", "session/1", {"slots": 2, "device": "a GPU"})
    at(0, "genome", toy.SEED.id, genome_record(toy.SEED))
    for n in range(3):
        at(0, "trial", f"ask/0/trial/{n}/0", {"owner": "ask/0", "n": n, "trial": trial_record(TRIAL)})
    ok = {"loss": 2.0, "startup_seconds": 2.0, "eval_seconds": 1.0}
    outcomes = [(10, 0, Outcome("ok", ok, seconds=6.0)), (12, 1, Outcome("crashed", seconds=3.0))]
    for second, n, outcome in [*outcomes, (18, 2, Outcome("ok", ok, seconds=4.0))]:
        body = {"owner": "ask/0", "n": n, "outcome": outcome_record(outcome), "final": True}
        at(second, "outcome", f"ask/0/trial/{n}/0/outcome", body)
    at(20, "stop", "stop", {"reason": "done", "waited": 0.0})
    store.close()
    return tmp_path / "run"


TRIAL = Trial(toy.SEED, {}, 1.0, 0.25, "toy", 1, "rung")


def test_a_recorded_run_is_taken_apart(run: Path) -> None:
    recorded = open_recorded(run)
    assert split(recorded.events, recorded.history) == {
        "training": 13.0,
        "startup": 4.0,
        "evaluation": 2.0,
        "other": 10 + 12 + 8 - 19.0,  # the third had the slot of the first from second 10
        "no trial": 40 - 30.0,
        "all": 40.0,
    }


def test_a_recorded_run_is_printed_and_kept(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert busy.main(["--run", str(run), "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "3 trials in 1 sessions, 2 slots,\non a GPU." in printed and "| training | 13.0 | 32.5% |" in printed
    assert json.loads((tmp_path / "out/run.json").read_text())["all"] == 40.0
    assert busy.main(["--run", str(tmp_path)]) == 2


@pytest.mark.slow
def test_all_ways_train_the_same(tmp_path: Path) -> None:
    """With as many steps, the loss without a judge is the judge's, seed by seed."""
    program = tmp_path / "steps.py"
    program.write_text(
        ways.seeds.seed(ways.Scale.read("cpu"))
        .decode()
        .replace("    if step % 25 == 0", f"    if step + 1 == {TAUGHT}:\n        break\n    if step % 25 == 0")
    )
    command = ["-o", str(tmp_path / "out"), "--scale", "cpu", "--budgets", "1.5", "--trials", "2"]
    command += ["--program", str(program), "--ways", "plain,on-demand,ready"]
    assert busy.main([*command, "--limit", "1"]) == busy.MORE
    assert busy.main(command) == 0
    rows = [json.loads(line) for line in (tmp_path / "out/trials.jsonl").read_text().splitlines()]
    measured = {(row["way"], row["seed"]): row["measurement"] for row in rows}
    assert len(measured) == 6 and {m["steps"] for m in measured.values()} == {TAUGHT}
    for seed in {seed for _, seed in measured}:
        losses = [measured[way, seed]["val_bpb"] for way in ("plain", "on-demand", "ready")]
        assert losses == pytest.approx([losses[0]] * 3, abs=1e-4)
    assert len({m["val_bpb"] for m in measured.values()}) > 1
    assert all(seconds >= 0 for m in measured.values() for seconds in m["phases"].values())
    text = (tmp_path / "out/results.md").read_text()
    assert "| on-demand | 2 |" in text and str(tmp_path) not in text
