"""What streaming costs: train.py's own step on batches from the judge against a raw loader in the process.

    python -m benchmarks.streaming [--device cuda] [--pairs 80] [--steps 10] [-o DIR]

Both loaders serve the same text in one process that trains one model, in blocks of steps that alternate (S R R S ...).
The raw loader gathers rows from the text in memory, and on a GPU pins and copies them without waiting, as nanoGPT
does. Compared are seconds of the wall clock and, on the CPU, those that a trial is charged: CPU-seconds of this
process and not the judge's, whose wall time includes timing the core for its clock. The loss is that of the
geometric mean of ratios over pairs of blocks, with a 95 % interval of Student's t.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
from scipy import stats

TARGET = Path(__file__).resolve().parent.parent / "train_target"
LOOP = "# Training loop"
WARM_UP = 8  # steps of each loader that are not timed
Block = tuple[float, float]  # wall and CPU seconds
CLOCKS = {"wall": "seconds of the wall clock", "cpu": "CPU-seconds of the box, which are charged"}


def main() -> int:
    options = parse()
    found = measure(options)
    text = table(found)
    print(text)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        name = f"streaming-{found['scale']}"
        (options.output / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
        (options.output / f"{name}.md").write_text(text)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--scale", help="of target.toml (default: cpu, and gpu with --device cuda)")
    parser.add_argument("--pairs", type=int, default=80, help="pairs of blocks (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=10, help="of a block (default: %(default)s)")
    parser.add_argument("--core", type=int, default=0, help="where both run at the CPU scale, as in a slot")
    parser.add_argument("-o", "--output", type=Path, help="a folder for the numbers and the table")
    return parser.parse_args()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Time both loaders on one model; see the module. Starts a judge of its own."""
    scale = options.scale or ("gpu" if options.device == "cuda" else "cpu")
    os.environ.update(EVOLVE_SCALE=scale, EVOLVE_BUDGET="100000")
    if options.device == "cpu":
        os.sched_setaffinity(0, {options.core})  # inherited by the judge
    sys.path.insert(0, str(TARGET))
    script = load(scale)
    rows, length = script["BATCH_SIZE"], script["MAX_SEQ_LEN"]
    streamed = script["make_dataloader"](script["tokenizer"], rows, length, "train")
    loaders = {"raw": raw(scale, rows, length, script["DEVICE"]), "streamed": streamed}
    if script["DEVICE"] == "cuda":
        loaders["one step ahead"] = ahead(rows, length)
    wait = synchronise(script["DEVICE"])
    for loader in loaders.values():
        run(loader, script["train_step"], WARM_UP, wait)
    blocks: dict[str, list[Block]] = {name: [] for name in loaders}
    for pair in range(options.pairs):
        for name in list(loaders)[:: 1 if pair % 2 else -1]:
            blocks[name].append(run(loaders[name], script["train_step"], options.steps, wait))
    return {
        "scale": scale,
        "device": device_name(script["DEVICE"]),
        "rows": rows,
        "length": length,
        "pairs": options.pairs,
        "steps": options.steps,
        "step_ms": {n: [1000 * median(b[i] for b in bs) / options.steps for i in (0, 1)] for n, bs in blocks.items()},
        "loss": {
            n: {c: loss(b, blocks["raw"], i) for i, c in enumerate(CLOCKS)} for n, b in blocks.items() if n != "raw"
        },
    }


def load(scale: str) -> dict[str, Any]:
    """The names of train.py at a scale, as they are before its training loop."""
    import compiled
    from texts import Scale

    names: dict[str, Any] = {"__name__": "train"}
    text = compiled.seed(Scale.read(scale)).decode()
    exec(compile(text.partition(LOOP)[0], "train.py", "exec"), names)
    return names


def raw(scale: str, rows: int, length: int, device: str) -> Iterator[tuple[Any, Any, int]]:
    """Batches like the judge's from the text in this process's memory."""
    import corpus
    import prepare
    from texts import Scale, Texts

    at = Scale.read(scale)
    texts = Texts(corpus.load(corpus.default_cache(), None, print, at.corpus), at, print)
    text, window, rng = np.array(texts.train), np.arange(length + 1), np.random.default_rng(1)
    torch = prepare.torch
    while True:
        starts = rng.integers(0, len(text) - length, size=rows)
        tokens = torch.from_numpy(text[starts[:, None] + window])
        if device == "cuda":
            tokens = tokens.pin_memory().to(device, non_blocking=True)
        tokens = tokens.to(torch.long)
        yield tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous(), 1


def ahead(rows: int, length: int) -> Iterator[tuple[Any, Any, int]]:
    """Streamed batches that are asked for when the step before the last one has ended, through pinned memory."""
    import prepare

    torch, before = prepare.torch, None
    while True:
        if before is not None:
            before.synchronize()
        _, raw = prepare._judge.ask(op="batch", rows=rows, length=length, split="train")
        before = torch.cuda.Event()
        before.record()
        tokens = torch.frombuffer(raw, dtype=prepare.TOKEN_DTYPE).view(rows, -1).pin_memory()
        tokens = tokens.to("cuda", non_blocking=True).to(torch.long)
        yield tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous(), 1


def synchronise(device: str) -> Callable[[], None]:
    import prepare

    return prepare.torch.cuda.synchronize if device == "cuda" else lambda: None


def device_name(device: str) -> str:
    import prepare

    return prepare.torch.cuda.get_device_name() if device == "cuda" else "CPU"


def run(loader: Iterator[Any], step: Callable[[Any, Any], Any], steps: int, wait: Callable[[], None]) -> Block:
    """Seconds of the wall and of this process for some steps; like the script's own loop it looks at one loss."""
    wait()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        x, y, _epoch = next(loader)
        loss = step(x, y)
    loss.item()
    wait()
    return time.perf_counter() - wall, time.process_time() - cpu


def loss(blocks: list[Block], raw_blocks: list[Block], clock: int) -> dict[str, float]:
    """Share of the throughput lost against the raw loader, by the geometric mean of ratios, and its 95 % interval."""
    logs = [math.log(raw[clock] / own[clock]) for own, raw in zip(blocks, raw_blocks, strict=True)]
    half = stats.t.ppf(0.975, len(logs) - 1) * stdev(logs) / math.sqrt(len(logs))
    low, centre, high = (1 - math.exp(fmean(logs) + shift) for shift in (half, 0.0, -half))
    return {"loss": centre, "low": low, "high": high}


def table(found: dict[str, Any]) -> str:
    head = (
        f"Scale {found['scale']} on {found['device']}: batches of {found['rows']} x {found['length']}, "
        f"{found['pairs']} rounds of blocks of {found['steps']} steps.\n\n"
        "| loader | clock | raw, ms a step | ms a step | loss of throughput | 95 % interval |\n"
        "|---|---|--:|--:|--:|--:|\n"
    )
    lines = []
    for name, losses in found["loss"].items():
        for i, (clock, meaning) in enumerate(CLOCKS.items()):
            if clock == "wall" or found["device"] == "CPU":
                own = losses[clock]
                raw_ms, own_ms = found["step_ms"]["raw"][i], found["step_ms"][name][i]
                cells = f"{raw_ms:.2f} | {own_ms:.2f} | {own['loss']:.2%} | {own['low']:.2%} to {own['high']:.2%}"
                lines.append(f"| {name} | {meaning} | {cells} |")
    return head + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
