"""Documents from the user's files: plain text, JSON lines with a field `text`, parquet with a column `text`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

LARGE = 65_536  # bytes; a longer document is cut, at the ends of lines
PIECE = 16_384  # small, so that one file of a megabyte has enough of them for validation and test text


class DataError(Exception):
    """Text cannot be had; the message names the cause and the cure."""


def read_documents(path: Path) -> Iterator[bytes]:
    """The documents of one file as UTF-8 bytes, long ones in pieces. Raises DataError where the file is unreadable."""
    read = {".txt": _plain, ".jsonl": _json_lines, ".parquet": _parquet}[path.suffix]
    try:
        for document in read(path):
            yield from _pieces(document)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from error


def _pieces(document: bytes) -> Iterator[bytes]:
    if len(document) <= LARGE:
        yield document
        return
    start = 0
    while start < len(document):
        end = document.find(b"\n", start + PIECE) + 1 or start + LARGE
        end = min(end, start + LARGE)
        yield document[start:end]
        start = end


def _plain(path: Path) -> Iterator[bytes]:
    yield path.read_bytes()


def _json_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                if line.strip():
                    yield json.loads(line)["text"].encode(errors="replace")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DataError(f'{path}, line {number}: not a JSON object with a text in "text"') from error


def _parquet(path: Path) -> Iterator[bytes]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(f"{path.name} needs pyarrow: pip install pyarrow") from error
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            if "text" not in file.schema_arrow.names:
                raise DataError(f'{path} has no column "text", only {", ".join(file.schema_arrow.names)}')
            for batch in file.iter_batches(columns=["text"]):
                yield from map(_encoded, filter(None, batch.column(0).to_pylist()))
    except TypeError as error:
        raise DataError(f'{path}: the column "text" holds no text: {error}') from error
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no readable parquet file: {error}") from error


def _encoded(text: object) -> bytes:
    """Text as bytes; a column of bytes is taken as it is."""
    if not isinstance(text, str | bytes):
        raise TypeError(f"{type(text).__name__} is neither text nor bytes")
    return text.encode() if isinstance(text, str) else text
