"""The task `cpu`: the default target at the CPU scale, in real boxes on one core a run."""

from __future__ import annotations

from benchmarks.comparison.real import real_task

TASK = real_task("cpu", "train_target", "cpu", budget=4.0, total=400.0, seed_loss=4.0)
