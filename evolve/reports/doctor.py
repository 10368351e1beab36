"""What is on and what is not, found by trying: target, operators, judge, isolation, data, device."""

from __future__ import annotations

import os
import sys
import tempfile
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from evolve import plugins
from evolve.assemble import DEFAULT_OPERATORS, open_executor
from evolve.config import ConfigError, budget_of, folder_of, load_target
from evolve.executors.local import JudgeError
from evolve.isolation import options_of
from evolve.judges import slots_for
from evolve.language import HOW, language_of
from evolve.model import Trial


def print_doctor(console: Console, options: Namespace) -> int:
    """One line for each part; 0 if a run could start, else 1."""
    try:
        target = load_target(folder_of(options.target))
        budget = budget_of(target, options.scale, None)
        reader = plugins.load(plugins.READER)(target.rules)
        seed = reader.read(target.source)
        operators = plugins.load_operators(DEFAULT_OPERATORS, reader)
    except (ConfigError, ValueError) as error:
        console.print(f"[red]no[/red]  target: {escape(str(error))}")
        return 1
    moves = len(plugins.load("operators.catalogue:transformations")())
    console.print(f"yes target: {target.name}, {len(seed.knobs)} knobs, a full trial is {budget:g} s ({options.scale})")
    console.print(f"yes operators: {', '.join(operators)} ({moves} transformations in the catalogue)")
    isolation = options_of(options.isolation, options.unsafe_no_sandbox)
    models = print_models(console, options, target.program.with_name("prices.toml"))
    try:
        slots = slots_for(target, options.scale, 1)
        executor = open_executor(target, options.scale, options.data, slots, reader, sys.stderr, isolation=isolation)
    except (ConfigError, JudgeError) as error:
        console.print(f"[red]no[/red]  judge: {escape(str(error))}")
        return 1
    try:
        for part in ("device", "isolation", "level", "corpus", "baselines", "versions"):
            console.print(f"yes {part}: {executor.hello.get(part, 'not told')}", markup=False)
        trial = Trial(seed, {}, 0.5, target.rungs[0], options.scale, 0, "smoke")
        outcome = executor.submit(trial).result()
        said = f"{'yes' if outcome.status == 'ok' else 'no '} a trial of the seed: {outcome.status} {outcome.reason}"
        console.print(said, markup=False)
        return 0 if outcome.status == "ok" and models else 1
    finally:
        executor.close()


def print_models(console: Console, options: Namespace, prices: Path) -> bool:
    """A line for each language model: whether one could be asked and, with `--ask`, whether it answers."""
    try:
        language = language_of(options)
        if language is None:
            console.print(f"no  LLM: {HOW}", markup=False)
            return True
        probe = plugins.load(plugins.LANGUAGE_PROBE)
        for model in language.models:
            mailbox = language.source == "mailbox"
            ok, said = _folder(Path(language.place)) if mailbox else probe(asdict(language), model, options.ask, prices)
            console.print(f"{'yes' if ok else 'no '} LLM {model}: {said}", markup=False)
            if not ok:
                return False
    except (ConfigError, ValueError) as error:
        console.print(f"no  LLM: {error}", markup=False)
        return False
    return True


def _folder(mailbox: Path) -> tuple[bool, str]:
    """Whether questions can be put there. Found by trying, as permissions do not bind everybody and mounts may."""
    nearest = next(folder for folder in (mailbox.absolute(), *mailbox.absolute().parents) if os.path.exists(folder))
    try:
        with tempfile.TemporaryDirectory(dir=nearest):
            return True, f"questions will be put into the folder {mailbox}; whoever answers there is asked"
    except OSError as error:
        return False, f"no questions can be put into {mailbox}: {error.strerror} at {nearest}"
