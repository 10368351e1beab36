"""Where the packages of this interpreter are, and which of their folders hold tests. The standard library only.

What corpora and boxes have in common: validation and test text is taken from folders of tests alone, and every such
folder is hidden from the boxes, whichever corpus a scale has. Nothing on the way of an import lies in one.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

TESTS = {"tests", "test"}  # names of such folders
WHOLE = {"torch", "triton"}  # no folder of theirs counts: compiling reads all of their source, for the keys of caches
PACKAGES = "-packages"  # ends the names of the folders that packages are installed in


def package_folders() -> set[Path]:
    """The folders that this interpreter imports installed packages from."""
    folders = {Path(p) for p in (*site.getsitepackages(), *sys.path) if p.endswith(PACKAGES)}
    return {folder for folder in folders if folder.is_dir()}


def standard_library() -> set[Path]:
    """The folders of the standard library: the base interpreter's, where this is one of a virtual environment."""
    folders = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    return {folder for folder in folders if folder.is_dir()}


@cache
def test_folders() -> tuple[Path, ...]:
    """The outermost folders with tests, wherever this interpreter, its base or the system's keeps modules; a folder
    that is seen under two names is there under both."""
    prefixes = {Path(sys.prefix), Path(sys.base_prefix), Path("/usr"), Path("/usr/local")}
    roots = {place for prefix in prefixes for place in prefix.glob("lib*/python*") if place.is_dir()}
    roots |= package_folders() | standard_library()
    roots |= {root.resolve() for root in roots}
    outermost = (root for root in roots if roots.isdisjoint(root.parents))
    return tuple(sorted(tests for root in outermost for tests in tests_below(root)))


def tests_below(root: Path) -> Iterator[Path]:
    """The outermost folders with tests below a folder."""
    for place, folders, _ in os.walk(root):
        whole = WHOLE if place.endswith(PACKAGES) else set()
        tests = [name for name in folders if name in TESTS and any(Path(place, name).rglob("*.py"))]
        folders[:] = [name for name in folders if name not in whole and name not in tests]
        yield from (Path(place, name) for name in tests)


def largest_without(folder: Path, closed: Iterable[Path]) -> Iterator[Path]:
    """The largest parts of a folder that hold none of the closed paths."""
    closed = set(closed)
    above = {parent for path in closed for parent in path.parents} - closed

    def parts(folder: Path) -> Iterator[Path]:
        for entry in folder.iterdir():
            if entry in above:
                yield from parts(entry)
            elif entry not in closed:
                yield entry

    return parts(folder) if folder.is_dir() else iter(())
