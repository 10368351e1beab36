"""All that has to be seen on a GPU once, in a few minutes: isolation with CUDA, a trial through the judge, the costs.

    python -m benchmarks.gpu_trust -o DIR [--device cuda] [--budget 10] [--quick]

A part that fails does not stop the others. DIR/results.json holds what they found, DIR/summary.md how each went, two
more files the tables of the benchmarks.
`--device cpu --quick` runs the whole flow on the CPU, with boxes that are exec'd ahead as a GPU's are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "train_target"
sys.path.insert(0, str(TARGET))

import compiled  # noqa: E402
import corpus  # noqa: E402
import devices  # noqa: E402
import drivers  # noqa: E402
import trials  # noqa: E402
from benchmarks.trust_cost import Quiet  # noqa: E402
from ladder import candidates, lacking  # noqa: E402
from nursery import Infrastructure  # noqa: E402
from selftest import describe, judged, release, settle  # noqa: E402
from texts import Scale, Texts  # noqa: E402
from waiting import Waiting  # noqa: E402

NEEDS = """
import json, os, time
import torch
from prepare import DEVICE
found = {}
def attempt(name, act):
    began = time.perf_counter()
    try:
        act()
        found[name] = f"ok, {time.perf_counter() - began:.2f} s"
    except BaseException as error:
        found[name] = f"{type(error).__name__}: {' '.join(str(error).split())[-400:]}"
def cuinit():
    import ctypes
    code = ctypes.CDLL("libcuda.so.1").cuInit(0)
    assert code == 0, f"cuInit {code}"
def product():
    x = torch.ones(512, 512, device=DEVICE)
    assert (x @ x).sum().item() == 512.0 ** 3
def pinned():
    assert torch.ones(1000).pin_memory().to(DEVICE, non_blocking=True).sum().item() == 1000
def compiled():
    model = torch.compile(torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.GELU()).to(DEVICE))
    model(torch.ones(8, 64, device=DEVICE)).sum().backward()
def shared_memory():
    fd = os.memfd_create("logits")
    os.ftruncate(fd, 4096)
def transfer():
    import mmap
    size = 2**28
    fd = os.memfd_create("buffer")
    os.ftruncate(fd, size)
    memory = mmap.mmap(fd, size)
    buffer = torch.frombuffer(memory, dtype=torch.float32)
    logits = torch.ones(size // 4, device=DEVICE, dtype=torch.bfloat16)
    times = []
    for _ in range(4):
        torch.cuda.synchronize()
        began = time.perf_counter()
        buffer.copy_(logits)
        times.append(time.perf_counter() - began)
    found["256 MB of bf16 logits to the judge"] = f"{1000 * min(times):.1f} ms"
def others():
    assert torch.cuda.device_count() <= 1, torch.cuda.device_count()
if DEVICE == "cuda":
    attempt("cuInit", cuinit)
    attempt("one GPU at most", others)
    attempt("pinned memory", pinned)
    attempt("transfer", transfer)
attempt("matrix product", product)
attempt("memfd", shared_memory)
attempt("torch.compile, cold", compiled)
print("FOUND " + json.dumps(found), flush=True)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path(os.environ.get("OUT", "gpu_trust")))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--gpu", default="0", help="index or UUID")
    parser.add_argument("--budget", type=float, default=10.0, help="seconds of the trial (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="few repeats")
    parser.add_argument("--limit", type=float, default=470.0, help="seconds in all (default: %(default)s)")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    options.work, options.until = Path(tempfile.mkdtemp(prefix="gpu-trust-")), time.monotonic() + options.limit
    options.scale = Scale.read("gpu" if options.device == "cuda" else "cpu")
    parts: dict[str, Callable[[argparse.Namespace], Any]] = {
        "machine": machine,
        "arithmetic": arithmetic_speed,
        "isolation-N": lambda o: isolation(o, "N"),
        "isolation-L": lambda o: isolation(o, "L"),
        "trial": trial,
        "streaming": streaming,
        "cost": cost,
    }
    found: dict[str, Any] = {}
    lines = ["| part | seconds | result |", "|---|--:|---|"]
    for name, part in parts.items():
        began = time.monotonic()
        try:
            result = part(options)
        except (
            Infrastructure,
            OSError,
            RuntimeError,
            ValueError,
            AssertionError,
            SystemExit,
            subprocess.SubprocessError,
        ) as error:
            result = {"failed": f"{type(error).__name__}: {error}"}
        found[name] = result
        (options.output / "results.json").write_text(json.dumps(found, indent=1, default=str) + "\n")
        said = " ".join(json.dumps(result, default=str).split())
        lines.append(f"| {name} | {time.monotonic() - began:.1f} | {said[:300].replace('|', '/')} |")
        print(f"{lines[-1]}\n{json.dumps(result, indent=1, default=str)[:3000]}", flush=True)
        (options.output / "summary.md").write_text("\n".join(lines) + "\n")
    return 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def machine(options: argparse.Namespace) -> dict[str, Any]:
    """What this machine is, and what its driver tells."""
    about: dict[str, Any] = {"kernel": os.uname().release, "cores": os.cpu_count(), "python": sys.version.split()[0]}
    about |= {f"lacking at {level}": lacking(level) or "nothing" for level in ("N", "L", "U")}
    if options.device == "cuda":
        source = drivers.open_source()
        device = devices.find(source.devices(), options.gpu)
        guard = trials.open_guard(options.scale, options.gpu)
        assert guard is not None
        about |= {"source": type(source).__name__, "device": device, "nodes": devices.nodes(device, source.minor)}
        about |= {"environment": devices.environment(device), "used_mb": guard.baseline_mb}
        began = time.monotonic()
        about["probe"] = guard.test() or f"ok, {time.monotonic() - began:.1f} s"
        about["users"] = list(map(str, source.users(device)))
        about["xids"] = source.xids(device)
    return about


def arithmetic_speed(options: argparse.Namespace) -> dict[str, str]:
    """Tokens a second that the judge scores, on all cores and on one."""
    import numpy as np

    import arithmetic

    found, rng = {}, np.random.default_rng(0)
    every = os.sched_getaffinity(0)
    for vocabulary, length in ((256, 128), (8192, 1024)):
        logits = rng.standard_normal((8, length, vocabulary), dtype=np.float32)
        targets = rng.integers(0, vocabulary, (8, length))
        for cores in (every, {min(every)}):
            os.sched_setaffinity(0, cores)
            arithmetic._threads.cache_clear()
            seconds = []
            for _ in range(4):
                began = time.perf_counter()
                arithmetic.losses(logits, targets)
                seconds.append(time.perf_counter() - began)
            found[f"V={vocabulary}, {len(cores)} cores"] = f"{targets.size / min(seconds):,.0f} tokens/s"
    os.sched_setaffinity(0, every)
    arithmetic._threads.cache_clear()
    return found


def open_boxes(options: argparse.Namespace, name: str) -> Callable[[Any], Waiting]:
    """How to start boxes that wait, at an isolation, in a folder of this name."""
    guard = trials.open_guard(options.scale, options.gpu)
    folder = options.work / "boxes" / name

    def start(isolation: Any) -> Waiting:
        if guard is None:
            return Waiting(folder, options.scale.memory_mb, isolation)
        boxes = trials.boxes(options.scale, folder, isolation, guard)
        assert isinstance(boxes, Waiting)
        return boxes

    return start


def isolation(options: argparse.Namespace, level: str) -> dict[str, Any]:
    """The self-test at one level with the device in hand, and what a training needs, in a box."""
    if lack := lacking(level):
        return {"failed": lack}
    cache = corpus.default_cache()
    cache.mkdir(parents=True, exist_ok=True)
    chosen = next(i for i in candidates(level, [cache]) if i.level == level)
    began = time.monotonic()
    boxes = open_boxes(options, level)(chosen)
    try:
        about: dict[str, Any] = {"ready": boxes.ready, "seconds until ready": time.monotonic() - began}
        about["canary"] = found = release(boxes, chosen)  # type: ignore[arg-type]
        about["faults"] = judged(level, found)
        about["line"] = describe(level, boxes.ready, found)
        about |= needs(boxes, options)
    finally:
        boxes.close()
    return about


def needs(boxes: Waiting, options: argparse.Namespace) -> dict[str, Any]:
    """What a script finds that tries all that a training on the device needs."""
    box = boxes.start(NEEDS.encode())
    hello = {"budget": 1.0, "seed": 0, "device": options.scale.device, "max_seq_len": 8, "vocab_size": 256}
    until, began = time.monotonic() + 150, time.monotonic()
    try:
        while (seconds := until - time.monotonic()) > 0:
            ready, _, _ = trials.select([box.wire, box.process, box.log], [], [], seconds)
            if box.log in ready:
                box.log.drain()
            if box.wire in ready:
                messages = box.wire.receive()
                if messages is None:
                    break
                for message in messages:
                    box.wire.send(hello if message.get("op") == "hello" else {})
            elif box.process in ready:
                break
    finally:
        ended = boxes.end(box)
    log = box.log.text()
    found = next((line[6:] for line in log.splitlines() if line.startswith("FOUND ")), "")
    return {"needs": json.loads(found) if found else log[-2500:], "box": ended, "seconds": time.monotonic() - began}


def trial(options: argparse.Namespace) -> dict[str, Any]:
    """A trial of train.py through the judge."""
    texts = Texts(corpus.load(corpus.default_cache(), None, say, options.scale.corpus), options.scale, say)
    hidden = [corpus.default_cache()]
    settled = settle(open_boxes(options, "trial"), "auto", False, hidden, say)  # type: ignore[arg-type]
    guard = trials.open_guard(options.scale, options.gpu)
    judge = trials.Judge(options.scale, texts, Quiet(), settled, 60.0, guard)  # type: ignore[arg-type]
    (options.work / "train.py").write_bytes(compiled.seed(options.scale))
    request = {"job": str(options.work), "budget": options.budget, "rung": 0.25, "purpose": "tune"}
    found: dict[str, Any] = {"isolation": settled.line, "device": judge.device}
    try:
        began = time.monotonic()
        found["trial"] = judge.trial(request | {"seed": 0})
        found["trial"]["wall_seconds"] = time.monotonic() - began
        found["device lost"] = guard.lost if guard else ""
    finally:
        judge.nursery.close()
    del found["trial"]["log_tail"]  # which names paths of a machine
    return found


def streaming(options: argparse.Namespace) -> Any:
    pairs = ["--pairs", "4", "--steps", "3"] if options.quick else ["--pairs", "20", "--steps", "10"]
    return run(["benchmarks.streaming", "--device", options.device, *pairs], options, f"streaming-{options.scale.name}")


def cost(options: argparse.Namespace) -> Any:
    repeats = ["--repeats", "1", "--budgets", "1"] if options.quick else ["--repeats", "1", "--budgets", "10"]
    return run(["benchmarks.trust_cost", "--device", options.device, *repeats], options, f"cost-{options.scale.name}")


def run(command: list[str], options: argparse.Namespace, name: str) -> Any:
    """A benchmark in a process of its own; its numbers, or the end of what it said."""
    done = subprocess.run(
        [sys.executable, "-m", *command, "-o", str(options.work)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=max(10.0, options.until - time.monotonic()),
    )
    if done.returncode:
        return {"failed": (done.stdout + done.stderr)[-2500:]}
    (options.output / f"{name}.md").write_text((options.work / f"{name}.md").read_text())
    return json.loads((options.work / f"{name}.json").read_text())


if __name__ == "__main__":
    sys.exit(main())
