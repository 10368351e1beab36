"""A target that needs no torch, and the command line as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "train_target"

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return make_target(tmp_path / "target")


def make_target(folder: Path) -> Path:
    """The real program and rules with a judge that makes up its scores."""
    folder.mkdir()
    for name in ("train.py", "target.toml"):
        (folder / name).write_text((TARGET / name).read_text())
    (folder / "judge.py").write_text((Path(__file__).parent / "fake_judge.py").read_text())
    return folder


def change(path: Path, old: str, new: str) -> None:
    """Replace what a file has exactly once."""
    text = path.read_text()
    assert text.count(old) == 1, f"{path.name} has another text, so this changes nothing"
    path.write_text(text.replace(old, new))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `python -m MODULE ...` in the test's folder; what still runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and so would ours

    def begin(module: str, *arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", module, *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **pipes))  # type: ignore[call-overload]
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def small_run(target: Path, run_dir: Path, *more: str) -> list[str]:
    """A run of a second or two: tiny budget, few trials."""
    size = ["--generations", "1", "--offspring", "2", "--population", "4", "--tune-trials", "2", "--budget", "0.04"]
    return [*size, "--target", str(target), "--run-dir", str(run_dir), *more]
