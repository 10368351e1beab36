"""Promotions as a table: each condition with the seed program and the candidates, and what became of their gains."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from evolve.config import ConfigError
from evolve.history import History
from evolve.journal import QUOTED, cut
from evolve.model import Candidate
from evolve.promotion import SEED, Condition, Promotions, Row, gain_of_run, home_of, rows
from evolve.reports.columns import estimate, number
from evolve.reports.front import print_weakness
from evolve.reports.grid import Grid, Head
from evolve.transfer import Gain, Share

WIDE = 160  # columns of the table in a file
MEMORY = ("peak_device_mb", "peak_memory_mb")  # the first that was measured is shown
DIGITS = 4
INTERVALS = (
    "Intervals are 95 %: gains of pairs with one seed (Student), transfer as a ratio of means, which are correlated "
    "where their seeds are the same (Fieller 1954)."
)
Tables = Mapping[Condition, Sequence[Row]]


def print_promotions(console: Console, history: History, promotions: Promotions) -> None:
    """Everything that was measured so far, under all conditions; a line if that is nothing."""
    tables = {condition: rows(history, promotions, condition) for condition in promotions.conditions}
    ids = dict.fromkeys(row.id for found in tables.values() for row in found if row.id != SEED)
    if not ids:
        console.print("Nothing was promoted yet.")
        return
    known = [history.candidates[name] for name in ids]
    named = labels(promotions.conditions)
    print_weakness(console, history)
    console.print(_grid(history, known, tables, named), crop=False)
    said = [line for candidate in known for line in _verdicts(history, promotions, candidate, tables, named)]
    said += [*_remarks(history, named), INTERVALS]
    console.print("\n".join(said), markup=False, highlight=False)


def labels(conditions: Sequence[Condition]) -> dict[Condition, str]:
    """What each is called: by budget and scale, with a number where several share these."""
    uses, seen = Counter(c.name for c in conditions), Counter[str]()
    found = {}
    for condition in conditions:
        seen[condition.name] += 1
        more = f" [{seen[condition.name]}]" if uses[condition.name] > 1 else ""
        found[condition] = condition.name + more
    return found


def promoted(history: History, promotions: Promotions, candidate: Candidate) -> str:
    """What became of one candidate under all conditions, in a line; "" if it never was promoted."""
    named = labels(promotions.conditions)
    found = [(named[c], row) for c in named for row in rows(history, promotions, c) if row.id == candidate.id]
    return "; ".join(f"{name}: {row.verdict}" for name, row in found)


def _verdicts(
    history: History, promotions: Promotions, candidate: Candidate, tables: Tables, named: Mapping[Condition, str]
) -> Iterator[str]:
    home = home_of(history, promotions, candidate)
    said = f"{_gain(home.gain)}, {home.source}" if home else "not known, it was not trained at the full budget there"
    yield f"{candidate.id}: the gain at home is {said}"
    for condition, found in tables.items():
        for row in found:
            if row.id == candidate.id:
                yield f"  {named[condition]}: {cut(row.verdict, QUOTED)}"
                yield from (f"    {cut(note, QUOTED)}" for note in row.notes)


def _remarks(history: History, named: Mapping[Condition, str]) -> Iterator[str]:
    """What has to be known of the conditions to compare them with home."""
    settings, began = history.header["settings"], history.began
    for condition, name in named.items():
        if condition.weakness:
            yield f"{name}: {condition.weakness} (--unsafe-no-sandbox)"
        if condition.corpus != settings["corpus"]:
            yield (
                f"{name}: the text is another one ({condition.corpus[:12]}) than the run's "
                f"({settings['corpus'][:12]}): bits per byte of "
                "different texts are not compared, and gains on them only with care"
            )
        if condition.device != (device := str(began.get("device", ""))):
            yield f"{name}: on {cut(condition.device, QUOTED)}, the run on {cut(device, QUOTED)}"
        if condition.torch != (torch := str((began.get("versions") or {}).get("torch", ""))):
            yield f"{name}: with torch {cut(condition.torch, QUOTED)}, the run with {cut(torch, QUOTED)}"
        if condition.target != settings["fingerprint"]:
            yield f"{name}: the files of the target are not those that the run began with"


def _grid(history: History, known: Sequence[Candidate], tables: Tables, named: Mapping[Condition, str]) -> Grid:
    heads = [Head("condition", left=True, breaks="words"), Head("who", left=True), Head("n"), Head(history.loss)]
    heads += [Head("gain (95 %)"), Head("transfer (95 %)"), Head("tok/s", out=1), Head("MB", out=2)]
    settings = history.header["settings"]
    home = f"{settings['budget']:g} s, {settings.get('scale', '')} (the run)"
    parts = {home: _of_the_run(history, known)} | {named[condition]: found for condition, found in tables.items()}
    lines = [["" if i else name, *_cells(row)] for name, found in parts.items() for i, row in enumerate(found)]
    return Grid([*heads, Head("parameters", out=3)], lines)


def _of_the_run(history: History, known: Sequence[Candidate]) -> Sequence[Row]:
    """Home, as the run itself measured it."""
    everybody = [*([history.seed] if history.seed else []), *known]
    losses = [(c, estimate(c, history.loss)) for c in everybody]
    gains = {c.id: gain_of_run(history, c) for c in known}
    return [Row(c.id, loss.n if loss else 0, loss, c.metrics, gains.get(c.id)) for c, loss in losses]


def _cells(row: Row) -> list[str]:
    metrics = row.metrics
    memory = next((metrics[name] for name in MEMORY if name in metrics), None)
    return [
        "seed" if row.id == SEED else row.id,
        str(row.n),
        number(row.loss, DIGITS),
        _gain(row.gain) if row.gain else "-",
        _share(row.share) if row.share else "-",
        f"{metrics['tokens_per_second']:,.0f}" if "tokens_per_second" in metrics else "-",
        "-" if memory is None else f"{memory:,.0f}",
        f"{metrics['parameters']:,.0f}" if "parameters" in metrics else "-",
    ]


def _gain(gain: Gain) -> str:
    interval = "" if gain.margin is None else f" ({gain.low:+.{DIGITS}f} to {gain.high:+.{DIGITS}f})"
    return f"{gain.mean:+.{DIGITS}f}{interval}"


def _share(part: Share) -> str:
    return f"{part.value:.0%} ({part.low:.0%} to {part.high:.0%})"


def write_promotions(folder: Path, history: History, promotions: Promotions) -> None:
    """`results.md` and `results.json` in a folder. Raises `ConfigError` where that cannot be."""
    text = StringIO()
    print_promotions(Console(file=text, width=WIDE), history, promotions)
    settings = history.header["settings"]
    about = (
        "# Does a gain hold under other conditions?\n\n"
        f"{history.loss} of the seed program and of candidates; home, where they were found, is "
        f"{settings['budget']:g} s at the scale {settings.get('scale', '')}.\n"
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.md").write_text(f"{about}\n```\n{text.getvalue()}```\n")
        (folder / "results.json").write_text(json.dumps(summary(history, promotions), indent=1) + "\n")
    except OSError as error:
        raise ConfigError(f"cannot write into {folder}: {error.strerror}") from error


def summary(history: History, promotions: Promotions) -> list[dict[str, Any]]:
    """Each condition with its rows, each with its gain at home, as plain values."""

    def plain_row(row: Row) -> dict[str, Any]:
        home = home_of(history, promotions, history.candidates[row.id]) if row.id != SEED else None
        return asdict(row) | {"home": home and {"gain": asdict(home.gain), "source": home.source}}

    return [
        {"condition": asdict(c), "programs": [plain_row(row) for row in rows(history, promotions, c)]}
        for c in promotions.conditions
    ]
