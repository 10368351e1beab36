"""Where a corpus comes from: installed packages, or files of the user's own. The standard library only.

`sympy` is the source of one package, the same bytes wherever its pinned version is installed. `environment` is every
Python file that the interpreter can import, without the project itself and without the second corpus: ten times as
much, and another text on another machine.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from documents import DataError, read_documents
from packages import PACKAGES, package_folders, standard_library, tests_below

SYMPY_VERSION = "1.14.0"
SECOND = "networkx"  # the second corpus, of which no other holds anything
PROJECT = "evolve-train"  # the distribution that this file belongs to
STANDARD_LIBRARY = "the standard library"
SHARE = 0.1  # of the documents that may be validation text, and as much again for test text
LARGEST_SHARE = 0.3
HELD_OUT = 8_000_000  # bytes of each, where there are as many: more than two million tokens, less near-duplicates
SEPARATOR = b"\0"  # after each document


class Document(NamedTuple):
    """A text, whether it may become validation or test text, and the package that it is from."""

    text: bytes
    eligible: bool
    part: str = ""


@dataclass(frozen=True)
class Source:
    """Documents that a corpus can be made of.

    `fingerprint` changes when they do, without reading them; `share` of those that are eligible becomes validation
    text, as much again test text.
    """

    name: str
    fingerprint: str
    documents: Callable[[], Iterable[Document]]
    share: float = SHARE


def version(package: str) -> str:
    """The installed version of a package, or ""."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def sympy() -> Source:
    """The source of the installed sympy. Raises DataError without it."""
    installed = version("sympy")
    if not installed:
        raise DataError(
            "sympy is not installed and its source is the default corpus; pip install "
            f"sympy=={SYMPY_VERSION}, or give a folder of text with --data"
        )
    fingerprint = hashlib.sha256(installed.encode()).hexdigest()
    return Source(f"sympy-{installed}", fingerprint, lambda: package_files("sympy"))


def package_files(package: str, tests_only: bool = False) -> Iterator[Document]:
    """Python files of an installed package in the order of their paths; those under `tests` are eligible."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return
    root = Path(spec.submodule_search_locations[0])
    for path in sorted(root.rglob("*.py"), key=lambda p: p.relative_to(root).as_posix()):
        is_test = "tests" in path.relative_to(root).parts
        if is_test or not tests_only:
            yield Document(path.read_bytes(), is_test, package)


class _File(NamedTuple):
    """A Python file: its name below the folder that it is imported from, and what its text will be."""

    name: str
    path: Path
    eligible: bool
    part: str
    size: int
    changed: int


def environment() -> Source:
    """Every Python file that this interpreter can import, other than networkx's and the project's own.

    Files in folders of tests are eligible. The others come first: of several copies the first counts, so that
    no text is held out that boxes could read elsewhere. Within both, the order is that of the hashes of their names,
    for the sake of whoever looks at the first part only.
    """
    files = sorted(_python_files(), key=lambda f: (f.eligible, hashlib.sha256(f.name.encode()).digest(), f.name))
    stats = [(f.name, f.size, f.changed) for f in files]
    fingerprint = hashlib.sha256(repr((platform.python_version(), version(SECOND), stats)).encode()).hexdigest()
    share = HELD_OUT / max(1, sum(f.size for f in files if f.eligible))
    return Source("environment", fingerprint, lambda: _read(files), min(LARGEST_SHARE, share))


def _read(files: Iterable[_File]) -> Iterator[Document]:
    """The texts of files, but for the few that are no UTF-8, or hold what separates documents."""
    for file in files:
        try:
            text = file.path.read_bytes()
            text.decode()
        except UnicodeDecodeError:
            continue
        except OSError as error:
            raise DataError(f"cannot read {file.path}, a file of the default corpus: {error}") from error
        if SEPARATOR not in text:
            yield Document(text, file.eligible, file.part)


def _python_files() -> Iterator[_File]:
    ours = _project_files()
    for root in sorted({folder.resolve() for folder in (*package_folders(), *standard_library())}):
        packages, tests = root.name.endswith(PACKAGES), set(tests_below(root))
        for place, folders, names in os.walk(root):
            below = Path(place).relative_to(root).parts
            if not below:
                folders[:] = [name for name in folders if name != SECOND and not name.endswith(PACKAGES)]
            for name in names:
                path = Path(place, name)
                if name.endswith(".py") and path not in ours and path.is_file():
                    part = (*below, name.removesuffix(".py"))[0] if packages else STANDARD_LIBRARY
                    state, eligible = path.stat(), not tests.isdisjoint(path.parents)
                    yield _File("/".join((*below, name)), path, eligible, part, state.st_size, state.st_mtime_ns)


def _project_files() -> set[Path]:
    """The files of the project that are installed among the packages: they change with it."""
    try:
        files = importlib.metadata.files(PROJECT) or []
    except importlib.metadata.PackageNotFoundError:
        return set()
    return {Path(str(file.locate())).resolve() for file in files}


SOURCES: dict[str, Callable[[], Source]] = {"sympy": sympy, "environment": environment}


def folder(data: Path) -> Source:
    """A folder of .txt, .jsonl and .parquet files. Raises DataError."""
    if not data.is_dir():
        raise DataError(f"--data {data} is no folder; give one that holds .txt, .jsonl or .parquet files")
    files = sorted(p for p in data.rglob("*") if p.suffix in (".txt", ".jsonl", ".parquet") and p.is_file())
    if not files:
        raise DataError(f"no .txt, .jsonl or .parquet file below {data}")
    stats = [(str(p.relative_to(data)), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    fingerprint = hashlib.sha256(repr((str(data.resolve()), stats)).encode()).hexdigest()
    return Source("data", fingerprint, lambda: (Document(t, True) for path in files for t in read_documents(path)))
