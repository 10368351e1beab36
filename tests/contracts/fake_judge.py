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

OK, CRASHED, DIES, RAMBLES, NOT_FINITE, ODD_FIELDS, DEAF, BIG, PROVEN, LOST, LATE, WAITS = range(12)

CORE = 0


def say(message: object) -> None:
    print(json.dumps(message), flush=True)


def answer(request: dict[str, object]) -> None:
    seed = request["seed"]
    lr, sleep = map(float, Path(str(request["job"]), "train.py").read_text(encoding="utf-8").split()[:2])
    if seed == WAITS:  # for a device, much longer than a trial may take
        for _ in range(8):
            say({"waiting": "another run trains on it"})
            time.sleep(0.1)
    time.sleep(sleep)
    outcome = {"status": "ok", "metrics": {"loss": lr}, "seconds": request["budget"], "device": f"pid {os.getpid()}"}
    found = {"violation": "causality", "checks": {"suffix": "failed by 2 nats", "repeat": "ok"}}
    changes: dict[object, dict[str, object]] = {
        CRASHED: {"status": "crashed", "metrics": {}, "reason": "ValueError in line 1"},
        NOT_FINITE: {"metrics": {"loss": float("nan")}},
        ODD_FIELDS: {"metrics": {"loss": "low"}, "surprise": 1},
        BIG: {"log_tail": "x" * 1_000_000},
        PROVEN: {"status": "invalid", "metrics": {}, "reason": "causality: it looks ahead"} | found,
        LOST: {"status": "infrastructure", "metrics": {}, "reason": f"device lost under the judge of core {CORE}"},
    }
    if seed == DIES:
        os._exit(9)
    if seed == RAMBLES:
        print("Warning: a library says something on standard output", flush=True)
    if seed == DEAF:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(outcome | changes.get(seed, {}))
    if seed == LATE:
        say(outcome | {"metrics": {"loss": -1.0}})
    if seed == DEAF:
        time.sleep(60)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--core", type=lambda text: int(text.partition(",")[0]))
    parser.add_argument("--device")
    parser.add_argument("--waits-first", action="store_true")
    parser.add_argument("--never-ready")
    parser.add_argument("--dies-after", type=int, default=10**9, help="trials, after which its device is lost")
    parser.add_argument("--lost", type=int, help="the core whose device is lost")
    options = parser.parse_args()
    globals()["CORE"] = options.core
    if options.never_ready:
        say({"ready": False, "error": options.never_ready})
        return
    if options.waits_first:
        say({"waiting": "another run trains on it"})
    hello = {"ready": True, "core": options.core}
    say(hello | ({"device": options.device} if options.device else {}))
    for n, line in enumerate(sys.stdin):
        lost = options.core == options.lost or n >= options.dies_after
        answer(json.loads(line) | ({"seed": LOST} if lost else {}))


if __name__ == "__main__":
    main()
