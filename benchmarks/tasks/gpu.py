"""The task `gpu`: the default target at the GPU scale, in real boxes; a run has one GPU and its share of the cores."""

from __future__ import annotations

from benchmarks.comparison.real import real_task

TASK = real_task(
    "gpu",
    "train_target",
    "gpu",
    budget=20.0,
    total=1800.0,
    # benchmarks/results/gpu/reference/results.md: 2.119 ± 0.040 over three seeds on the environment's text, one H100
    seed_loss=2.12,
)
