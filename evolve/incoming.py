"""What a person brings to a run from another process: files in a folder of the run, taken by who writes its log.

A run has one writer. So whoever wants to add something leaves a file, which is whole from the moment it is there; the
process that holds the run, now or when it is resumed, records it as an event and then removes it. An event has the
name of its file, so a file that is found again after a crash in between is removed and not recorded again.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evolve.config import ConfigError
from evolve.elsewhere import Row, checked, entry
from evolve.model import digest

FOLDER = "incoming"
PERSON = "person"  # the operator whose children are programs that were brought
SHOWN = 100  # lines on what was tried elsewhere that are shown, the latest ones
LARGEST = 8 << 20  # bytes of a file; what `learn` leaves has at most 6.3 million
SET_ASIDE = ".unreadable"  # ends the name of a file that is none of ours, and is looked at no more

NONE_OF_OURS = (ValueError, LookupError, TypeError, AttributeError, RecursionError)  # what reading another file raises

Record = Callable[[str, str, dict[str, Any]], None]


@dataclass(frozen=True)
class Brought:
    """A program that a person brought, a variant of the candidate `parent`."""

    source: str
    parent: str
    hypothesis: str


class Incoming:
    """A view of the log: programs that wait for their ask, and those that had it; rows from elsewhere."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.waiting: deque[Brought] = deque()
        self.rows: dict[tuple[str, str, str], Row] = {}
        self._programs: dict[int, Brought] = {}

    def on_brought(self, body: Mapping[str, Any]) -> None:
        self.names.add(body["name"])
        self.waiting.append(Brought(body["source"], body["parent"], body["hypothesis"]))

    def on_learned(self, body: Mapping[str, Any]) -> None:
        self.names.add(body["name"])
        for row in (Row(**fields) for fields in body["rows"]):
            self.rows.setdefault(row.key, row)

    def on_ask(self, index: int) -> None:
        """The ask with this number is for the program that waited longest."""
        self._programs[index] = self.waiting.popleft()

    def program(self, index: int) -> tuple[str, str]:
        """The program that an ask is for, and its hypothesis."""
        return self._programs[index].source, self._programs[index].hypothesis

    def pending(self, told: Collection[str]) -> set[str]:
        """The programs of which nothing is known yet; `told` are the ids of candidates that are finished."""
        under_way = [one.source for index, one in self._programs.items() if str(index) not in told]
        return {*under_way, *(one.source for one in self.waiting)}

    def lines(self) -> tuple[str, ...]:
        """What was tried elsewhere, a line each."""
        return tuple(entry(row) for row in list(self.rows.values())[-SHOWN:])


def leave_program(directory: Path, brought: Brought) -> None:
    """Bring a program to the run in `directory`. Raises `ConfigError` if it cannot be written."""
    _leave(directory, f"{time.time_ns():020}-{digest(brought.source)}", {"kind": "brought", **asdict(brought)})


def left_programs(directory: Path) -> set[str]:
    """The programs that lie in the folder, not taken yet. Whoever reads the log after this misses none."""
    found = set()
    for path in (directory / FOLDER).glob("*.json"):
        with suppress(OSError, *NONE_OF_OURS):
            found.add(str(_body(path)["source"]))
    return found


def leave_rows(directory: Path, rows: Collection[Row]) -> None:
    """Bring what was tried elsewhere; the same rows have the same name. Raises `ConfigError`."""
    body = {"kind": "learned", "rows": [asdict(row) for row in rows]}
    _leave(directory, f"rows-{digest(json.dumps(body))}", body)


def take_in(directory: Path, known: Collection[str], incoming: Incoming, record: Record) -> None:
    """Record what lies in the folder and is not recorded yet; `known` are the ids that may be parents.

    What is recorded is removed; what cannot be read is set aside, and what cannot even be moved is let be.
    """
    for path in sorted((directory / FOLDER).glob("*.json")):
        with suppress(OSError):
            try:
                found = None if path.stem in incoming.names else _read(path, known)
            except NONE_OF_OURS:
                path.replace(path.with_name(path.name + SET_ASIDE))
                continue
            if found:
                record(found[0], f"{found[0]}/{path.stem}", {"name": path.stem, **found[1]})
            path.unlink()


def _read(path: Path, known: Collection[str]) -> tuple[str, dict[str, Any]]:
    """Kind and body of the event, which is for good: so all that is later taken for granted is looked at here.

    Raises one of `NONE_OF_OURS` for another file.
    """
    path.stem.encode()
    body = _body(path)
    kind = body.pop("kind")
    if kind == "learned":
        return kind, {"rows": [asdict(checked(fields)) for fields in body["rows"]]}
    brought = Brought(**body)
    for text in (brought.source, brought.hypothesis):
        text.encode()  # no text has no such method, and half a character cannot be encoded
    if kind != "brought" or brought.parent not in {"0", *known}:
        raise ValueError(f"{path} holds no program of this run")
    return kind, asdict(brought)


def _body(path: Path) -> Any:
    """What a file holds. Raises OSError or one of `NONE_OF_OURS`."""
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise ValueError(f"{path} is no file, or too long")
    return json.loads(path.read_text(encoding="utf-8"))


def _leave(directory: Path, name: str, body: Mapping[str, Any]) -> None:
    """Write a file that is whole as soon as it has its name, also if the machine dies."""
    folder = directory / FOLDER
    aside = folder / f".{name}.{os.getpid()}"
    try:
        folder.mkdir(exist_ok=True)
        with aside.open("w", encoding="utf-8") as file:
            json.dump(body, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(folder / f"{name}.json")
    except OSError as error:
        raise ConfigError(f"cannot write into {folder}: {error.strerror}") from error
