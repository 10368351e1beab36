"""Measures the attacks that need a GPU and writes gpu.json and gpu.md: `python -m tests.redteam.table --gpu -o DIR`."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.redteam.attacks import Program, programs
from tests.redteam.card import Card, changed
from tests.redteam.gpu_laboratory import SMALL, GpuLaboratory, GpuReport

KEPT = ("val_bpb", "peak_device_mb", "startup_seconds")  # of the metrics
Row = dict[str, Any]


def laboratories(options: argparse.Namespace, card: Card) -> Callable[[str], GpuLaboratory]:
    """How to open one whose judge has the values that a program asks for."""

    def start(judge: str) -> GpuLaboratory:
        values = (SMALL if options.small else {}) | dict(part.split("=", 1) for part in judge.split())
        scale = "cpu" if options.small else "gpu"
        return GpuLaboratory(options.cache, card, values, scale, options.gpu, options.level)

    return start


def measure(chosen: list[Program], start: Callable[[str], GpuLaboratory], until: float) -> Iterator[Row]:
    """What came of each program, one after the other; what went wrong with one stops no other."""
    for judge, group in groupby(sorted(chosen, key=lambda program: program["judge"]), lambda program: program["judge"]):
        laboratory, broken = None, ""
        for program in group:
            row: Row = {"name": program.name, "row": program["row"], "attempts": program["attempts"]}
            if broken or time.monotonic() > until:
                yield row | {"failed": broken or "not run: the time was used"}
                continue
            try:
                laboratory = laboratory or start(judge)
            except Exception as error:  # whatever it is: there may be another judge
                broken = failure(error)
                yield row | {"failed": broken}
                continue
            try:
                report = laboratory.attack(program)
                yield row | described(report, program) | {"isolation": laboratory.slot.ready["isolation"]}
                sound = bool(report.outcomes) and report.outcome["status"] != "infrastructure"
            except Exception as error:  # whatever it is: the other rows are still to be seen
                yield row | {"failed": failure(error)}
                sound = False
            if not sound:
                laboratory.close()
                laboratory = None
        if laboratory:
            laboratory.close()


def failure(error: Exception) -> str:
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}"


def described(report: GpuReport, program: Program) -> Row:
    metrics = report.outcome.get("metrics", {})
    spoken = "|".join(pattern for pattern in (program["says"], program["harmful"]) if pattern)
    return {
        **{key: report.outcome.get(key, "") for key in ("status", "reason", "violation")},
        "metrics": {name: metrics[name] for name in KEPT if name in metrics},
        "said": [line for line in report.log.splitlines() if spoken and re.search(spoken, line)],
        **{key: value for key, value in asdict(report).items() if key != "outcomes"},
    }


def table(rows: list[Row]) -> str:
    lines = ["| row | program, what it attempts | outcome | as expected | MiB taken | back after | what it said |"]
    lines.append("|--:|---|---|---|--:|--:|---|")
    for row in sorted(rows, key=lambda row: row["name"]):
        cells = [row["row"], f"`{row['name']}`: {row['attempts']}"]
        if "failed" in row:
            cells += [f"**{row['failed'][:300]}**", "not known", "", "", ""]
        else:
            wrong = [*row["faults"], *row["harms"]]
            reason = f": {row['reason'][:200]}" if row["reason"] else ""
            cells += [f"{row['status']}{reason}", f"**no: {'; '.join(wrong)[:400]}**" if wrong else "yes"]
            said = "; ".join(dict.fromkeys(row["said"]))[:500]
            cells += [f"{row['peak_mb']:,.0f}", f"{row['back_seconds']:.1f} s", said]
        lines.append("| " + " | ".join(" ".join(str(cell).replace("|", "/").split()) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def write(folder: Path, about: dict[str, Any], rows: list[Row]) -> None:
    (folder / "gpu.json").write_text(json.dumps(about | {"rows": rows}, indent=1, default=str) + "\n")
    done = [row for row in rows if "failed" not in row]
    good = [row for row in done if not row["faults"] and not row["harms"]]
    isolation = next((row["isolation"] for row in done), "not known")
    head = (
        f"# Attacks on a GPU\n\n{about['device']}; {about['scale']}; isolation {isolation}.\n\n`{about['command']}`\n\n"
        f"{len(good)} of {len(rows)} as expected. Settings of the card that differ afterwards: "
        f"{'; '.join(about['changed']) or 'none'}. MiB taken and the seconds until they were back are what nvidia-smi "
        "says from outside; the last column are the program's own words.\n\n"
    )
    (folder / "gpu.md").write_text(head + table(rows))


def main(options: argparse.Namespace) -> int:
    """Returns 0 where all is as expected."""
    options.output.mkdir(parents=True, exist_ok=True)
    card = Card(options.gpu)
    scale = "text and sizes of the scale cpu" if options.small else "scale gpu"
    command = " ".join(["python -m tests.redteam.table", *sys.argv[1:]])
    before = card.settings()
    about = {"device": card.name, "scale": scale, "command": command, "settings": before, "changed": ["not looked at"]}
    chosen = [
        program
        for program in programs(options.level, gpu=True)
        if not options.prefix or program.name.startswith(tuple(options.prefix))
    ]
    rows: list[Row] = []
    for row in measure(chosen, laboratories(options, card), time.monotonic() + options.limit):
        rows.append(row)
        write(options.output, about, rows)
        print(
            f"{row['name']}: {json.dumps({k: v for k, v in row.items() if k not in ('name', 'attempts')})}", flush=True
        )
    about["changed"] = changed(before, card.settings())
    write(options.output, about, rows)
    return int(bool(about["changed"]) or any("failed" in row or row["faults"] or row["harms"] for row in rows))
