"""Measures every attack with and without its defence, and writes the table of README.md.

    python -m tests.redteam.table [--level N|L] [--off] [--cache DIR] [PREFIX ...]
    python -m tests.redteam.table --gpu [0] -o DIR [--small] [--level N|L] [--cache DIR] [PREFIX ...]

Without `--off` it measures the verdicts at a level; with it, what comes of each attack without its defence. Programs
are chosen by the beginning of their names. What was measured is kept in measured.json, so that parts can be repeated.
With `--gpu` it runs those that need a GPU, and writes gpu.md and gpu.json into a folder of their own.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "train_target"))

import corpus  # noqa: E402
from tests.redteam import gpu_table  # noqa: E402
from tests.redteam.attacks import Program, programs  # noqa: E402
from tests.redteam.card import CardError  # noqa: E402
from tests.redteam.laboratory import Laboratory, Report  # noqa: E402

HERE = Path(__file__).parent
MEASURED = HERE / "measured.json"
README = HERE / "README.md"
BEGIN = "<!-- measured -->\n"
Words = dict[str, dict[str, str]]  # by program: "N", "L" and "off"


def described(report: Report, program: Program) -> str:
    """The verdict, or what was done instead."""
    outcome = report.outcome
    words = f"{outcome['status']}"
    if outcome["violation"]:
        words += f" ({outcome['violation']})"
    elif outcome["status"] not in ("ok", "none"):
        words += f": {outcome['reason'][:60].strip()}"
    if report.score is not None:
        words += f", {report.score:.2f} bpb"
    if report.harms:
        words += f"; **{'; '.join(harm[:110] for harm in dict.fromkeys(report.harms))}**"
    return words.replace("|", "/").replace("`", "'").replace("\n", " ")


def essence(words: str) -> tuple[str, bool]:
    """Of what was described, the status and whether harm was done."""
    return re.split(r"\W", words)[0], "**" in words


def measure(chosen: Iterable[Program], cache: Path, level: str, off: bool, words: Words) -> None:
    """Run the programs, those without the same defences in one laboratory, and note what came of them."""

    def key(program: Program) -> str:
        return program["off"] if off else ""

    chosen = [p for p in chosen if not off or (p["off"] and not p["unsafe"])]
    for names, group in groupby(sorted(chosen, key=key), key):
        laboratory = None
        for program in group:
            laboratory = laboratory or Laboratory(cache, tuple(names.split()), level)
            report = laboratory.attack(program)
            words.setdefault(program.name, {})["off" if off else level] = described(report, program)
            print(f"{program.name} [{names or level}]: {described(report, program)}", flush=True)
            MEASURED.write_text(json.dumps(words, indent=1, sort_keys=True) + "\n")
            if report.outcome["status"] in ("none", "infrastructure") or not laboratory.alive:
                laboratory.close()
                laboratory = None
        if laboratory:
            laboratory.close()


def summary(words: Words) -> str:
    """How many programs are shown to do harm, and which not."""
    chosen = programs()
    shown = [p for p in chosen if p["off"] and "**" in words.get(p.name, {}).get("off", "")]
    others = sorted({int(p["row"]) for p in chosen} - {int(p["row"]) for p in shown})
    return (
        f"{len(shown)} of {len(chosen)} programs do harm or get a false score without the defence that is named. Rows "
        f"of which none does: {', '.join(map(str, others))}; the last column says why.\n\n"
    )


def table(words: Words) -> str:
    lines = ["| row | program, what it attempts | with all defences | switched off | what happened then |"]
    lines.append("|--:|---|---|---|---|")
    for program in programs():
        said = words.get(program.name, {})
        verdict = said.get("N", "") + (f"<br>**open**: {program['open']}" if program["open"] else "")
        if "L" in said and essence(said["L"]) != essence(said.get("N", "")):
            verdict += f"<br>at L: {said['L']}"
        without = said.get("off", "") if program["off"] else ""
        if program["unsafe"]:
            without = f"not tried here: {program['unsafe']}"
        elif not program["off"]:
            without = program["note"]
        elif program["note"]:
            without += f"; {program['note']}"
        name = f"`{program.name}`: {program['attempts']}"
        lines.append(f"| {program['row']} | {name} | {verdict} | {program['off']} | {without} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("prefix", nargs="*", help="beginnings of names of programs; all unless given")
    parser.add_argument("--level", choices=("N", "L"), default="N")
    parser.add_argument("--off", action="store_true", help="without the defence of each program")
    parser.add_argument("--cache", type=Path, help="where prepared text is kept")
    parser.add_argument("--gpu", nargs="?", const="0", help="the attacks on a GPU, on that with this index or UUID")
    parser.add_argument(
        "--small", action="store_true", help="with --gpu: the text of the scale cpu, for want of rustbpe"
    )
    parser.add_argument("--limit", type=float, default=480.0, help="with --gpu: seconds after which none is begun")
    parser.add_argument("-o", "--output", type=Path, default=Path("redteam-gpu"), help="with --gpu: folder of results")
    parser.add_argument("--write", action="store_true", help="only write the table of what was measured")
    options = parser.parse_args()
    if options.gpu is not None:
        options.cache = options.cache or corpus.default_cache()
        try:
            sys.exit(gpu_table.main(options))
        except CardError as error:
            sys.exit(str(error))
    words: Words = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    chosen = [p for p in programs(options.level) if not options.prefix or p.name.startswith(tuple(options.prefix))]
    if not options.write:
        with tempfile.TemporaryDirectory() as folder:
            measure(chosen, options.cache or Path(folder), options.level, options.off, words)
    head = README.read_text().partition(BEGIN)[0] if README.exists() else ""
    README.write_text(head + BEGIN + summary(words) + table(words))


if __name__ == "__main__":
    main()
