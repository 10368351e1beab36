"""Text for training, validation and test, prepared once into a cache folder. numpy and the standard library only.

What it is made of is a source (sources.py). Of the default ones, the source of sympy 1.14.0 or of all that is
installed, validation and test text are hashed shares of the files in folders of tests, which no box can read;
near-duplicates of other files are dropped from them. Training text is the rest. networkx's tests are a second corpus,
opened for the report only. A folder of the user's own is split by document in the same way. The cache is written
under another name and renamed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

import sources
from documents import DataError
from nursery import remove
from sources import SECOND, SEPARATOR, SHARE, SYMPY_VERSION, Document, Source

NETWORKX_VERSION = "3.6.1"  # of the second corpus, which is part of the hash
SYMPY_SHA256 = "29f1c8400d913782"
RECIPE = 1  # to be raised when the split changes: then the cache is made anew
SPLITS = ("train", "val", "test", "second")
OVERLAP = 0.5  # a file shares more than this part of its long lines with other files: a near-duplicate
LARGEST_PARTS = 6  # that are named
LONG_LINE = 16  # characters; shorter lines say nothing about copying
SMALLEST = {"train": 200_000, "val": 20_000, "test": 20_000}  # bytes
DRAFT = ".draft-"  # begins the name of a corpus in the making, or one that goes; the process id follows
UNUSED = 30 * 86400  # seconds after which a corpus that nobody has opened is removed, when another one is prepared

Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]


@dataclass(frozen=True)
class Corpus:
    """A prepared corpus: where its splits lie, their sizes in bytes and the SHA-256 of all of them together.

    `parts` says how many bytes of each split are from which package.
    """

    name: str
    sha256: str
    folder: Path
    sizes: dict[str, int]
    dropped: int
    parts: dict[str, dict[str, int]] = field(default_factory=dict)

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
        second = sources.version(SECOND)
        return (
            f"this is not the pinned corpus: its SHA-256 begins with {self.sha256[:16]}, not {SYMPY_SHA256}, so "
            f"losses cannot be compared with those of others; {self.name} and networkx {second} are "
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


def load(cache: Path, data: Path | None, say: Callable[[str], None], kind: str = "sympy") -> Corpus:
    """The prepared corpus, prepared now if the cache lacks it: of the user's `data`, else of a kind of SOURCES.

    Raises DataError with cause and cure.
    """
    source = sources.folder(data) if data else sources.SOURCES[kind]()
    place = cache / f"{source.name}-{source.fingerprint[:12]}-{RECIPE}"
    if not (place / "corpus.json").exists():
        say(f"preparing corpus {source.name} in {place}")
        _prepare(place, source, say)
    corpus = _open(place)
    if corpus.other:
        say(corpus.other)
    return corpus


def _open(folder: Path) -> Corpus:
    try:
        fields = json.loads((folder / "corpus.json").read_text())
        corpus = Corpus(**{**fields, "folder": folder})
        intact = _sha256(folder) == corpus.sha256
        with contextlib.suppress(PermissionError):  # somebody else's, or on a disk that is only read
            os.utime(folder / "corpus.json")  # says when it was used
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"cannot read the prepared corpus in {folder}: {error}; remove that folder") from error
    if not intact:
        raise DataError(f"the prepared corpus in {folder} was changed after it was made; remove that folder")
    return corpus


def _prepare(folder: Path, source: Source, say: Callable[[str], None]) -> None:
    splits, dropped = split_documents(source.documents(), source.share)
    say(f"{sum(map(len, splits.values()))} documents, {dropped} near-duplicates dropped")
    splits["second"] = list(sources.package_files(SECOND, tests_only=True))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_drafts(folder.parent)
        draft = Path(tempfile.mkdtemp(prefix=f"{DRAFT}{os.getpid()}-", dir=folder.parent))
    except OSError as error:
        raise unwritable(folder.parent, error) from error
    try:
        for split in SPLITS:
            _write(draft / f"{split}.bin", (part for document in splits[split] for part in (document.text, SEPARATOR)))
        sizes = {split: (draft / f"{split}.bin").stat().st_size for split in SPLITS}
        _check(sizes, source.share)
        corpus = Corpus(source.name, _sha256(draft), Path(), sizes, dropped, _parts(splits))
        _write(draft / "corpus.json", [json.dumps(asdict(corpus) | {"folder": ""}).encode()])
        draft.rename(folder)
    except OSError as error:
        if not (folder / "corpus.json").exists():  # else another process was faster, with the same result
            raise unwritable(folder.parent, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    say(f"corpus {source.name}: " + ", ".join(f"{split} {size / 1e6:.2f} MB" for split, size in sizes.items()))
    if corpus.parts:
        say(f"validation text is from {_composition(corpus)}")
    _remove_unused(folder.parent, say)


def _check(sizes: dict[str, int], share: float) -> None:
    """Raises DataError where there is too little text."""
    for split, least in SMALLEST.items():
        if sizes[split] < least:
            share = 1 - 2 * share if split == "train" else share
            raise DataError(
                f"too little text: {sizes[split]:,} bytes of {split} text, at least {least:,} are needed; "
                f"give more documents (about {round(least / share):,} bytes in all, better many than long ones)"
            )


def _parts(splits: dict[str, list[Document]]) -> dict[str, dict[str, int]]:
    """Bytes of each package in training, validation and test text; {} where documents do not tell of several."""
    found: dict[str, Counter[str]] = {}
    for split in SMALLEST:
        for document in splits[split]:
            found.setdefault(document.part, Counter())[split] += len(document.text) + len(SEPARATOR)
    return {part: dict(found[part]) for part in sorted(found)} if len(found) > 1 else {}


def _composition(corpus: Corpus) -> str:
    """The packages that most of the validation text is from, and their shares."""
    sizes = {part: found.get("val", 0) / corpus.sizes["val"] for part, found in corpus.parts.items()}
    largest = sorted(sizes, key=lambda part: -sizes[part])[:LARGEST_PARTS]
    return ", ".join(f"{part} {sizes[part]:.0%}" for part in largest if sizes[part] >= 0.01)


def _remove_drafts(cache: Path) -> None:
    """Remove what processes that were killed while they prepared a corpus have left."""
    for draft in cache.glob(f"{DRAFT}*"):
        if not Path("/proc", draft.name.removeprefix(DRAFT).partition("-")[0]).exists():
            shutil.rmtree(draft, ignore_errors=True)


def _remove_unused(cache: Path, say: Callable[[str], None]) -> None:
    """Remove corpora that nobody has opened for long: those of packages or files that have changed since."""
    for about in cache.glob("*-*-*/corpus.json"):
        with contextlib.suppress(OSError):
            if time.time() - about.stat().st_mtime > UNUSED:
                going = cache / f"{DRAFT}{os.getpid()}-{about.parent.name}"
                about.parent.rename(going)  # at once, so that nobody meets half of it
                shutil.rmtree(going, ignore_errors=True)
                say(f"removed the corpus {about.parent}, unused for {UNUSED / 86400:.0f} days")


def unwritable(cache: Path, error: OSError) -> DataError:
    """What to say where the cache cannot be written."""
    return DataError(
        f"cannot write the cache {cache}: {error}; mend that, or choose another folder with --cache "
        "(by hand EVOLVE_CACHE)"
    )


def box_folder(cache: Path) -> Path:
    """A folder for this judge's boxes; those of judges that are gone are removed. Raises DataError."""
    boxes = cache.resolve() / "boxes"
    try:
        boxes.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise unwritable(cache, error) from error
    for entry in boxes.iterdir():
        if entry.name == str(os.getpid()) or not Path(f"/proc/{entry.name}").exists():
            remove(entry)
    return boxes / str(os.getpid())


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


def split_documents(documents: Iterable[Document], share: float = SHARE) -> tuple[dict[str, list[Document]], int]:
    """Documents by split, and how many near-duplicates were dropped from validation and test text.

    `share` of the eligible ones become validation text, by hash, and as much again test text.
    """
    splits: dict[str, list[Document]] = {split: [] for split in SPLITS}
    seen: set[bytes] = set()
    for document in documents:
        name = hashlib.sha256(document.text).digest()
        if name in seen:
            continue
        seen.add(name)
        place = int.from_bytes(name[:8], "big") / 2**64 if document.eligible else 1.0
        splits["val" if place < share else "test" if place < 2 * share else "train"].append(document)
    known = {line for document in splits["train"] for line in _long_lines(document.text)}
    dropped = 0
    for split in ("val", "test"):
        kept = [document for document in splits[split] if _overlap(document.text, known) <= OVERLAP]
        dropped += len(splits[split]) - len(kept)
        splits[split] = kept
        known.update(line for document in kept for line in _long_lines(document.text))
    return splits, dropped


def _long_lines(text: bytes) -> Iterator[int]:
    return (hash(line) for raw in text.splitlines() if len(line := raw.strip()) >= LONG_LINE)


def _overlap(text: bytes, known: set[int]) -> float:
    lines = list(_long_lines(text))
    return sum(line in known for line in lines) / len(lines) if lines else 1.0
