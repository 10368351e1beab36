"""A file of JSON objects, one a line, to which each is added as soon as it is known: a kill loses no others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from evolve.store import StoreError

Made = TypeVar("Made")


class Lines:
    """The `rows` of the file at `path`, which need not be there yet. What is there is never changed: a line that a kill
    tore off is passed over, and the next row begins a line of its own. Several processes may add to one file.

    Raises `StoreError` where the file cannot be read, or has a line that is no object and no beginning of one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from error
        self.rows = list(self._read(text))

    def _read(self, text: bytes) -> Iterator[dict[str, Any]]:
        for number, line in enumerate(text.split(b"\n"), 1):
            if not line:
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                yield row
            elif row is not None or not line.startswith(b"{"):
                raise StoreError(f"line {number} of {self.path} is no row of it: remove that line")

    def read_as(self, make: Callable[[dict[str, Any]], Made]) -> list[Made]:
        """What `make` makes of each row. Raises `StoreError` for one that lacks what it needs, or has more."""
        made = []
        for row in self.rows:
            try:
                made.append(make(row))
            except (TypeError, LookupError) as error:
                raise StoreError(f"{self.path} has a row of another kind ({error}): remove its line, {row}") from error
        return made

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row at the end. Raises `StoreError`, also for a number that JSON has not."""
        try:
            line = json.dumps(row, allow_nan=False).encode() + b"\n"
            with self.path.open("a+b") as file:
                if file.seek(0, os.SEEK_END):
                    file.seek(-1, os.SEEK_END)
                    line = b"\n" * (file.read(1) != b"\n") + line
                file.write(line)
        except (OSError, ValueError) as error:
            raise StoreError(f"cannot write {self.path}: {getattr(error, 'strerror', None) or error}") from error
        self.rows.append(json.loads(line))
