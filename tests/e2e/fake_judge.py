"""A judge without torch: speaks the protocol of train_target/judge.py, sleeps the budget, and makes up a loss.

The loss depends on the program's text, the rung and the seed, and on nothing else. A program that contains the word
CRASH crashes, one with CHEAT is proven to look ahead; the folder given as `--data` must not be empty. It isolates at
level N, or at the level in the file `level` beside it, at most at the one that it is asked for.

With a file `memory` beside it, it has a device of so many MiB: peaks follow from the constants of a program, one above
that is out of memory, and a line for each trial is appended to `begun`. With a file `beside`, others have 20 GiB of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import sys
import time
from pathlib import Path
from typing import Any

MEMORY, BEGUN, BESIDE = (Path(__file__).with_name(name) for name in ("memory", "begun", "beside"))


def draw(*key: object) -> float:
    """A number in 0..1 that depends on `key` only."""
    return int(hashlib.sha256(repr(key).encode()).hexdigest()[:8], 16) / 0xFFFFFFFF


def hello(data: str | None, asked: str | None) -> dict[str, Any]:
    if data and not any(Path(data).iterdir()):
        return {"ready": False, "error": f"{data} holds no text"}
    corpus = {"name": data or "toy", "sha256": hashlib.sha256((data or "toy").encode()).hexdigest()}
    file = Path(__file__).with_name("level")
    best = file.read_text().strip() if file.exists() else "N"
    level = min(best, asked or best, key=["none", "U", "L", "N"].index)
    about = {"isolation": f"{level}: made up", "level": level, "device": "fake", "baselines": {}}
    if MEMORY.exists():
        about |= {"device_memory_mb": float(MEMORY.read_text())}
    if BESIDE.exists():
        about |= {"beside": BESIDE.read_text()}
    return {"ready": True, "corpus": corpus, **about, "versions": {"torch": "2.0"}}


def peak_mb(source: str) -> float:
    """A context, weights with what the optimizer keeps, activations: as in a real training, with made-up factors."""
    size = {name: int(value) for name, value in re.findall(r"^([A-Z_]+) = (\d+)\b", source, re.M)}
    depth, dim, batch, ratio = (size.get(name, 1) for name in ("DEPTH", "DIM", "BATCH_SIZE", "MLP_RATIO"))
    return 500 + 0.02 * depth * dim**2 * (4 + 2 * ratio) / 12 + batch * depth * dim * (8 + ratio) / 12


def judge(request: dict[str, Any]) -> dict[str, Any]:
    source = (Path(request["job"]) / "train.py").read_text()
    time.sleep(request["budget"])
    told = {"seconds": request["budget"], "device": "fake", "log_tail": "trained\n"}
    peak = {}
    if MEMORY.exists():
        peak = {"peak_device_mb": peak_mb(source)}
        with BEGUN.open("a") as begun:
            begun.write(f"{peak['peak_device_mb']:.3f}\n")
        if peak["peak_device_mb"] > (limit := float(MEMORY.read_text())):
            reason = "OutOfMemoryError at line 90: CUDA out of memory. Tried to allocate 2.00 GiB."
            return told | {
                "status": "oom",
                "reason": reason,
                "metrics": {"peak_device_mb": 0.9 * limit, "device_memory_mb": limit},
            }
    if "CRASH" in source:
        return told | {"status": "crashed", "reason": "RuntimeError: CRASH, in line 3 of train.py"}
    if "CHEAT" in source:
        proven = {"violation": "causality", "checks": {"suffix": "failed: 2 nats", "repeat": "ok: same"}}
        return told | {"status": "invalid", "reason": "causality: changed by 2 nats"} | proven
    loss = 3.0 - 0.3 * math.log2(request["rung"]) - 0.5 * draw(source) + 0.01 * draw(source, request["seed"])
    metrics = {"val_bpb": loss, "tokens_per_second": 1000.0}
    metrics |= peak | ({"others_device_mb": 20480.0} if BESIDE.exists() else {})
    if request["purpose"] == "report":
        metrics |= {"test_bpb": loss + 0.1}
    return told | {"status": "ok", "metrics": metrics, "checks": {"suffix": "ok: 0 nats", "repeat": "ok: same"}}


def main() -> None:
    parser = argparse.ArgumentParser()
    for option in ("--scale", "--core", "--data", "--cache", "--isolation"):
        parser.add_argument(option)
    for flag in ("--unsafe-no-sandbox", "--counts"):
        parser.add_argument(flag, action="store_true")
    options = parser.parse_args()
    if options.counts:
        print(json.dumps({"val": {"unigram": 5.25}, "test": {"unigram": 5.5}}))
        return
    print(json.dumps(hello(options.data, options.isolation)), flush=True)
    for line in sys.stdin:
        print(json.dumps(judge(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
