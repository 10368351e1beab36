"""The task `gpu`: the default target at the GPU scale, in real boxes; a run has one GPU and its share of the cores."""

from __future__ import annotations

from benchmarks.comparison.real import real_task

TASK = real_task(
    "gpu",
    "train_target",
    "gpu",
    budget=20.0,
    total=1800.0,
    seed_loss=1.55,  # roughly; to be measured: python -m benchmarks run --methods seed --tasks gpu --seeds 1 -o DIR
)
