"""A judge without a target: speaks JSON lines like a real one, and does what the seed of a request says.

Run as `python fake_judge.py [--never-ready REASON] --core K`. The first line of a program is `lr sleep`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

OK, CRASHED, DIES, RAMBLES, NOT_FINITE, ODD_FIELDS, DEAF, BIG = range(8)


def say(message: object) -> None:
    print(json.dumps(message), flush=True)


def answer(request: dict[str, object]) -> None:
    seed = request["seed"]
    lr, sleep = map(float, Path(str(request["job"]), "train.py").read_text(encoding="utf-8").split()[:2])
    time.sleep(sleep)
    outcome = {"status": "ok", "metrics": {"loss": lr}, "seconds": request["budget"], "device": f"pid {os.getpid()}"}
    if seed == CRASHED:
        say(outcome | {"status": "crashed", "metrics": {}, "reason": "ValueError in line 1"})
    elif seed == DIES:
        os._exit(9)
    elif seed == RAMBLES:
        print("Warning: a library says something on standard output", flush=True)
        say(outcome)
    elif seed == NOT_FINITE:
        say(outcome | {"metrics": {"loss": float("nan")}})
    elif seed == ODD_FIELDS:
        say(outcome | {"metrics": {"loss": "low"}, "surprise": 1})
    elif seed == DEAF:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say(outcome)
        time.sleep(60)
    elif seed == BIG:
        say(outcome | {"log_tail": "x" * 1_000_000})
    else:
        say(outcome)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--core", type=int)
    parser.add_argument("--never-ready")
    options = parser.parse_args()
    if options.never_ready:
        say({"ready": False, "error": options.never_ready})
        return
    say({"ready": True, "core": options.core})
    for line in sys.stdin:
        answer(json.loads(line))


if __name__ == "__main__":
    main()
