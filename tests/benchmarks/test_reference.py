"""The expert's script: it keeps the rules, is causal, warms up for nothing; and how it is compared with the seed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch

from benchmarks.reference.report import report, summary
from benchmarks.reference.trials import Measured, Programs
from evolve.assemble import read_seed
from evolve.batch import OutOfTime
from evolve.config import ConfigError, load_target
from evolve.executors.inline import InlineExecutor
from evolve.model import Outcome, Trial
from operators.genome import Reader
from tests.operators.catalogue.harness import Report, run

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "benchmarks/reference"


def source(scale: str) -> str:
    """The reference with the constants of a scale, as its rules allow it."""
    target = load_target(REFERENCE)
    return read_seed(Reader(target.rules), target, scale).source


def trained(compiled: bool) -> Report:
    text = source("cpu").replace("COMPILE = False", f"COMPILE = {compiled}")
    with mock.patch("torch.compile", lambda function, **_: function):
        return run(text)


@pytest.fixture(scope="module")
def cold() -> Report:
    return trained(compiled=False)


def test_its_rules_and_scales_are_those_of_the_seed() -> None:
    ours, theirs = (tomllib.loads((f / "target.toml").read_text()) for f in (REFERENCE, ROOT / "train_target"))
    assert ours["rules"] == theirs["rules"] and ours["rungs"] == theirs["rungs"]
    for name, scale in ours["scales"].items():  # the larger ones are not for it
        assert {key: theirs["scales"][name][key] for key in ("device", "budget")}.items() <= scale.items()


def test_it_is_of_the_size_of_the_seed_at_the_gpu_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    text = source("gpu").partition("# Setup")[0]
    scope: dict[str, Any] = {}
    stub = SimpleNamespace(DEVICE="cpu", EVAL_ROWS=8, MAX_SEQ_LEN=1024, TIME_BUDGET=1.0)
    names = ("Tokenizer", "evaluate_bpb", "make_dataloader", "progress")
    stub.__dict__.update(dict.fromkeys(names))
    monkeypatch.setitem(sys.modules, "prepare", stub)
    with torch.device("meta"):
        exec(compile(text, "train.py", "exec"), scope)
        count = sum(p.numel() for p in scope["GPT"](8192).parameters())
    assert 20e6 < count < 55e6


def test_it_is_causal_and_its_logits_are_finite(cold: Report) -> None:
    assert cold.causal and cold.logits is not None and torch.isfinite(cold.logits).all()


def test_its_logits_depend_on_earlier_tokens(cold: Report) -> None:
    tokens = torch.arange(20).view(2, 10) % 7
    assert cold.model is not None
    with torch.no_grad():
        last = [cold.model(changed)[:, -1] for changed in (tokens, torch.cat([tokens[:, :1] + 1, tokens[:, 1:]], 1))]
    assert not torch.allclose(*last)


def test_its_warm_up_teaches_nothing(cold: Report) -> None:
    warm = trained(compiled=True)
    assert warm.logits is not None and cold.logits is not None and torch.equal(warm.logits, cold.logits)


@pytest.mark.parametrize("shape", [(3, 16, 48), (2, 48, 16), (1, 32, 32)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, ...]) -> None:
    text = source("cpu")
    scope: dict[str, Any] = {}
    exec(text[text.index("POLAR_EXPRESS = ") : text.index("def muon_update")], scope)
    generator = torch.Generator().manual_seed(0)
    values = torch.linalg.svdvals(scope["orthogonalize"](torch.randn(shape, generator=generator)))
    assert values.min() > 0.8 and values.max() < 1.2


BOTH = Programs({"seed": "x = 1", "reference": "x = 2"}, "gpu", 300.0)


def losses(trial: Trial) -> Outcome:
    better = 0.5 * trial.genome.source.count("2")
    return Outcome("ok", {"val_bpb": 3.0 - better - 0.001 * trial.budget + 0.01 * trial.seed, "tokens_per_second": 9.0})


def measured(path: Path, function: Callable[[Trial], Outcome] = losses, seconds: float = 1000.0) -> Measured:
    def executor_of(name: str) -> InlineExecutor:
        def own(trial: Trial) -> Outcome:
            assert trial.genome.source == BOTH.texts[name]  # its own judge's, whose boxes have its compile cache
            return function(trial)

        return InlineExecutor(own, slots=2)

    return Measured(path / "trials.jsonl", BOTH, executor_of, time.monotonic() + seconds)


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    keys = [(name, 20.0, seed) for seed in (1, 2) for name in ("seed", "reference")]
    assert sorted(measured(tmp_path).measure(keys)) == sorted(keys)
    again = measured(tmp_path)
    assert list(again.measure([*keys, ("seed", 60.0, 1)])) == [("seed", 60.0, 1)]
    assert [m["val_bpb"] for m in again.of("reference", 20.0, (1, 2))] == pytest.approx([2.49, 2.50])
    other = Measured(again.lines.path, Programs({"seed": "x = 3"}, "gpu", 300.0), again.executor_of, 0.0)
    assert other.of("seed", 20.0, (1, 2)) == []  # the text is another one


def test_no_trial_is_begun_that_would_end_too_late(tmp_path: Path) -> None:
    short = measured(tmp_path, seconds=100.0)
    done = []
    with pytest.raises(OutOfTime):
        done += list(short.measure([("seed", 20.0, 1)]))
        for key in short.measure([("seed", 30.0, 1), ("seed", 300.0, 1)]):
            done.append(key)
    assert done == [("seed", 20.0, 1), ("seed", 30.0, 1)]


def test_what_the_machine_spoilt_is_tried_again_and_a_failure_is_told(tmp_path: Path) -> None:
    asked: list[Trial] = []

    def flaky(trial: Trial) -> Outcome:
        asked.append(trial)
        return losses(trial) if len(asked) > 2 else Outcome("infrastructure", reason="away")

    assert list(measured(tmp_path, flaky).measure([("seed", 20.0, 1)])) == [("seed", 20.0, 1)] and len(asked) == 3
    broken = measured(tmp_path, lambda trial: Outcome("oom", reason="too large"))
    with pytest.raises(ConfigError, match="reference at 60 s, seed 2: oom, too large"):
        list(broken.measure([("reference", 60.0, 2)]))


def test_the_report_has_noise_headroom_and_the_speed_up() -> None:
    def rows(*bpb: float) -> list[dict[str, float]]:
        return [{"val_bpb": loss, "mfu_reported": 0.25} for loss in bpb]

    runs = {
        "seed": {20.0: rows(1.0, 1.2)},
        "reference": {5.0: rows(1.3, 1.5), 10.0: rows(0.9, 1.1), 20.0: rows(0.7, 0.9)},
    }
    curves = {20.0: {0.25: [1.3, 1.5], 0.5: [0.9, 1.1], 1.0: [0.7, 0.9]}}
    found = summary(runs, curves, seeds=2)
    speed = found["speed"]["20"]
    assert found["noise_of_the_seed"]["20"] == pytest.approx(0.1414, abs=1e-4)
    assert speed["headroom"] == pytest.approx(0.3) and 5 < speed["seconds_to_target"]["mean"] < 10
    assert speed["speed_up"] == pytest.approx(20 / speed["seconds_to_target"]["mean"])
    text = report(found | {"scale": "gpu", "machine": {}})
    assert "Tuned" not in text
    assert "| seed | 20 | 2 | 1.1000 ± 0.1000 | 25.0 ± 0.0 % |" in text and "| 20 | 0.1414 | +0.3000 |" in text
    worse = summary({"seed": {20.0: rows(0.5)}, "reference": runs["reference"]}, curves, seeds=1)
    assert "not reached" in report(worse | {"scale": "gpu", "machine": {}})
    tuned = summary(runs | {"tuned": {10.0: rows(0.8), 20.0: rows(0.6, 0.7)}}, curves, seeds=2)
    told = report(tuned | {"scale": "gpu", "machine": {}})
    assert "| tuned | 10 | 1 |" in told and "Tuned, the reference is 0.1500 ± 0.0500 bpb better at 20 s" in told
    assert "better at 10 s" not in told  # a pair is missing


def test_its_judge_is_that_of_the_seed_and_is_told_whose_compile_cache_to_fill() -> None:
    command = [sys.executable, REFERENCE / "judge.py", "--devices"]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    assert isinstance(told["devices"], list)
    ran: list[tuple[str, list[str]]] = []
    argv = ["judge.py", "--scale", "gpu"]
    with (
        mock.patch.object(sys, "argv", argv),
        mock.patch.object(sys, "path", [""]),
        mock.patch("runpy.run_path", lambda path, run_name: ran.append((path, list(argv)))),
    ):
        exec(compile((REFERENCE / "judge.py").read_text(), "judge.py", "exec"), {"__file__": REFERENCE / "judge.py"})
        assert sys.path == [str(ROOT / "train_target")]
    assert ran == [(str(ROOT / "train_target/judge.py"), [*argv[:3], "--seed-of", str(REFERENCE)])]
