"""A judge without torch: speaks the protocol of train_target/judge.py, sleeps the budget, and makes up a loss.

The loss depends on the program's text, the rung and the seed, and on nothing else. A program that contains the word
CRASH crashes; the folder given as `--data` must not be empty.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from pathlib import Path
from typing import Any


def draw(*key: object) -> float:
    """A number in 0..1 that depends on `key` only."""
    return int(hashlib.sha256(repr(key).encode()).hexdigest()[:8], 16) / 0xFFFFFFFF


def hello(data: str | None) -> dict[str, Any]:
    if data and not any(Path(data).iterdir()):
        return {"ready": False, "error": f"{data} holds no text"}
    corpus = {"name": data or "toy", "sha256": hashlib.sha256((data or "toy").encode()).hexdigest()}
    return {"ready": True, "corpus": corpus, "isolation": "none", "device": "fake", "baselines": {}, "versions": {}}


def judge(request: dict[str, Any]) -> dict[str, Any]:
    source = (Path(request["job"]) / "train.py").read_text()
    time.sleep(request["budget"])
    told = {"seconds": request["budget"], "device": "fake", "log_tail": "trained\n"}
    if "CRASH" in source:
        return told | {"status": "crashed", "reason": "RuntimeError: CRASH, in line 3 of train.py"}
    loss = 3.0 - 0.3 * math.log2(request["rung"]) - 0.5 * draw(source) + 0.01 * draw(source, request["seed"])
    return told | {"status": "ok", "metrics": {"val_bpb": loss, "tokens_per_second": 1000.0}}


def main() -> None:
    parser = argparse.ArgumentParser()
    for option in ("--scale", "--core", "--data", "--cache"):
        parser.add_argument(option)
    print(json.dumps(hello(parser.parse_args().data)), flush=True)
    for line in sys.stdin:
        print(json.dumps(judge(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
