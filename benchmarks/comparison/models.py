"""Language models for the methods that ask one: configured as for `python -m evolve`, with the same options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from benchmarks.comparison.method import Given, Setup, load, names
from evolve.assemble import open_models
from evolve.config import ConfigError
from evolve.language import Language
from evolve.log import Log
from evolve.protocols import Operator


def by_default(language: Language | None) -> list[str]:
    """All methods that can be run here."""
    return [name for name in names() if not load(name).missing(language)]


def check(methods: Sequence[str], language: Language | None) -> None:
    """Raises `ConfigError` for a method that there is not, or that cannot be run here, with the cure."""
    for name in methods:
        if reason := load(name).missing(language):
            raise ConfigError(f"{name} {reason}")


@contextmanager
def operators_of(setup: Setup, given: Given, language: Language | None, log: Log) -> Iterator[Mapping[str, Operator]]:
    """The operators of a run. What models are asked and answer is written to `log`; they are left at the end.

    Raises `ConfigError` if they cannot be asked.
    """
    if setup.asking is None or language is None:
        yield setup.operators
        return
    with open_models(language, given.program, log, given.reader, lambda line: print(line, flush=True)) as opened:
        yield {**setup.operators, **setup.asking(opened)}
