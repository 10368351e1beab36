"""The task `gpu`: the default target at the GPU scale, in real boxes; a run has one GPU and its share of the cores."""

from __future__ import annotations

from benchmarks.comparison.real import real_task

TASK = real_task(
    "gpu",
    "train_target",
    "gpu",
    budget=10.0,
    total=900.0,
    # the seed program at half of the budget in benchmarks/results/gpu/evolution: 2.434, 2.425, 2.415, one H100
    seed_loss=2.42,
)
