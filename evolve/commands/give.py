"""What a person brings to a run, also while it is on: a variant of their own, and what was tried elsewhere."""

from __future__ import annotations

import argparse
import re
import shlex
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console

from evolve import plugins
from evolve.commands.options import Commands, run_option, target_option
from evolve.config import ConfigError
from evolve.elsewhere import LONGEST, MOST_ROWS, entry, read_results
from evolve.history import History
from evolve.incoming import Brought, leave_program, leave_rows, left_programs
from evolve.journal import cut
from evolve.model import Candidate, Proposal
from evolve.reports.open import find_program, find_run, open_history
from evolve.reports.source import export_source
from evolve.reports.state import CURE, State, state_of

WHY = 600  # characters of a hypothesis
_NUMBER = re.compile(r"\d[\d_]*\.?\d*(?:[eE][-+]?\d+)?|\.\d+")


def register(commands: Commands) -> None:
    inject = commands.add_parser("inject", help="add a variant of your own to a run, also while it is on")
    inject.add_argument("file", help="a training script, best begun from what `export` writes")
    inject.add_argument("-m", "--message", default="", help="why it should be better: its hypothesis")
    inject.add_argument(
        "--parent", metavar="ID", help="what it is a variant of (default: the one it differs least from)"
    )
    target_option(inject)
    inject.set_defaults(command=_inject)
    learn = commands.add_parser("learn", help="tell a run's language models what was tried in an autoresearch run")
    learn.add_argument("file", help="its results.tsv")
    learn.set_defaults(command=_learn)
    for giver in (inject, learn):
        run_option(giver)


def _inject(options: argparse.Namespace, console: Console) -> int:
    directory = find_run(options.run_dir)
    left = left_programs(directory)
    history = open_history(directory)
    state = state_of(directory, history)
    if state.name == "failed":
        raise ConfigError(f"nothing can be added to a run whose seed program failed. {state.sentence}")
    reader = plugins.reader_for(history.header, options.target)
    _check_rules(history, reader)
    source = _program(Path(options.file), reader.rules.max_bytes)
    if history.weakness:
        source = source.removeprefix(f"# {history.weakness}\n")  # as `export` marks it
    pending = history.incoming.pending(history.candidates) | left
    if source in pending:
        raise ConfigError(_brought_already(options.file))
    if "0" not in history.candidates:
        parent, changes = _before_the_seed(options, reader, source, pending), "a variant of the seed"
    else:
        child, one = _child(options, history, reader, source, pending)
        parent, changes = one.id, f"a variant of candidate {one.id}: {_changes(child)}"
    leave_program(directory, Brought(source, parent, cut(options.message, WHY) or "a person's idea"))
    said = f"added {options.file}, {changes}. {_when(state, directory)}"
    console.print(said, markup=False, highlight=False, soft_wrap=True)
    return 0


def _check_rules(history: History, reader: Any) -> None:
    """Raises `ConfigError` where the target's rules make something else of the recorded seed program."""
    seed = next(iter(history.genomes.values()), None)  # the first that a run remembers
    if seed is None:
        return
    with suppress(ValueError):
        if reader.read(seed.source).key == seed.key:
            return
    raise ConfigError(
        "the target was changed since this run began: its rules make another program of the run's seed. Put the target "
        "back as it was, say with --target where it still is, or begin a new run"
    )


def _brought_already(name: str) -> str:
    return f"{name} was brought already: the run has it, and has not finished with it"


def _before_the_seed(options: argparse.Namespace, reader: Any, source: str, pending: Collection[str]) -> str:
    """The parent in a run that has no candidate yet. Raises `ConfigError`."""
    if options.parent not in (None, "0", "seed"):
        raise ConfigError(f"no candidate {options.parent!r}: the seed has not been measured yet. Leave out --parent.")
    genome = _refused_by(reader.read, source, options.file)
    if any((one.key, one.knobs) == (genome.key, genome.knobs) for one in _each(reader.read, pending)):
        raise ConfigError(_brought_already(options.file))
    return "0"


def _child(
    options: argparse.Namespace, history: History, reader: Any, source: str, pending: Collection[str]
) -> tuple[Proposal, Candidate]:
    """What the program is to which candidate. Raises `ConfigError` for one that the run would refuse."""
    _refused_by(reader.read, source, options.file)
    parent = find_program(history, options.parent) if options.parent else _nearest(history, reader, source)
    if parent.quarantined:
        raise ConfigError(f"candidate {parent.id} is in quarantine ({cut(parent.quarantined, 200)}): choose a --parent")
    make = plugins.load(plugins.PERSONS_CHILD)
    child: Proposal = _refused_by(lambda text: make(reader, parent, text, ""), source, options.file)
    for other in _each(lambda text: make(reader, parent, text, ""), pending):
        if (other.genome.key, other.anchor) == (child.genome.key, child.anchor):
            raise ConfigError(_brought_already(options.file))
        if child.edits and other.genome.key == child.genome.key:
            who = "a program that was brought already, which the run has not finished with"
            raise ConfigError(f"{options.file} has the structure of {who}: the run would refuse it as seen before")
    twin = history.first_of.get(child.genome.key)
    if child.edits and twin is not None:
        where = f"candidate {twin}" if twin in history.candidates else f"candidate {twin}, which is under way"
        raise ConfigError(f"{options.file} has the structure of {where}: the run would refuse it as seen before")
    tried = [parent.params, *(params for params, _ in history.study_of_lineage(parent).trials)]
    if not child.edits and child.anchor in tried:
        raise ConfigError(f"{options.file} is candidate {parent.id} with numbers that were tried: nothing is new in it")
    return child, parent


def _each(read: Any, sources: Collection[str]) -> Iterator[Any]:
    """What `read` makes of the programs that the rules of the target allow."""
    for source in sources:
        with suppress(ValueError):
            yield read(source)


def _refused_by(read: Any, source: str, name: str) -> Any:
    """What `read` makes of a program. Raises `ConfigError` where the rules of the target forbid it."""
    try:
        return read(source)
    except (ValueError, SyntaxError) as error:
        raise ConfigError(f"{name} cannot be a program of this run: {error}") from error


def _program(path: Path, most: int) -> str:
    """The text of a file. Raises `ConfigError` if it is none, or longer than the target allows."""
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start})") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > most:
        raise ConfigError(f"{path} has more than the {most:,} bytes that the target allows")
    return text


def _nearest(history: History, reader: Any, source: str) -> Candidate:
    """Whose lines differ least, numbers aside; among those with one structure whose tuned numbers differ least."""
    programs = [c for c in history.candidates.values() if c.verdict in ("ok", "pruned", "failed") and not c.quarantined]
    if not programs:
        raise ConfigError("every program of the run is in quarantine: there is no parent for another one")
    ours = _lines(_NUMBER.sub("0", source))
    far = {text: _distance(ours, _lines(_NUMBER.sub("0", text))) for text in {c.genome.source for c in programs}}
    least = min(far.values())
    close = [c for c in programs if far[c.genome.source] == least]
    return min(close, key=lambda c: _distance(_lines(source), _lines(export_source(reader, c))))


def _lines(text: str) -> Counter[str]:
    return Counter(line.strip() for line in text.splitlines())


def _distance(ours: Counter[str], theirs: Counter[str]) -> int:
    """Lines that only one of them has."""
    return (ours - theirs).total() + (theirs - ours).total()


def _changes(child: Proposal) -> str:
    return ", ".join(f"{edit.op} {edit.target}" for edit in child.edits[:6]) or "the same structure with other numbers"


def _when(state: State, directory: Path) -> str:
    """When what was brought is taken."""
    if state.on:
        return "The run takes it at once."
    more = f" To go on: {CURE} {shlex.quote(str(directory))} --generations N" if state.name == "stopped" else ""
    return f"It is taken when the run goes on. {state.sentence}{more}"


def _learn(options: argparse.Namespace, console: Console) -> int:
    directory, path = find_run(options.run_dir), Path(options.file)
    history = open_history(directory)
    try:
        with path.open("rb") as file:
            rows = read_results(file.read(LONGEST + 1), str(path))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    known, last = history.incoming.rows, rows[-MOST_ROWS:]
    new = [row for row in last if row.key not in known]
    left_out = len(rows) - len(last)
    but = f" (its first {left_out:,} are left out: a run is told the last {MOST_ROWS:,})" if left_out else ""
    if not new:
        said = f"nothing new: the run has all {len(last)} rows of {path}{but}"
        console.print(said, markup=False, highlight=False, soft_wrap=True)
        return 0
    leave_rows(directory, new)
    console.print(f"added {len(new)} rows of {path}{but}, such as:", markup=False, highlight=False, soft_wrap=True)
    for row in new[-3:]:
        console.print(f"  {entry(row)}", markup=False, highlight=False, soft_wrap=True)
    seen = "" if history.header["settings"].get("models") else "This run asks no language model: see its journal.md. "
    said = seen + _when(state_of(directory, history), directory)
    console.print(said, markup=False, highlight=False, soft_wrap=True)
    return 0
