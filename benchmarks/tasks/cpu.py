"""The task `cpu`: the default target at the CPU scale, in real boxes on one core a run.

The seed program's loss is that of rows of 4 s in a recorded table, on sixteen cores of which twelve were busy (4.65 to
4.74). It only fixes the reference point. There is no smoke test, as to start a box takes longer than the low rung.
"""

from __future__ import annotations

from benchmarks.comparison.real import real_task

TASK = real_task("cpu", "train_target", "cpu", budget=4.0, total=600.0, seed_loss=4.70, smoke_seconds=0.0)
