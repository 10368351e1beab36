"""What a person takes home from a run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from rich.console import Console

from evolve import plugins
from evolve.commands.options import Commands, run_option, target_option
from evolve.config import ConfigError, Target, load_target
from evolve.exports.branch import export_branch
from evolve.exports.git import Repository, path_within
from evolve.exports.lines import events_jsonl
from evolve.exports.optuna_journal import optuna_journal
from evolve.exports.recorded import Recorded, open_recorded
from evolve.exports.results import results_tsv
from evolve.exports.tables import candidates_csv, trials_csv
from evolve.history import History
from evolve.model import Candidate
from evolve.reports.front import print_weakness
from evolve.reports.open import find_program, find_run
from evolve.reports.source import export_source

FORMATS: Mapping[str, Callable[[Recorded], str]] = {
    "results": results_tsv,
    "csv": candidates_csv,
    "trials": trials_csv,
    "jsonl": events_jsonl,
    "optuna": optuna_journal,
}
STDOUT = "-"


def register(commands: Commands) -> None:
    export = commands.add_parser(
        "export",
        help="write a plain train.py with its tuned numbers, its lineage as a git branch, or the run as a table",
        description="Write a plain train.py with its tuned numbers, or its lineage as a branch in git, or all of a run",
    )
    export.add_argument("id", nargs="?", help="an id, `best` (default) or `seed`")
    export.add_argument("-o", "--output", default=STDOUT, help="a file; - for standard output")
    export.add_argument("--upstream", action="store_true", help="for karpathy/autoresearch: without our additions")
    export.add_argument("--branch", metavar="NAME", help="a new branch with a commit for each candidate of the lineage")
    export.add_argument("--repo", metavar="DIR", help="of the branch (default: the repository around this folder)")
    export.add_argument(
        "--path",
        help="of the script, from the top of that repository (default: where it has the target's script, else train.py "
        "in this folder or DIR)",
    )
    export.add_argument(
        "--format",
        choices=FORMATS,
        help="all of the run: results.tsv of autoresearch, candidates or trials as CSV, events as JSON Lines, or a "
        "journal for optuna-dashboard",
    )
    export.add_argument("--force", action="store_true", help="overwrite the file of -o")
    run_option(export)
    target_option(export)
    export.set_defaults(command=_export)


def _export(options: argparse.Namespace, console: Console) -> int:
    _check(options)
    recorded = open_recorded(find_run(options.run_dir))
    if options.format:
        _write(options.output, FORMATS[options.format](recorded), options.force)
        said = f"wrote {options.output}: {len(recorded.history.candidates)} candidates of {recorded.directory}"
    else:
        candidate = find_program(recorded.history, options.id or "best")
        reader = plugins.reader_for(recorded.history.header, options.target)
        said = (_program if options.branch is None else _branch)(options, recorded, candidate, reader)
    if options.branch is not None or options.output != STDOUT:
        console.print(said, markup=False, highlight=False, soft_wrap=True)
        print_weakness(console, recorded.history)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raises `ConfigError` for options that do not go together."""
    if options.format and (options.id or options.branch is not None or options.upstream):
        raise ConfigError("--format exports the whole run: leave out the ID, --branch and --upstream")
    if options.branch is not None and options.output != STDOUT:
        raise ConfigError("--branch writes no file: leave out -o, or export twice")
    if options.force and options.output == STDOUT:
        raise ConfigError("--force is about a file: name it with -o")
    if (options.repo or options.path) and options.branch is None:
        raise ConfigError("--repo and --path are about a branch: name it with --branch")


def _program(options: argparse.Namespace, recorded: Recorded, candidate: Candidate, reader: object) -> str:
    text = _text(recorded.history, candidate, reader, options.upstream)
    _write(options.output, text, options.force)
    what = f"candidate {candidate.id} with its tuned numbers" if candidate.index else "the seed program, as it was"
    return f"wrote {options.output}: {what}"


def _branch(options: argparse.Namespace, recorded: Recorded, candidate: Candidate, reader: object) -> str:
    def exported(one: Candidate) -> str:
        return _text(recorded.history, one, reader, options.upstream)

    repository = Repository(Path(options.repo or "."))
    target = load_target(plugins.target_of(recorded.history.header, options.target))
    script = _place(repository, target.script)
    path = path_within(options.path) if options.path is not None else script or f"{repository.prefix()}train.py"
    tip, made = export_branch(recorded, candidate, exported, repository, options.branch, path)
    new = f"{made} new commit{'s' * (made != 1)}"
    merged = " Once merged it is the seed of new runs; this one goes on only where its target is as it was."
    lacking = _lacking(repository, path, target)
    beside = f" The program needs its module {' and '.join(lacking)} beside it." if lacking else ""
    return (
        f"made branch {options.branch}: {new}, the last one {tip[:9]} has candidate {candidate.id} as {path}."
        f"{merged if path == script else beside} "
        f"To see it: git log --stat {options.branch}. To have it: git merge {options.branch}"
    )


def _place(repository: Repository, script: Path) -> str | None:
    """Where the repository has the target's script, also as another clone than the one with the target."""
    path = repository.within(script) or Repository(script.parent).within(script)
    path = path or f"{script.parent.resolve().name}/{script.name}"
    return path if repository.tracks(path) else None


def _lacking(repository: Repository, path: str, target: Target) -> list[str]:
    """The modules of the target's folder that are not beside the program in the repository."""
    local = [name for name in target.rules.imports if (target.folder / f"{name}.py").is_file()]
    return [name for name in local if not repository.tracks(str(PurePosixPath(path).with_name(f"{name}.py")))]


def _text(history: History, candidate: Candidate, reader: object, upstream: bool) -> str:
    text = export_source(reader, candidate, upstream)
    return (f"# {history.weakness}\n" if history.weakness else "") + text


def _write(output: str, text: str, force: bool) -> None:
    """Write a file as a whole. Raises `ConfigError` if that cannot be, or another one is there and `force` is off."""
    if output == STDOUT:
        sys.stdout.buffer.write(text.encode())  # the program's bytes, whatever the terminal can show
        sys.stdout.buffer.flush()
        return
    path = Path(output)
    try:
        if not force and path.is_file():
            if path.read_bytes() == text.encode():
                return
            raise ConfigError(f"{output} is there already: choose another name, or --force to overwrite it")
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigError(f"cannot write {output}: {error.strerror}") from error
