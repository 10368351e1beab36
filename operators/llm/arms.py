"""The operators of all language models of a run, from the options of a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.protocols import CallLog, Operator
from operators.genome import Reader
from operators.llm.crossover import Crossover
from operators.llm.desk import Caps, Desk
from operators.llm.lessons import Lessons
from operators.llm.mailbox import Mailbox, MailboxError
from operators.llm.messages import Messages, configured, served_by
from operators.llm.mutate import Mutate
from operators.llm.office import Office, check_program
from operators.llm.prices import read_prices, unpriced
from operators.llm.repair import Repair
from operators.llm.replay import Replay
from operators.llm.wire import Transport, Unanswered

ARITY = {"mutate": 1, "crossover": 2}  # what is asked of each model by itself; a repair follows a crash
LESSONS = "lessons.md"
OWN_KEY = "EVOLVE_LLM_KEY"  # in the environment: the key of a server that --llm-url names


@dataclass(frozen=True)
class Opened:
    """The operators by name, and whom they ask."""

    operators: Mapping[str, Operator]
    desk: Desk

    def close(self) -> None:
        """Whoever waits for an answer gives up soon."""
        self.desk.close()


def open_arms(
    language: Mapping[str, Any],
    reader: Reader,
    log: CallLog,
    program: Path,
    run: Path,
    recorded: Sequence[Mapping[str, Any]],
    say: Callable[[str], None],
) -> Opened:
    """Three operators for each model of `language` (the fields of `evolve.language.Language`).

    `program` is the file with the task in prose, `run` the run's folder, `recorded` what was answered in another run.
    Raises ValueError, with the cure, if nobody can be asked.
    """
    check_program(program, say)
    prices = read_prices(program.with_name("prices.toml"))
    caps = Caps(language["max_usd"], language["max_tokens"])
    if caps.usd and language["source"] == "api" and (reason := unpriced(language["models"], prices)):
        raise ValueError(reason)
    sold = (language["source"] == "api" and not language["url"]) or caps.usd
    desk = Desk(transport(language, recorded, say), log, prices, caps, say if sold else lambda _: None)
    lessons = Lessons(run / LESSONS)
    operators: dict[str, Operator] = {}
    for model in language["models"]:
        limits = language["answer_tokens"], language["prompt_tokens"]
        office = Office(model, desk, reader, program, lessons, *limits)
        operators |= {operator.name: operator for operator in (Mutate(office), Crossover(office), Repair(office))}
    return Opened(operators, desk)


def transport(
    language: Mapping[str, Any], recorded: Sequence[Mapping[str, Any]], say: Callable[[str], None]
) -> Transport:
    """Who answers. Raises ValueError if nobody can be asked."""
    if language["source"] == "replay":
        return Replay(recorded)
    if language["source"] == "mailbox":
        try:
            return Mailbox(Path(language["place"]))
        except MailboxError as error:
            raise ValueError(str(error)) from error
    url, key = _server(language)
    if reason := configured(url, os.environ, key):
        raise ValueError(reason)
    return Messages(url, key, timeout=language["timeout"], web=language["web"], extra=language["extra"], say=say)


def _server(language: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The address of a user's own server and its key, which is not that of the Anthropic API; None for that API."""
    url = language["url"] or None
    return url, os.environ.get(OWN_KEY) or None if url else None


def probe(language: Mapping[str, Any], model: str, ask: bool, prices_file: Path) -> tuple[bool, str]:
    """Whether a model could be asked and what is known of it; `ask` asks it one tiny question."""
    if language["source"] != "api":
        return True, f"answers come from {language['source']}:{language['place']}"
    prices = read_prices(prices_file)
    url, key = _server(language)
    if reason := configured(url, os.environ, key):
        return False, reason
    where = served_by(url, os.environ)
    price = prices.find(model)
    costs = f"{price.input:g} and {price.output:g} USD for a million tokens in and out" if price else "price unknown"
    if not ask:
        return True, f"by {where}, {costs}; not asked (--ask asks it one tiny question)"
    messages = Messages(url, key, timeout=language["timeout"], extra=language["extra"])
    try:
        reply = messages.probe(model)
    except Unanswered as error:
        return False, str(error)
    finally:
        messages.close()
    return True, f"{reply.model} answers by {where}, {costs}"
