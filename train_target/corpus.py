"""Text for training, validation and test, prepared once into a cache folder. numpy and the standard library only.

The default corpus is the source of sympy 1.14.0, which every torch install carries. Validation and test text are a
hashed tenth each of the files under its `tests/` folders, which no box can read; near-duplicates of other files are
dropped from them. Training text is the rest. networkx's tests are a second corpus, opened for the report only. A
folder of the user's own is split by document in the same way. The cache is written under another name and renamed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from documents import DataError, read_documents

SYMPY_VERSION = "1.14.0"
NETWORKX_VERSION = "3.6.1"  # of the second corpus, which is part of the hash
SYMPY_SHA256 = "29f1c8400d913782"
RECIPE = 1  # to be raised when the split changes: then the cache is made anew
SPLITS = ("train", "val", "test", "second")
TEST_SHARE = 0.1  # of the eligible documents, by hash; as much again is validation text
OVERLAP = 0.5  # a file shares more than this part of its long lines with other files: a near-duplicate
LONG_LINE = 16  # characters; shorter lines say nothing about copying
SMALLEST = {"train": 200_000, "val": 20_000, "test": 20_000}  # bytes
DRAFT = ".draft-"  # begins the name of a corpus in the making, the process id follows
SEPARATOR = b"\0"  # after each document

Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]
Document = tuple[bytes, bool]  # its text, and whether it may become validation or test text


@dataclass(frozen=True)
class Corpus:
    """A prepared corpus: where its splits lie, their sizes in bytes and the SHA-256 of all of them together."""

    name: str
    sha256: str
    folder: Path
    sizes: dict[str, int]
    dropped: int

    def text(self, split: str) -> Bytes:
        """The bytes of a split, mapped read-only."""
        if not self.sizes[split]:  # the second corpus, where networkx is not installed
            return np.zeros(0, dtype=np.uint8)
        return np.memmap(self.folder / f"{split}.bin", dtype=np.uint8, mode="r")

    @property
    def other(self) -> str:
        """Why losses on this corpus cannot be compared with those on the pinned one; "" where they can be, and for
        the user's own text, which nobody takes for it."""
        if not self.name.startswith("sympy-") or self.sha256.startswith(SYMPY_SHA256):
            return ""
        return (
            f"this is not the pinned corpus: its SHA-256 begins with {self.sha256[:16]}, not {SYMPY_SHA256}, so "
            f"losses cannot be compared with those of others; {self.name} and networkx {_version('networkx')} are "
            f"installed, pinned are the unchanged files of sympy {SYMPY_VERSION} and networkx {NETWORKX_VERSION}: "
            f"pip install --force-reinstall sympy=={SYMPY_VERSION} networkx=={NETWORKX_VERSION}, then remove "
            f"{self.folder}"
        )

    def describe(self) -> dict[str, object]:
        """What the ready line tells of it."""
        name = f"{self.name}, not the pinned text" if self.other else self.name
        return {"name": name, "sha256": self.sha256, "bytes": self.sizes, "near_duplicates_dropped": self.dropped}


def default_cache() -> Path:
    """`evolve-train-py` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "evolve-train-py"


def load(cache: Path, data: Path | None, say: Callable[[str], None]) -> Corpus:
    """The prepared corpus, prepared now if the cache lacks it. Raises DataError with cause and cure."""
    name, fingerprint, documents = _user_source(data) if data else _sympy_source()
    folder = cache / f"{name}-{fingerprint[:12]}-{RECIPE}"
    if not (folder / "corpus.json").exists():
        say(f"preparing corpus {name} in {folder}")
        _prepare(folder, name, documents(), say)
    corpus = _open(folder)
    if corpus.other:
        say(corpus.other)
    return corpus


def _version(package: str) -> str:
    """The installed version of a package, or ""."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _open(folder: Path) -> Corpus:
    try:
        fields = json.loads((folder / "corpus.json").read_text())
        corpus = Corpus(**{**fields, "folder": folder})
        intact = _sha256(folder) == corpus.sha256
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"cannot read the prepared corpus in {folder}: {error}; remove that folder") from error
    if not intact:
        raise DataError(f"the prepared corpus in {folder} was changed after it was made; remove that folder")
    return corpus


def _prepare(folder: Path, name: str, documents: Iterable[Document], say: Callable[[str], None]) -> None:
    splits, dropped = split_documents(documents)
    say(f"{sum(map(len, splits.values()))} documents, {dropped} near-duplicates dropped")
    splits["second"] = [text for text, _ in package_files("networkx", tests_only=True)]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_drafts(folder.parent)
        draft = Path(tempfile.mkdtemp(prefix=f"{DRAFT}{os.getpid()}-", dir=folder.parent))
    except OSError as error:
        raise unwritable(folder.parent, error) from error
    try:
        for split in SPLITS:
            _write(draft / f"{split}.bin", (part for text in splits[split] for part in (text, SEPARATOR)))
        sizes = {split: (draft / f"{split}.bin").stat().st_size for split in SPLITS}
        for split, least in SMALLEST.items():
            if sizes[split] < least:
                share = 1 - 2 * TEST_SHARE if split == "train" else TEST_SHARE
                raise DataError(
                    f"too little text: {sizes[split]:,} bytes of {split} text, at least {least:,} are needed; "
                    f"give more documents (about {round(least / share):,} bytes in all, better many than long ones)"
                )
        corpus = Corpus(name, _sha256(draft), Path(), sizes, dropped)
        _write(draft / "corpus.json", [json.dumps(asdict(corpus) | {"folder": ""}).encode()])
        draft.rename(folder)
    except OSError as error:
        if not (folder / "corpus.json").exists():  # else another process was faster, with the same result
            raise unwritable(folder.parent, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    say(f"corpus {name}: " + ", ".join(f"{split} {size / 1e6:.2f} MB" for split, size in sizes.items()))


def _remove_drafts(cache: Path) -> None:
    """Remove what processes that were killed while they prepared a corpus have left."""
    for draft in cache.glob(f"{DRAFT}*"):
        if not Path("/proc", draft.name.removeprefix(DRAFT).partition("-")[0]).exists():
            shutil.rmtree(draft, ignore_errors=True)


def unwritable(cache: Path, error: OSError) -> DataError:
    """What to say where the cache cannot be written."""
    return DataError(
        f"cannot write the cache {cache}: {error}; mend that, or choose another folder with --cache "
        "(by hand EVOLVE_CACHE)"
    )


def _write(path: Path, parts: Iterable[bytes]) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())


def _sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for split in SPLITS:
        with (folder / f"{split}.bin").open("rb") as file:
            while part := file.read(2**20):
                digest.update(part)
    return digest.hexdigest()


def split_documents(documents: Iterable[Document]) -> tuple[dict[str, list[bytes]], int]:
    """Documents by split, and how many near-duplicates were dropped from validation and test text."""
    splits: dict[str, list[bytes]] = {split: [] for split in SPLITS}
    seen: set[bytes] = set()
    for text, eligible in documents:
        name = hashlib.sha256(text).digest()
        if name in seen:
            continue
        seen.add(name)
        share = int.from_bytes(name[:8], "big") / 2**64 if eligible else 1.0
        splits["val" if share < TEST_SHARE else "test" if share < 2 * TEST_SHARE else "train"].append(text)
    known = {line for text in splits["train"] for line in _long_lines(text)}
    dropped = 0
    for split in ("val", "test"):
        kept = [text for text in splits[split] if _overlap(text, known) <= OVERLAP]
        dropped += len(splits[split]) - len(kept)
        splits[split] = kept
        known.update(line for text in kept for line in _long_lines(text))
    return splits, dropped


def _long_lines(text: bytes) -> Iterator[int]:
    return (hash(line) for raw in text.splitlines() if len(line := raw.strip()) >= LONG_LINE)


def _overlap(text: bytes, known: set[int]) -> float:
    lines = list(_long_lines(text))
    return sum(line in known for line in lines) / len(lines) if lines else 1.0


Source = tuple[str, str, Callable[[], Iterator[Document]]]


def _sympy_source() -> Source:
    """Name, fingerprint and documents of the installed sympy."""
    version = _version("sympy")
    if not version:
        raise DataError(
            "sympy is not installed and its source is the default corpus; pip install "
            f"sympy=={SYMPY_VERSION}, or give a folder of text with --data"
        )
    return f"sympy-{version}", hashlib.sha256(version.encode()).hexdigest(), lambda: package_files("sympy")


def package_files(package: str, tests_only: bool = False) -> Iterator[Document]:
    """Python files of an installed package in the order of their paths; those under `tests` are eligible."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return
    root = Path(spec.submodule_search_locations[0])
    for path in sorted(root.rglob("*.py"), key=lambda p: p.relative_to(root).as_posix()):
        is_test = "tests" in path.relative_to(root).parts
        if is_test or not tests_only:
            yield path.read_bytes(), is_test


def _user_source(data: Path) -> Source:
    """Name, fingerprint and documents of a folder of .txt, .jsonl and .parquet files."""
    if not data.is_dir():
        raise DataError(f"--data {data} is no folder; give one that holds .txt, .jsonl or .parquet files")
    files = sorted(p for p in data.rglob("*") if p.suffix in (".txt", ".jsonl", ".parquet") and p.is_file())
    if not files:
        raise DataError(f"no .txt, .jsonl or .parquet file below {data}")
    stats = [(str(p.relative_to(data)), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    fingerprint = hashlib.sha256(repr((str(data.resolve()), stats)).encode()).hexdigest()
    return "data", fingerprint, lambda: ((text, True) for path in files for text in read_documents(path))
