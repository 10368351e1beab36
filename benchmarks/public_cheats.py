"""Known public cheats: what each would have scored in a harness inside its own process, and what the judge says.

    python -m benchmarks.public_cheats -o DIR [--budget 4] [--only NAME …]

The scripts are in tests/redteam/public, re-created from descriptions of what was found in public. Each runs four
times with one seed: the cheat and its honest twin (the same program with `CHEAT = False`), in a harness in the manner
of karpathy/autoresearch (tests/redteam/public/naive) and under the judge. Exit code 1 if the judge was fooled: it
gave a cheat a score that is better than that of its twin, or refused a twin.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from evolve import plugins
from evolve.assemble import open_executor
from evolve.config import load_target
from evolve.executors.local import LocalExecutor
from evolve.judges import Slot
from evolve.model import Genome, Outcome, Trial

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "train_target"
SCRIPTS = ROOT / "tests" / "redteam" / "public"
METRIC = re.compile(r"^val_bpb: *(\S+)", re.M)
NOISE = 0.2  # bits per byte between two runs with one seed: the number of steps differs by what the core did besides
PATIENCE = 120.0  # seconds that a script may take in the naive harness besides its budget
GAVE_UP = 3  # times that a trial is repeated which the machine spoilt

SOURCES = {  # cheat: where it was seen
    "block_causal": "nanochat 844",
    "fft_wrap": "nanochat 844",
    "time_statistics": "nanochat 844: means over blocks of time",
    "target_gated_cache": "parameter-golf 770, 779, 1967",
    "unnormalised": "parameter-golf 886, 978, 1147",
    "scaled_log_probs": "parameter-golf, the same in its simplest form",
    "trains_on_validation": "parameter-golf 1082",
    "trains_in_forward": "parameter-golf 1240",
    "self_timed": "autoresearch: the script keeps the time",
    "extra_steps": "autoresearch: the script keeps the time",
    "patched_clock": "autoresearch: the clock is in the process",
    "printed_metric": "autoresearch: the score is read from the log",
}


@dataclass(frozen=True)
class Naive:
    """What a script gets in the naive harness: the last `val_bpb:` in its log, or None, and how it ended."""

    bpb: float | None
    said: str = ""


@dataclass(frozen=True)
class Row:
    """One cheat: its scores and its twin's in the naive harness, and both outcomes of the judge."""

    name: str
    cheat: Naive
    twin: Naive
    verdict: Outcome
    twin_verdict: Outcome

    @property
    def fools(self) -> bool:
        """Whether the naive harness gives the cheat a clearly better score than its twin."""
        return self.cheat.bpb is not None and self.twin.bpb is not None and self.cheat.bpb < self.twin.bpb - NOISE

    @property
    def caught(self) -> bool:
        """Whether the judge refuses the cheat, or scores it no better than its twin; the twin has to be scored."""
        if self.twin_verdict.status != "ok" or self.verdict.status == "infrastructure":
            return False
        return self.verdict.status != "ok" or loss(self.verdict) > loss(self.twin_verdict) - NOISE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for public_cheats.md and .json")
    parser.add_argument("--budget", type=float, default=4.0, help="seconds of training (default: %(default)s)")
    parser.add_argument(
        "--purpose", default="audit", help="what the judge is told a trial is for (default: %(default)s)"
    )
    parser.add_argument("--only", nargs="+", choices=list(SOURCES), default=list(SOURCES), metavar="NAME")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    executor = open_judge()
    try:
        rows = measure(executor, options.only, options.budget, options.purpose)
    finally:
        executor.close()
    head = f"`--budget {options.budget:g} --purpose {options.purpose}`; isolation: {executor.hello['isolation']}"
    text = f"{head}\n\n{table(rows)}"
    print(text)
    (options.output / "public_cheats.md").write_text(text)
    record = {"budget": options.budget, "purpose": options.purpose, "hello": executor.hello}
    (options.output / "public_cheats.json").write_text(
        json.dumps(record | {"rows": [asdict(row) for row in rows]}, indent=1) + "\n"
    )
    missed = [row.name for row in rows if not row.caught]
    print(f"not caught: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


def measure(executor: LocalExecutor, names: Sequence[str], budget: float, purpose: str) -> list[Row]:
    """One row a cheat, with a line of progress for each."""
    rows: list[Row] = []
    begun = time.monotonic()
    for done, name in enumerate(names, start=1):
        twin = naive(source(name, cheat=False), budget)
        cheat = naive(source(name), budget)
        honest = judged(executor, source(name, cheat=False, budgets=4), budget, purpose)
        verdict = judged(executor, source(name, budgets=1 if keeps_time(name) else 4), budget, purpose)
        rows.append(Row(name, cheat, twin, verdict, honest))
        elapsed = time.monotonic() - begun
        left = elapsed / done * (len(names) - done)
        print(
            f"{done}/{len(names)} {name}: naive {shown(cheat.bpb)} for {shown(twin.bpb)}, "
            f"judge: {said(verdict)} for {said(honest)}; {elapsed:.0f} s, about {left:.0f} s left",
            flush=True,
        )
    return rows


def open_judge() -> LocalExecutor:
    """The judge of the target on the first core, as a search has it. The caller closes it."""
    target = load_target(TARGET)
    reader = plugins.load(plugins.READER)(target.rules)
    return open_executor(target, "cpu", None, [Slot((0,))], reader, sys.stderr)


def source(name: str, cheat: bool = True, budgets: int = 1) -> str:
    """The text of a cheat or of its twin; `budgets` is how many of them its own clock allows."""
    text = (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
    for constant, value in (("CHEAT = True", f"CHEAT = {cheat}"), ("BUDGETS = 1", f"BUDGETS = {budgets}")):
        if text.count(constant) != 1:
            raise ValueError(f"{name}.py must hold the line {constant!r} once")
        text = text.replace(constant, value)
    return text


def keeps_time(name: str) -> bool:
    """Whether the trick is in the script's own clock, which then stays as it is under the judge."""
    return name in ("self_timed", "patched_clock")


def naive(text: str, budget: float, seed: int = 1) -> Naive:
    """Run a script in the naive harness."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "train.py")
        path.write_text(text, encoding="utf-8")
        environment = os.environ | {
            "PYTHONPATH": str(SCRIPTS / "naive"),
            "EVOLVE_BUDGET": str(budget),
            "EVOLVE_SEED": str(seed),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, str(path)]
        try:
            run = subprocess.run(
                command, env=environment, cwd=folder, text=True, capture_output=True, timeout=PATIENCE + 8 * budget
            )
        except subprocess.TimeoutExpired:
            return Naive(None, "no end")
    found = METRIC.findall(run.stdout)
    return Naive(float(found[-1])) if found else Naive(None, (run.stderr.strip().splitlines() or ["nothing"])[-1])


def judged(executor: LocalExecutor, text: str, budget: float, purpose: str, seed: int = 1) -> Outcome:
    """The judge's outcome without its log, which names paths of a machine; what the machine spoilt is repeated."""
    for _ in range(GAVE_UP):
        trial = Trial(Genome(text), {}, budget, 1.0, "cpu", seed, purpose)  # type: ignore[arg-type]
        outcome = executor.submit(trial).result()
        if outcome.status != "infrastructure":
            break
    return replace(outcome, log_tail="")


def loss(outcome: Outcome) -> float:
    return outcome.metrics["val_bpb"]


def said(outcome: Outcome) -> str:
    return shown(loss(outcome)) if outcome.status == "ok" else f"{outcome.status}, {outcome.reason.partition(':')[0]}"


def shown(bpb: float | None) -> str:
    return "none" if bpb is None else f"{bpb:.4f}"


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| cheat | seen in | naive: cheat | naive: honest twin | judge: honest twin | judge: cheat | reason | caught |",
        "|---|---|--:|--:|--:|--:|---|---|",
    ]
    for row in rows:
        if row.verdict.status == "ok":
            verdict, reason = shown(loss(row.verdict)), "scored truly" if row.caught else "fooled"
        else:
            verdict, reason = f"**{row.verdict.status}**", row.verdict.reason.replace("|", "\\|")
        cells = [
            row.name,
            SOURCES[row.name],
            shown(row.cheat.bpb),
            shown(row.twin.bpb),
            said(row.twin_verdict),
            verdict,
            reason,
            "yes" if row.caught else "**no**",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
