"""The task `digits`: the target of another kind, at its scale and budget, in real boxes on one core a run."""

from __future__ import annotations

from benchmarks.comparison.real import real_task

TASK = real_task("digits", "digits_target", "cpu", budget=1.5, total=150.0, seed_loss=0.3, loss="val_nll")
