"""What trust costs a trial, by part, in milliseconds and as a share of the trial's wall time.

    python -m benchmarks.trust_cost [--device cuda] [--repeats 5] [--isolation auto] [-o DIR]

The judge runs in this process, so its own work is timed where it is done, in CPU time at the CPU scale, whose core it
shares with the box: the answers to `batch` are the streaming, those to `logits` the scoring, reading the clock (with
timing the core) is apart. Forward passes that no score needs are the probes': their number times the median time of
one. Starts of a box are compared, interleaved, with a bare `python -c "import torch, torch._dynamo"`; what each door
costs is timed in children of one process. Medians of repeats; the table of starts also says what each is of the cold
start in the same repeat.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "train_target"
sys.path.insert(0, str(TARGET))

import baselines  # noqa: E402, F401  as the judge does, so that all that it imports is there
import compiled  # noqa: E402
import corpus  # noqa: E402
import trials  # noqa: E402
from nursery import Nursery  # noqa: E402
from selftest import Settled, settle  # noqa: E402
from session import Reply, Session  # noqa: E402
from texts import Scale, Texts  # noqa: E402
from waiting import Waiting  # noqa: E402
from watchdog import Watchdog  # noqa: E402

COLD = [sys.executable, "-I", "-c", "import torch, torch._dynamo"]
DOORS = """
import json, os, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import sandbox, seccomp
from statistics import median
ruleset_ms = []
for _ in range(5):
    began = time.perf_counter()
    ruleset = sandbox.landlock([], Path(sys.argv[2]))
    ruleset_ms.append(1000 * (time.perf_counter() - began))
doors = {
    "namespaces": sandbox.unshare,
    "limits": lambda: sandbox.limit(4096),
    "capabilities": sandbox.drop_capabilities,
    "landlock": lambda: (sandbox.prctl(38, 1), ruleset.restrict()),
    "seccomp": seccomp.install,
}
found = {"ruleset, once a zygote or a waiting box": median(ruleset_ms)}
for name, shut in doors.items():
    times = []
    for _ in range(15):
        read, write = os.pipe()
        if os.fork() == 0:
            if name == "seccomp":
                sandbox.prctl(38, 1)
            began = time.perf_counter()
            shut()
            os.write(write, str(time.perf_counter() - began).encode())
            os._exit(0)
        os.close(write)
        os.wait()
        said = os.read(read, 100)
        if said:
            times.append(1000 * float(said))
        os.close(read)
    found[name] = median(times) if times else None
print(json.dumps(found))
"""
Numbers = dict[str, float]
watched: list[Watchdog] = []
timed: list[TimedSession] = []


class TimedClock:
    """A clock that notes, by `own`, how long reading it takes."""

    def __init__(self, clock: Any, own: Callable[[], float]) -> None:
        self.clock, self.own, self.spent = clock, own, 0.0

    def read(self, exact: bool = False) -> float:
        began = self.own()
        seconds: float = self.clock.read(exact)
        self.spent += 1000 * (self.own() - began)
        return seconds


class TimedSession(Session):
    """A session that notes how long the judge takes for each kind of message, and the box between two."""

    def __init__(self, *arguments: Any) -> None:
        scale, texts, clock, *rest = arguments
        self.own = time.process_time if scale.clock == "cpu" else time.perf_counter
        self.timed = TimedClock(clock, self.own)
        super().__init__(scale, texts, self.timed, *rest)
        self.judged: dict[str, list[float]] = defaultdict(list)
        self.waited: dict[str, list[float]] = defaultdict(list)
        self.since = time.perf_counter()
        timed.append(self)

    def handle(self, message: dict[str, Any]) -> Reply:
        self.waited[str(message.get("op"))].append(1000 * (time.perf_counter() - self.since))
        began, before = self.own(), self.timed.spent
        reply = super().handle(message)
        clock = self.timed.spent - before
        self.judged[str(message.get("op"))].append(1000 * (self.own() - began) - clock)
        self.since = time.perf_counter()
        return reply


class TimedWatchdog(Watchdog):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        watched.append(self)


class Quiet:
    """An engine that says nothing."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def fileno(self) -> int:
        return self._read

    def wait(self, why: str) -> None:
        time.sleep(0.1)


def main() -> int:
    options = parse()
    scale = Scale.read(options.scale or ("gpu" if options.device == "cuda" else "cpu"))
    if scale.device == "cpu":
        os.sched_setaffinity(0, {options.core})
    texts = Texts(corpus.load(corpus.default_cache(), None, say, scale.corpus), scale, say)
    texts.split("val")
    with tempfile.TemporaryDirectory(prefix="trust-") as place:
        found = {"scale": scale.name, "starts": starts(scale, Path(place), options), "doors": doors(Path(place))}
        found |= trial_costs(scale, texts, Path(place), options)
    report = table(found)
    print(report)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / f"cost-{scale.name}.json").write_text(json.dumps(found, indent=1) + "\n")
        (options.output / f"cost-{scale.name}.md").write_text(report)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--scale", help="of target.toml (default: cpu, and gpu with --device cuda)")
    parser.add_argument("--core", type=int, default=0, help="where judge and boxes run at the CPU scale")
    parser.add_argument("--gpu", default="0", help="index or UUID, with --device cuda")
    parser.add_argument("--repeats", type=int, default=5, help="trials of each kind and starts (default: %(default)s)")
    parser.add_argument("--budgets", type=float, nargs="*", help="charged seconds (default: 4 and 16; 10 on a GPU)")
    parser.add_argument("--isolation", default="auto", help="at most this level")
    parser.add_argument("-o", "--output", type=Path, help="a folder for the numbers and the table")
    return parser.parse_args()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def starts(scale: Scale, place: Path, options: argparse.Namespace) -> dict[str, Numbers]:
    """Milliseconds until an empty script has ended and its box is gone, for each way to start one, in turns."""
    settled = begin(scale, place / "starts", options)
    boxes = {f"{type(settled.nursery).__name__} at {settled.isolation.level}": settled.nursery}
    if isinstance(settled.nursery, Nursery):
        boxes["Waiting, as for a GPU"] = Waiting(place / "waiting", scale.memory_mb, settled.isolation)
    times: dict[str, list[float]] = defaultdict(list)
    try:
        for _ in range(options.repeats):
            began = time.perf_counter()
            subprocess.run(COLD, check=True, capture_output=True)
            times["cold: python, import torch, no isolation"].append(1000 * (time.perf_counter() - began))
            for name, nursery in boxes.items():
                if isinstance(nursery, Waiting) and nursery._spare:
                    nursery._spare.await_ready()
                began = time.perf_counter()
                box = nursery.start(b"pass")
                trials.select([box.process], [], [], 60.0) if greet(scale, box) else None
                ended = time.perf_counter()
                nursery.end(box)
                times[name].append(1000 * (ended - began))
                times[f"{name}: end"].append(1000 * (time.perf_counter() - ended))
    finally:
        for nursery in boxes.values():
            nursery.close()
    cold = times["cold: python, import torch, no isolation"]
    return {
        n: {"ms": median(t), "of_cold": median(a / b for a, b in zip(t, cold, strict=True))} for n, t in times.items()
    }


def greet(scale: Scale, box: Any) -> bool:
    """Answer the hello of a box."""
    hello = {"budget": 1.0, "seed": 0, "device": scale.device, "max_seq_len": scale.max_seq_len}
    if box.wire.receive():
        box.wire.send(hello | {"vocab_size": scale.vocab_size})
    return True


def begin(scale: Scale, folder: Path, options: argparse.Namespace) -> Settled:
    guard = trials.open_guard(scale, options.gpu)
    return settle(lambda isolation: trials.boxes(scale, folder, isolation, guard), options.isolation, False, [], say)


def doors(place: Path) -> Numbers:
    """Milliseconds that each door takes to shut, in a forked child."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", DOORS, str(TARGET), str(place)], check=True, capture_output=True, text=True
    )
    return {name: value for name, value in json.loads(done.stdout).items() if value is not None}


def trial_costs(scale: Scale, texts: Texts, place: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run trials of train.py with the judge in this process, and take their time apart."""
    trials.Session, trials.Watchdog = TimedSession, TimedWatchdog  # type: ignore[misc, assignment]
    settled = begin(scale, place / "boxes", options)
    guard = trials.open_guard(scale, options.gpu)
    judge = trials.Judge(scale, texts, Quiet(), settled, 300.0, guard)  # type: ignore[arg-type]
    (place / "train.py").write_bytes(compiled.seed(scale))
    budgets = options.budgets or ([4.0, 16.0] if scale.device == "cpu" else [10.0])
    found: dict[str, Any] = {}
    try:
        for budget in budgets:
            purpose = "tune" if budget < scale.budget else "confirm"
            request = {"job": str(place), "budget": budget, "rung": min(1.0, budget / scale.budget), "purpose": purpose}
            runs = [one(judge, request | {"seed": seed}) for seed in range(options.repeats)]
            parts = {key: median(run[key] for run in runs) for key in runs[0]}
            found[f"{budget:g} s, {purpose}"] = parts
    finally:
        judge.nursery.close()
    return {"isolation": settled.line, "device": judge.device, "trials": found}


def one(judge: trials.Judge, request: dict[str, Any]) -> Numbers:
    """Milliseconds of one trial by part; those of the judge are its own work. Tries again what was void."""
    for _ in range(4):
        timed.clear()
        watched.clear()
        began = time.perf_counter()
        outcome = judge.trial(request)
        wall = 1000 * (time.perf_counter() - began)
        if outcome["status"] != "infrastructure":
            break
    if outcome["status"] != "ok":
        raise SystemExit(f"the trial was {outcome['status']}: {outcome['reason']}\n{outcome['log_tail']}")
    session = timed[-1]
    evaluation = session._evaluation
    assert evaluation is not None
    forwards = session.waited["logits"]
    needed = sum(math.ceil(len(rows) / evaluation.batch) for rows in evaluation.texts.values())
    typical = median(forwards)
    scoring = sum(sum(session.judged[op]) for op in ("evaluate", "logits", "pass"))
    return {
        "trial": wall,
        "steps": float(session.steps),
        "start: until the first batch": sum(session.waited["hello"]) + sum(session.waited["batch"][:1]),
        "streaming: judge": sum(session.judged["batch"]),
        "clock: reading it": session.timed.spent,
        "watchdog": 1000 * sum(w.spent for w in watched),
        "scoring: judge": scoring,
        "probes: forward passes": typical * max(0, len(forwards) - needed),
        "probes: fork and change of pass": sum(session.waited["pass"]) if "pass" in session.waited else 0.0,
        "forward passes asked": float(len(forwards)),
        "forward passes needed": float(needed),
        "forward pass": typical,
        "evaluation, all of it": sum(forwards) + scoring + sum(session.waited["pass"]),
    }


def table(found: dict[str, Any]) -> str:
    lines = [f"# Cost of trust at the scale {found['scale']} on {found['device']}", "", found["isolation"], ""]
    lines += ["| start of a box | ms | of the cold start |", "|---|--:|--:|"]
    lines += [f"| {name} | {n['ms']:.1f} | {n['of_cold']:.1%} |" for name, n in found["starts"].items()]
    lines += ["", "| door | ms |", "|---|--:|"]
    lines += [f"| {name} | {value:.2f} |" for name, value in found["doors"].items()]
    kinds = list(found["trials"])
    lines += ["", f"| part of a trial | {' | '.join(f'{kind}: ms | share' for kind in kinds)} |"]
    lines += ["|---|" + "--:|" * (2 * len(kinds))]
    for part in found["trials"][kinds[0]]:
        counts = part in ("steps", "forward passes asked", "forward passes needed")
        cells = []
        for kind in kinds:
            value, whole = found["trials"][kind][part], found["trials"][kind]["trial"]
            cells += [f"{value:.0f}" if counts else f"{value:.1f}", "" if counts else f"{value / whole:.2%}"]
        lines.append(f"| {part} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
