"""What the questions and answers of a run weigh, against sending and receiving whole files.

    python -m benchmarks.prompts RUN -o FILE

Reads what the run wrote down. Whole files would be: the parents' programs there, the child's program back. The share
that a cache can keep is counted as the Messages API does it: up to the last marked end of a block that a question
had in the five minutes before; what a server says that it kept stands beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from evolve.config import ConfigError
from evolve.history import History
from evolve.model import Proposal, digest
from evolve.reports.open import open_history
from evolve.store import Event, Store, StoreError

KEPT = 300.0  # seconds for which a cache keeps a prompt


@dataclass
class Calls:
    """Sums over the calls of one kind. Lengths in characters, except where a server counted tokens."""

    sent: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    there: list[int] = field(default_factory=list)  # the parents' programs
    back: list[int] = field(default_factory=list)  # the child's program
    repeated: list[int] = field(default_factory=list)  # characters that a cache can keep
    tokens: list[tuple[int, int, int]] = field(default_factory=list)  # read anew, cached, answered, where counted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="also write it to a file")
    options = parser.parse_args()
    try:
        text = report(options.run)
    except (ConfigError, StoreError) as error:
        print(f"benchmarks.prompts: {error}", file=sys.stderr)
        return 2
    print(text)
    if options.output:
        options.output.write_text(text)
    return 0


def report(run: Path) -> str:
    """A Markdown table, a row for each kind of question. Raises `ConfigError` if no model was asked."""
    history = open_history(run)
    kinds = read_calls(history, events(run))
    if not kinds:
        raise ConfigError(f"no language model was asked in the run of {run}")
    head = (
        "| question | calls | prompt, characters | of it repeated | answer, characters | whole file back "
        "| answer / file | tokens read anew | from the cache | answered |"
    )
    rows = [head, "|---|" + "--:|" * 9]
    rows += [row(way, calls) for way, calls in sorted(kinds.items())]
    return "\n".join([*rows, ""])


def events(run: Path) -> list[Event]:
    store = Store.read(run)
    try:
        return list(store.events())
    finally:
        store.close()


def read_calls(history: History, every: list[Event]) -> dict[str, Calls]:
    """The answered questions of a run by kind; a second turn is a kind of its own."""
    kinds: dict[str, Calls] = {}
    questions: dict[str, Mapping[str, Any]] = {}
    seen: dict[str, float] = {}
    for event in every:
        body = event.body
        if event.kind == "question":
            questions[body["key"]] = body | {"repeated": repeated(body["request"], seen, event.at)}
        elif event.kind == "reply" and "text" in body:
            question = questions[body["key"]]
            second = body["key"].endswith("/1")
            calls = kinds.setdefault(question["way"] + (", second turn" if second else ""), Calls())
            calls.sent.append(sum(len(text) for text, _ in blocks(question["request"])))
            calls.repeated.append(question["repeated"])
            calls.answered.append(len(body["text"]))
            if not body["estimated"]:
                usage = body["usage"]
                calls.tokens.append((usage["input"] + usage["written"], usage["cached"], usage["output"]))
            index = int(body["key"].split("/")[1]) if body["key"].startswith("ask/") else 0
            made = history.proposals.get(index)
            if isinstance(made, Proposal):
                calls.there.append(sum(len(p.genome.source) for p in history.matings[index].parents))
                calls.back.append(len(made.genome.source))
    return kinds


def blocks(request: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Texts of a prompt in order, and whether a cache is to keep what stands up to their end."""
    for block in [*request["system"], *(b for turn in request["turns"] for b in turn["blocks"])]:
        yield block["text"], block["cached"]


def repeated(request: Mapping[str, Any], seen: dict[str, float], now: float) -> int:
    """Characters up to the last end of a block that was marked in a question lately; `seen` is brought up to date."""
    text, kept = "", 0
    for part, marked in blocks(request):
        text += part
        name = digest(text)
        if name in seen and now - seen[name] <= KEPT:
            kept = len(text)
        if marked:
            seen[name] = now
    return kept


def row(way: str, calls: Calls) -> str:
    sent, answered = fmean(calls.sent), fmean(calls.answered)
    back = fmean(calls.back) if calls.back else 0.0
    cells = [
        way,
        str(len(calls.sent)),
        f"{sent:,.0f}",
        f"{sum(calls.repeated) / sum(calls.sent):.0%}",
        f"{answered:,.0f}",
        f"{back:,.0f}" if back else "-",
        f"{answered / back:.0%}" if back else "-",
    ]
    cells += [f"{fmean(column):,.0f}" for column in zip(*calls.tokens, strict=True)] if calls.tokens else ["-"] * 3
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
