"""What is sent to a language model and what comes back, whoever answers: a server, a mailbox, a recorded run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Literal, Protocol, runtime_checkable

End = Literal["", "operator", "run"]
CHARACTERS_A_TOKEN = 2.5  # at least, in code and English; so tokens are estimated upwards


def tokens_in(characters: int) -> int:
    """Tokens of a text, rather too many."""
    return math.ceil(characters / CHARACTERS_A_TOKEN)


@dataclass(frozen=True)
class Block:
    """A piece of a prompt. `cached`: what stands up to its end is worth keeping in the server's prompt cache."""

    text: str
    cached: bool = False


@dataclass(frozen=True)
class Turn:
    """One message of a dialogue."""

    role: Literal["user", "assistant"]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Request:
    """A question to a model. The stable part comes first, so that it can be cached; `max_tokens` bounds the answer.

    `way` is what is asked for: "mutate", "crossover", "repair", "lessons".
    """

    model: str
    system: tuple[Block, ...]
    turns: tuple[Turn, ...]
    max_tokens: int
    way: str = ""

    @property
    def characters(self) -> int:
        """Length of the whole prompt."""
        return sum(map(len, self.texts))

    @property
    def texts(self) -> tuple[str, ...]:
        """All of the prompt, in order; who is asked is no part of it."""
        return tuple(b.text for b in (*self.system, *(b for turn in self.turns for b in turn.blocks)))


def request_from(record: Mapping[str, Any]) -> Request:
    """The request of which `dataclasses.asdict` made `record`, perhaps by way of JSON."""
    turns = tuple(Turn(turn["role"], _blocks(turn["blocks"])) for turn in record["turns"])
    return Request(**{**record, "system": _blocks(record["system"]), "turns": turns})


def _blocks(records: Sequence[Mapping[str, Any]]) -> tuple[Block, ...]:
    return tuple(Block(**block) for block in records)


@dataclass(frozen=True)
class Usage:
    """Tokens of one call. `input` were read anew, `cached` came from the prompt cache, `written` went into it."""

    input: int = 0
    cached: int = 0
    written: int = 0
    output: int = 0
    searches: int = 0

    @property
    def tokens(self) -> int:
        return self.input + self.cached + self.written + self.output

    def __add__(self, other: Usage) -> Usage:
        return Usage(*map(sum, zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Reply:
    """An answer as it came. `stop` is the Messages API's stop reason; `model` is who says that it answered.

    `usage` is None where the server does not say. It holds all that the answer took, with attempts that were cut.
    """

    text: str
    stop: str
    model: str
    usage: Usage | None


class Unanswered(Exception):
    """No answer came, and waiting longer would not help. `ends`: what cannot go on without one.

    "operator": this model has no further answers (unknown, or its budget is used); "run": the key is wrong, or the
    money is gone. `usage`: what was consumed all the same, in all attempts; None if nothing was read.
    """

    def __init__(self, reason: str, ends: End = "", usage: Usage | None = None) -> None:
        super().__init__(reason)
        self.ends = ends
        self.usage = usage


class TooLong(Unanswered):
    """The prompt does not fit the model's context; a shorter one may."""


class Transport(Protocol):
    """Who answers. Called from several threads at once; `close` makes what waits give up soon."""

    def send(self, key: str, request: Request) -> Reply:
        """The answer. `key` names the question, the same when it is asked again. Raises Unanswered."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Extensive(Protocol):
    """A Transport for which one question may take several calls, and searches. Any other makes one call and none."""

    @property
    def calls_at_most(self) -> int: ...

    @property
    def searches_at_most(self) -> int: ...
