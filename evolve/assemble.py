"""Builds a run from options: target, reader, store, history, executor, operators. Only this module knows all parts."""

from __future__ import annotations

import math
import os
import shlex
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from evolve import plugins
from evolve.calls import CallWriter
from evolve.config import ConfigError, Limits, Settings, Target, budget_of, folder_of, load_target
from evolve.evaluation import Plan
from evolve.executors.local import LocalExecutor
from evolve.executors.spool import SpoolExecutor, meet, spool_of, wanted_of
from evolve.history import History
from evolve.incoming import PERSON
from evolve.isolation import check_isolation, check_versions, options_of
from evolve.judges import Slot, judge_command, slots_for
from evolve.language import HOW, Language, language_of
from evolve.log import Log
from evolve.model import Genome, Trial
from evolve.replies import replies
from evolve.search import ParetoSearch
from evolve.spool.conditions import conditions_of
from evolve.spool.folder import Spool
from evolve.store import Store, StoreError

AUTO = "auto"
DEFAULT_OPERATORS = {"catalogue": 0.7, "merge": 0.1, "tune": 0.2}
LANGUAGE_OPERATORS = {plugins.LANGUAGE: 0.8, "tune": 0.2}
POPULATION, OFFSPRING, TUNE_TRIALS = 12, 6, 3  # of a run, unless options say otherwise
LIMITS = {  # fields of `Limits` by the options that set them
    "generations": "generations",
    "total": "total",
    "wall": "time_limit",
    "target_loss": "target_loss",
    "stale_generations": "stale_generations",
    "refusals": "refusals",
}
MOST_IN_A_SPOOL = 1024  # trials at a time
WHOLE = ("generations", "stale_generations", "refusals")
PACKAGES = ("torch", "numpy", "libcst", "deap", "moocore", "optuna")


@dataclass(frozen=True)
class Run:
    """All parts of a run, ready for `Loop`."""

    target: Target
    seed: Genome
    log: Log
    executor: LocalExecutor | SpoolExecutor
    operators: dict[str, Any]
    plan: Plan
    limits: Limits
    language: Language | None

    @property
    def store(self) -> Store:
        return self.log.store

    @property
    def history(self) -> History:
        return self.log.history


def settings_of(options: Namespace, target: Target, language: Language | None) -> Settings:
    """What makes this run this run. Raises `ConfigError` for values that make no sense."""
    for name, least in (("population", 2), ("offspring", 1), ("tune_trials", 1)):
        if getattr(options, name) < least:
            raise ConfigError(f"--{name.replace('_', '-')} must be at least {least}, not {getattr(options, name)}")
    return Settings(
        target=target.name,
        fingerprint=target.fingerprint,
        scale=options.scale,
        budget=budget_of(target, options.scale, options.budget),
        seed=options.seed,
        population=options.population,
        offspring=options.offspring,
        tune_trials=options.tune_trials,
        operators=weights_of(options.operator, language),
        models=language.models if language else (),
    )


def limits_of(options: Namespace, target: Target) -> Limits:
    """When to stop: the target's criteria, overridden by options. Raises `ConfigError` for a count below 1."""
    given = {field: getattr(options, option) for field, option in LIMITS.items()}
    for field, value in given.items():
        if value is not None and not 0 <= value < math.inf:
            raise ConfigError(
                f"--{LIMITS[field].replace('_', '-')} must be a number above 0, or 0 for off, not {value}"
            )
    if given["generations"] == 0:
        raise ConfigError("--generations must be at least 1, not 0")
    chosen = {"generations": 50, "refusals": 20, **target.stop} | {k: v for k, v in given.items() if v is not None}
    limits = {name: int(value) if name in WHOLE else float(value) for name, value in chosen.items()}
    return Limits(**limits)  # type: ignore[arg-type]


def directory_of(options: Namespace, settings: Settings) -> Path:
    """The run directory: as given, or named after what makes the run, so that the same command continues it."""
    if options.run_dir:
        return Path(options.run_dir)
    return Path("runs") / f"{settings.target}-{settings.scale}-{settings.budget:g}s-seed{settings.seed}"


def open_executor(
    target: Target,
    scale: str,
    data: str | None,
    slots: Sequence[Slot],
    reader: Any,
    log: IO[str],
    waiting: Callable[[], None] = lambda: None,
    isolation: Sequence[str] = (),
) -> LocalExecutor:
    """Judges of a target, one for each slot, which write to `log`. Raises `JudgeError`. The caller closes it."""

    def bind(trial: Trial) -> str:
        return str(reader.bind(trial.genome, trial.params))

    return LocalExecutor(judge_command(target, scale, data, isolation), slots, bind, log, waiting)


def executor_of(history: History, target: Target, log: IO[str]) -> LocalExecutor:
    """Judges for more trials of a recorded run of a target, on the whole machine. Raises `JudgeError`."""
    header = history.header
    scale = header["settings"]["scale"]
    reader = plugins.load(plugins.READER)(target.rules_at(scale))
    isolation = options_of("auto", bool(history.harness.get("unsafe")))
    slots = slots_for(target, scale, None)
    return open_executor(target, scale, header.get("data"), slots, reader, log, isolation=isolation)


@contextmanager
def assemble(options: Namespace, say: Callable[[str], None]) -> Iterator[Run]:
    """Everything up to the first trial; `say` is told what a judge says while it starts.

    Raises `ConfigError`, `StoreError` or `JudgeError`; closes all at the end.
    """
    target = load_target(folder_of(options.target))
    language = language_of(options)
    settings = settings_of(options, target, language)
    limits = limits_of(options, target)
    reader = plugins.load(plugins.READER)(target.rules_at(settings.scale))
    operators = plugins.load_operators(settings.operators, reader)
    arms = plugins.arms_of(settings.operators, operators, settings.models)
    seed = read_seed(reader, target, settings.scale)
    history = History(ParetoSearch(target.objectives, settings.population, arms, settings.seed))
    store = Store.open(directory_of(options, settings))
    log = Log(store, history)
    try:
        history.replay(store.events())
        _same_run(history, settings, store.directory)
        with (
            _models(language, target, log, reader, say) as models,
            _judges(options, target, log, reader, say) as judges,
        ):
            settings = replace(settings, corpus=judges.hello["corpus"]["sha256"])
            _begin(log, settings, target, options.data)
            begin_session(log, judges.hello | {"slots": judges.slots}, limits, language)
            plan = Plan(
                target.objectives,
                settings.scale,
                settings.budget,
                target.rungs,
                settings.tune_trials,
                target.scales[settings.scale]["smoke_seconds"],
            )
            person = {PERSON: plugins.load(plugins.PERSON)(reader, history.incoming.program)}
            yield Run(target, seed, log, judges, operators | models | person, plan, limits, language)
    finally:
        log.close()


@contextmanager
def _judges(
    options: Namespace, target: Target, log: Log, reader: Any, say: Callable[[str], None]
) -> Iterator[LocalExecutor | SpoolExecutor]:
    """Judges of this machine, or a spool with those of others: known, fit to go on with the run, closed at the end.

    Raises `ConfigError`, `StoreError` or `JudgeError`.
    """
    began = log.history.began
    given = {"asked": options.isolation, "unsafe": options.unsafe_no_sandbox}
    executor: LocalExecutor | SpoolExecutor
    with ExitStack() as closing:
        if folder := spool_of(options.executor):
            executor = _spool(options, folder, target, log, reader, say)
            given |= {"executor": f"spool:{executor.spool.folder}", "outlived": True}
        else:
            slots = slots_for(target, options.scale, options.slots)
            heard, said = closing.enter_context(judge_log(log.store.directory))
            isolation = options_of(options.isolation, options.unsafe_no_sandbox)
            told = (target, options.scale, options.data, slots, reader, heard)
            executor = open_executor(*told, lambda: pass_on(said, say), isolation)
        closing.callback(executor.close)
        _introduced(executor.hello, target)
        executor.hello |= given
        check_isolation(began, executor.hello)
        check_versions(began, executor.hello)
        yield executor


def _spool(
    options: Namespace, folder: Path, target: Target, log: Log, reader: Any, say: Callable[[str], None]
) -> SpoolExecutor:
    """A spool in whose folder a judge that fits has introduced itself. Raises `ConfigError` if there is none."""
    if options.slots is not None and not 1 <= options.slots <= MOST_IN_A_SPOOL:
        raise ConfigError(f"--slots must be between 1 and {MOST_IN_A_SPOOL} for a spool, not {options.slots}")
    if not 0 <= options.wait < math.inf:
        raise ConfigError(f"--wait must be a number of seconds from 0 on, not {options.wait}")
    history, spool = log.history, Spool(folder)
    began = conditions_of(target, options.scale, history.began) if history.began else None
    where = ["--target", options.target] if options.target else []
    how = shlex.join(["python", "-m", "evolve", "worker", "--spool", str(folder), "--scale", options.scale, *where])
    introduction = meet(spool, wanted_of(began, options.unsafe_no_sandbox), options.wait, say, how)
    return SpoolExecutor(
        spool,
        lambda trial: str(reader.bind(trial.genome, trial.params)),
        introduction,
        run=log.store.run,
        place=lambda trial: history.submitted,
        slots=options.slots or 0,
    )


@contextmanager
def _models(
    language: Language | None, target: Target, log: Log, reader: Any, say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """The operators of language models by name; none without any. Raises `ConfigError` if they cannot be asked."""
    if language is None:
        yield {}
        return
    with open_models(language, target.program, log, reader, say) as opened:
        yield dict(opened.operators)


@contextmanager
def open_models(language: Language, program: Path, log: Log, reader: Any, say: Callable[[str], None]) -> Iterator[Any]:
    """The `operators` of language models and the `desk` over which they are asked, what they cost written to `log`.

    `program` is the task in prose. Raises `ConfigError` if nobody can be asked.
    """
    recorded = replies(Path(language.place)) if language.source == "replay" else []
    open_arms = plugins.load(plugins.LANGUAGE_OPERATORS)
    calls = CallWriter(log, log.history.calls)
    try:
        opened = open_arms(asdict(language), reader, calls, program, log.store.directory, recorded, say)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def judge_log(directory: Path) -> Iterator[tuple[IO[str], IO[str]]]:
    """Where judges write, and the same file to be read from its end. Raises `StoreError` if it cannot be written."""
    path = directory / "judge.log"
    try:
        log, said = path.open("a"), path.open(errors="replace")
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}. Choose another --run-dir.") from error
    with log, said:
        said.seek(0, os.SEEK_END)
        yield log, said


def _introduced(hello: dict[str, Any], target: Target) -> None:
    """Raises `ConfigError` if a judge leaves out what makes runs comparable."""
    missing = [part for part in ("corpus", "isolation", "device") if part not in hello]
    if missing or not {"name", "sha256"} <= set(hello["corpus"]):
        raise ConfigError(
            f"{target.judge} is ready without saying its {', '.join(missing) or 'corpus by name and sha256'}: "
            "see how train_target/judge.py does"
        )


def pass_on(lines: IO[str], say: Callable[[str], None]) -> None:
    """The lines that are new in a file."""
    for line in lines.readlines():
        say(line.rstrip())


def _begin(log: Log, settings: Settings, target: Target, data: str | None) -> None:
    """Write what the run is, once. Raises `ConfigError` if its text is another one now."""
    if not log.history.header:
        header = {
            "settings": asdict(settings) | {"models": list(settings.models)},
            "rungs": list(target.rungs),
            "objectives": [asdict(o) for o in target.objectives],
            "target": str(target.folder),
            "data": data,
        }
        log.record("run", "run", header)
    known = log.history.header["settings"]["corpus"]
    if known != settings.corpus:
        raise ConfigError(
            f"the text is another one: this run began with corpus {known[:12]}, now it is {settings.corpus[:12]}. "
            "Losses on different texts cannot be compared: choose another --run-dir."
        )


def begin_session(log: Log, about: Mapping[str, Any], limits: Limits, language: Language | None) -> None:
    """Write that a process works on the run, where, until when, and which language models it may ask.

    `about` is what its first judge says of itself, with the number of `slots`.
    """
    session = {**about, "packages": {package: version(package) for package in PACKAGES}, "limits": asdict(limits)}
    session["language"] = asdict(language) if language else None
    log.record("session", f"session/{os.getpid()}/{os.urandom(4).hex()}", session)


def _same_run(history: History, settings: Settings, directory: Path) -> None:
    if not history.header:
        return
    known, given = history.header["settings"], asdict(settings) | {"models": list(settings.models)}
    changed = [k for k in given if k != "corpus" and known.get(k) != given[k]]
    said = [f"{k} was {known.get(k)!r}, now {given[k]!r}" for k in changed if k != "fingerprint"]
    if "fingerprint" in changed:
        said.append("files of the target have changed since it began")
    if said:
        remove = f"Nothing was measured in it: rm -r {shlex.quote(str(directory))}"
        cure = "Choose another --run-dir." if history.measured else remove
        raise ConfigError(f"{directory} holds another run: {'; '.join(said)}. {cure}")


def read_seed(reader: Any, target: Target, scale: str) -> Genome:
    """The seed program with the constants of a scale. Raises `ConfigError` if it breaks its own rules."""
    try:
        source = reader.rewrite(target.source, target.scales[scale].get("bindings", {}))
        return reader.read(source)  # type: ignore[no-any-return]
    except (ValueError, SyntaxError) as error:
        raise ConfigError(f"the seed program {target.folder / 'train.py'} cannot be used: {error}") from error


def weights_of(names: Sequence[str] | None, language: Language | None) -> dict[str, float]:
    """`name` or `name=weight`, given once or more; `auto` is a language model if there is one, else the catalogue.

    Raises `ConfigError`.
    """
    weights: dict[str, float] = {}
    for name in names or [AUTO]:
        if name == AUTO:
            weights |= LANGUAGE_OPERATORS if language else DEFAULT_OPERATORS
            continue
        key, _, weight = name.partition("=")
        try:
            weights[key] = float(weight or 1)
        except ValueError as error:
            raise ConfigError(f"--operator {name}: write it as NAME or NAME=WEIGHT") from error
        if not 0 < weights[key] < math.inf:
            raise ConfigError(f"--operator {name}: a weight must be above 0")
    if language is None and plugins.LANGUAGE in weights:
        raise ConfigError(f"--operator {plugins.LANGUAGE} has no model: {HOW}")
    if language and plugins.LANGUAGE not in weights:
        raise ConfigError(f"a language model is named, and no operator asks it: add --operator {plugins.LANGUAGE}")
    return weights
