"""The second target with its real judge and boxes: what it scores, what it refuses, and one run of the engine on it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from evolve.cli import main
from evolve.config import load_target
from evolve.reports.open import open_history
from operators.catalogue import Refused, transformations
from operators.genome import NotAllowed, Reader
from operators.mutate import transformed

pytest.importorskip("sklearn", reason="the digits come with scikit-learn: pip install -e '.[digits]'")

TARGET = Path(__file__).resolve().parents[2] / "digits_target"
SEED = (TARGET / "train.py").read_text()
HEAD, _, TAIL = SEED.partition("model.eval()\n")


class Slot:
    """A judge as the engine holds it."""

    def __init__(self, folder: Path, target: Path = TARGET) -> None:
        self.folder = folder
        command = [sys.executable, str(target / "judge.py"), "--core=0", f"--cache={folder / 'cache'}", "--patience=3"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready = self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline()))

    def run(self, source: str, budget: float = 0.5, purpose: str = "rung") -> dict[str, Any]:
        """The outcome of one trial."""
        (self.folder / "train.py").write_text(source)
        request = {"job": str(self.folder), "budget": budget, "rung": 1.0, "seed": 0, "purpose": purpose}
        assert self.process.stdin is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return self.read()

    def close(self) -> int:
        """Hang up as the engine does; returns the judge's exit code."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(20)


@pytest.fixture(scope="module")
def slot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slot]:
    slot = Slot(tmp_path_factory.mktemp("digits"))
    yield slot
    assert slot.close() == 0


def test_the_seed_is_scored_on_validation_images_alone(slot: Slot) -> None:
    assert slot.ready["ready"], slot.ready
    outcome = slot.run(SEED)
    assert outcome["status"] == "ok", outcome
    metrics = outcome["metrics"]
    assert 0.05 < metrics["val_nll"] < slot.ready["baselines"]["class"]
    assert 0 < metrics["val_error"] < 0.7 and "test_nll" not in metrics
    assert metrics["images"] == 32 * metrics["steps"]
    assert {"repeat", "neighbours"} <= outcome["checks"].keys()


def test_an_audit_also_runs_it_untrained_and_a_report_opens_the_test_images(slot: Slot) -> None:
    assert slot.run(SEED, purpose="audit")["checks"]["zero-step"].startswith("ok: ")
    assert slot.run(SEED, purpose="report")["metrics"].keys() >= {"val_nll", "test_nll", "val_error", "test_error"}


def test_the_file_with_the_labels_is_hidden_from_the_box(slot: Slot) -> None:
    found = subprocess.run(
        [sys.executable, "-c", "import sklearn; print(sklearn.__path__[0])"], capture_output=True, text=True, check=True
    )
    package = found.stdout.strip()
    readable = slot.run(f"open({package + '/__init__.py'!r}).read()\n" + SEED)
    assert readable["status"] == "ok", "only the folder with the data is hidden, or this test shows nothing"
    outcome = slot.run(f"open({package + '/datasets/data/digits.csv.gz'!r}, 'rb').read()\n" + SEED)
    assert outcome["status"] == "crashed" and outcome["reason"].split()[0] in ("PermissionError", "FileNotFoundError")


CHEATS = {
    "NaN": ("logits = lambda x: torch.full((len(x), CLASSES), float('nan')) + x.sum() * 0", "invalid", "non-finite"),
    "batch": ("logits = lambda x: net(x - x.mean(0) * 8)", "invalid", "cross-sample|stateful-eval"),
    "memory": (
        "seen = []\ndef logits(x):\n    seen.append(0)\n    return net(x) * (1 + 0.3 * len(seen))",
        "invalid",
        "stateful-eval|cross-sample",
    ),
}


@pytest.mark.parametrize(("code", "status", "reason"), CHEATS.values(), ids=CHEATS)
def test_answers_that_are_not_of_the_image_alone_score_nothing(slot: Slot, code: str, status: str, reason: str) -> None:
    wrapped = f"net = model\n{code}\nclass Cheat(nn.Module):\n    def forward(self, x):\n        return logits(x)\n"
    outcome = slot.run(HEAD + wrapped + "model = Cheat()\n" + TAIL)
    assert outcome["status"] == status, outcome
    assert any(part in outcome["reason"] for part in reason.split("|"))


def test_training_on_after_the_budget_is_too_late(slot: Slot) -> None:
    longer = "for _ in range(3000):\n    F.cross_entropy(model(x), y).backward()\n    optimizer.step()\n"
    outcome = slot.run(HEAD + longer + TAIL, budget=0.3)
    assert outcome["status"] == "timeout" and not outcome["metrics"], outcome


def test_the_catalogue_applies_where_a_script_has_what_it_asks_for() -> None:
    reader = Reader(load_target(TARGET).rules)
    children, refused = {}, {}
    for name in transformations():
        try:
            children[name] = reader.read(transformed(SEED, name, Random(0)))
        except (Refused, NotAllowed) as reason:
            refused[name] = str(reason)
    assert {"muon", "warmup", "cooldown_cosine", "label_smoothing", "ema"} <= children.keys()
    assert {"rotary", "tie_head", "hashed_bigram"} <= refused.keys() and all(refused.values())


@pytest.mark.slow
def test_a_run_on_this_target_ends_with_a_front(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    arguments = ["--target", str(TARGET), "--generations", "1", "--run-dir", str(directory), "--budget", "0.8"]
    assert main([*arguments, "--population", "2", "--offspring", "2"]) == 0
    history = open_history(directory)
    assert history.loss == "val_nll" and history.front and history.seed and history.seed.fitness
