"""A copy of the second target, as who makes one of his own begins: what it says where he gets a thing wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.digits.test_digits_target import HEAD, SEED, TAIL, TARGET, Slot
from tests.e2e.conftest import change


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A copy beside a link to train_target."""
    (tmp_path / "train_target").symlink_to(TARGET.parent / "train_target")
    return shutil.copytree(TARGET, tmp_path / "mine", ignore=shutil.ignore_patterns("__pycache__"))


def refused(mine: Path) -> str:
    """Why the judge does not begin."""
    slot = Slot(mine.parent, mine)
    slot.close()
    assert not slot.ready["ready"], slot.ready
    return str(slot.ready["error"])


def test_a_link_to_the_machinery_is_enough(mine: Path) -> None:
    slot = Slot(mine.parent, mine)
    assert slot.run(SEED)["status"] == "ok"
    assert slot.close() == 0


@pytest.mark.parametrize("script", ["judge.py", "train.py"])
def test_a_copy_without_the_machinery_says_what_must_lie_beside_it(mine: Path, script: str) -> None:
    (mine.parent / "train_target").unlink()
    run = subprocess.run([sys.executable, str(mine / script)], cwd="/", text=True, capture_output=True, timeout=60)
    assert run.returncode == 1
    assert run.stderr == f"train_target/ (or a link to it) must lie beside {mine.resolve()}\n"


def test_an_unknown_clock_is_refused_at_the_start(mine: Path) -> None:
    change(mine / "target.toml", 'clock = "cpu"', 'clock = "cpus"')
    assert refused(mine) == """[scales.cpu] clock is "cpu" or "wall", not 'cpus'"""


@pytest.mark.parametrize("folder", ["FOLDER", "Path(corpus.__file__).parent"], ids=["target", "machinery"])
def test_a_folder_that_boxes_need_cannot_be_hidden(mine: Path, folder: str) -> None:
    change(mine / "judge.py", "hidden = [options.cache, path.parent]", f"hidden = [options.cache, {folder}]")
    needed = mine.resolve() if folder == "FOLDER" else TARGET.parent / "train_target"
    told = f"hidden names {needed}, which boxes need: give a folder that holds nothing but data"
    assert refused(mine) == told


def test_a_folder_within_the_target_can_be_hidden(mine: Path) -> None:
    (mine / "data").mkdir()
    (mine / "data" / "labels").touch()
    change(mine / "judge.py", "hidden = [options.cache, path.parent]", 'hidden = [options.cache, FOLDER / "data"]')
    slot = Slot(mine.parent, mine)
    assert slot.ready["ready"], slot.ready
    assert slot.run(SEED)["status"] == "ok"
    slot.close()


def test_answers_of_another_shape_are_told_in_the_words_of_the_target(mine: Path) -> None:
    slot = Slot(mine.parent, mine)
    wrapped = "net = model\nclass Short(nn.Module):\n    def forward(self, x):\n        return net(x)[:, 1:]\n"
    outcome = slot.run(HEAD + wrapped + "model = Short()\n" + TAIL)
    slot.close()
    assert outcome["status"] == "crashed"
    said = "model(x) must return floating-point logits of shape (rows, CLASSES), and it did not"
    assert outcome["reason"].endswith(f": {said}"), outcome
