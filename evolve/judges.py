"""How the judges of a target are called, and on which cores: all that a machine needs to know that only runs trials."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from evolve.config import ConfigError, Target


def judge_command(target: Target, scale: str, data: str | None, isolation: Sequence[str] = ()) -> list[str]:
    """How the judge of a target is called, after the interpreter; `isolation` are options for that."""
    text = ["--data", str(Path(data).resolve())] if data else []
    return [str(target.judge), "--scale", scale, *text, *isolation]


def cores_for(slots: int | None) -> list[int]:
    """The cores to run on, one trial each."""
    cores = sorted(os.sched_getaffinity(0))
    if slots is not None and not 1 <= slots <= len(cores):
        raise ConfigError(f"--slots must be between 1 and the {len(cores)} cores of this machine, not {slots}")
    return cores[:slots]
