"""A file of JSON objects, one a line, to which each is added as soon as it is known: a kill loses no others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evolve.store import StoreError


class Lines:
    """The `rows` of the file at `path`, which need not be there yet. A last line that was torn off is none, and is
    written over.

    Raises `StoreError` where the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_bytes() if path.exists() else b""
            whole, end, torn = text.rpartition(b"\n")
            self.rows: list[dict[str, Any]] = [dict(json.loads(line)) for line in whole.split(b"\n") if line]
        except (OSError, ValueError, TypeError) as error:
            raise StoreError(f"cannot read {path}, remove it to do all of it again: {error}") from error
        self._torn_at = len(whole + end) if torn else None

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row at the end. Raises `StoreError`, and `ValueError` for a number that JSON has not."""
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        try:
            with self.path.open("ab") as file:
                if self._torn_at is not None:
                    file.truncate(self._torn_at)
                self._torn_at = file.tell()  # as long as not all of it is there
                file.write(line)
        except OSError as error:
            raise StoreError(f"cannot write {self.path}: {error.strerror}") from error
        self._torn_at = None
        self.rows.append(json.loads(line))
