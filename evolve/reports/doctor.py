"""What is on and what is not, found by trying: target, operators, judge, isolation, data, device."""

from __future__ import annotations

import os
import sys
import tempfile
from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from evolve import plugins
from evolve.assemble import DEFAULT_OPERATORS, open_executor
from evolve.config import ConfigError, Target, budget_of, folder_of, load_target
from evolve.evaluation import admitted
from evolve.executors.local import JudgeError
from evolve.isolation import options_of
from evolve.judges import slots_for
from evolve.language import HOW, language_of
from evolve.model import Genome, Outcome, Trial
from evolve.protocols import Executor

SECONDS, LONGER = 0.5, 2.0  # charged ones, of a training


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
        outcome = _tried(executor, seed, target, options.scale)
        said = f"{'yes' if outcome.status == 'ok' else 'no '} a trial of the seed: {outcome.status} {outcome.reason}"
        console.print(said, markup=False)
        return 0 if outcome.status == "ok" and models else 1
    finally:
        executor.close()


def _tried(executor: Executor, seed: Genome, target: Target, scale: str) -> Outcome:
    """What came of a short training of the seed program, as a run would record that of a longer one.

    A smoke test need not tell the objectives, and may be too short for what a judge looks at now and then. Where one is
    not told, the program is trained once more, longer and as for tuning, which has to tell them all.
    """
    smoke = Trial(seed, {}, SECONDS, target.rungs[0], scale, 0, "smoke")
    scored = replace(smoke, budget=LONGER, purpose="tune")
    outcome = admitted(executor.submit(smoke).result(), smoke, target.objectives)
    if outcome.status == "ok" and admitted(outcome, scored, target.objectives).status != "ok":
        outcome = admitted(executor.submit(scored).result(), scored, target.objectives)
    return outcome


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
