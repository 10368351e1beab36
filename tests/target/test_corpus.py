"""Preparing text: the pinned default, folders of the user's own, and what is said when there is none."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import baselines
import corpus
import sources
from counts import bits_per_byte
from documents import DataError, read_documents
from texts import REPORTED, Scale, Texts


def quiet(_: str) -> None:
    """Progress is not looked at here."""


def make_text(number: int) -> str:
    """A document of some 30 distinct lines."""
    generator = np.random.default_rng(number)
    lines = ["".join(chr(c) for c in generator.integers(97, 123, 60)) for _ in range(30)]
    return "\n".join(lines)


def test_default_corpus_is_the_pinned_one(cache: Path) -> None:
    said: list[str] = []
    prepared = corpus.load(cache, None, said.append)
    assert prepared.sha256.startswith(corpus.SYMPY_SHA256) and not any("pinned" in text for text in said)
    assert prepared.describe()["name"] == "sympy-1.14.0"
    assert prepared.sizes["train"] > 20e6 and min(prepared.sizes["val"], prepared.sizes["test"]) > 5e5
    assert (prepared.folder / "val.bin").stat().st_mode & 0o077 == 0
    assert corpus.load(cache, None, quiet) == prepared


def small_files(package: str, tests_only: bool = False) -> Iterator[sources.Document]:
    """What another sympy could hold."""
    return (sources.Document(make_text(i).encode(), True) for i in range(300))


@pytest.mark.parametrize("version", [sources.SYMPY_VERSION, "1.13.3"])
def test_text_that_is_not_the_pinned_one_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(sources, "package_files", small_files)
    monkeypatch.setattr(sources, "version", {"sympy": version, "networkx": "9.9"}.get)
    for _ in range(2):  # when it is prepared, and from the cache
        said: list[str] = []
        other = corpus.load(tmp_path, None, said.append)
        assert "not the pinned corpus" in said[-1] and other.sha256[:16] in said[-1] and "networkx 9.9" in said[-1]
        assert f"networkx=={corpus.NETWORKX_VERSION}" in said[-1]
        assert other.describe()["name"] == f"sympy-{version}, not the pinned text"


def test_missing_sympy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "version", lambda package: "")
    with pytest.raises(DataError, match="sympy is not installed"):
        corpus.load(tmp_path, None, quiet)


def test_validation_text_comes_from_tests_and_is_not_in_the_training_text(cache: Path) -> None:
    prepared = corpus.load(cache, None, quiet)
    train, val = prepared.text("train").tobytes(), prepared.text("val").tobytes()
    files = [text for text in val.split(corpus.SEPARATOR) if text]
    tests = {document.text for document in sources.package_files("sympy") if document.eligible}
    assert files and all(text in tests for text in files)
    assert not any(text in train for text in files)


def test_near_duplicates_are_dropped_from_validation_and_test_text() -> None:
    originals = [make_text(i) for i in range(200)]
    copies = [text + "\none more line, which makes it another document" for text in originals]
    splits, dropped = corpus.split_documents(sources.Document(t.encode(), True) for t in originals + copies + originals)
    kept = sum(map(len, splits.values()))
    assert dropped > 10 and kept + dropped == 400
    lines = {
        split: {line for one in documents for line in one.text.splitlines()} for split, documents in splits.items()
    }
    shared = lines["val"] & (lines["train"] | lines["test"])
    assert shared <= {b"one more line, which makes it another document"}


@pytest.mark.parametrize("kind", [".txt", ".jsonl", ".parquet"])
def test_a_folder_of_text_is_split(tmp_path: Path, kind: str) -> None:
    texts = [make_text(i) for i in range(400)]
    data = tmp_path / "data"
    data.mkdir()
    if kind == ".txt":
        for i, text in enumerate(texts):
            (data / f"{i}.txt").write_text(text)
    elif kind == ".jsonl":
        (data / "all.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    else:
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table({"text": texts}), data / "shard_0.parquet")
    prepared = corpus.load(tmp_path / "cache", data, quiet)
    held_out = (prepared.sizes["val"] + prepared.sizes["test"]) / sum(len(t) + 1 for t in texts)
    assert 0.1 < held_out < 0.3


def test_blank_lines_and_lone_surrogates_are_no_fault_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n\n{"text": "b\\ud800"}\n\n')
    assert list(read_documents(tmp_path / "a.jsonl")) == [b"a", b"b?"]


def test_a_column_that_holds_no_text_is_told(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    write = pytest.importorskip("pyarrow.parquet").write_table
    write(pyarrow.table({"text": [b"as it is", None]}), tmp_path / "bytes.parquet")
    assert list(read_documents(tmp_path / "bytes.parquet")) == [b"as it is"]
    write(pyarrow.table({"text": [1, 2]}), tmp_path / "numbers.parquet")
    with pytest.raises(DataError, match="holds no text"):
        list(read_documents(tmp_path / "numbers.parquet"))
    wrong = pyarrow.Array.from_buffers(pyarrow.string(), 1, pyarrow.array([b"\xff"]).buffers())
    write(pyarrow.table({"text": wrong}), tmp_path / "wrong.parquet")
    with pytest.raises(DataError, match="no readable parquet file"):
        list(read_documents(tmp_path / "wrong.parquet"))


def test_preparing_holds_a_text_in_memory_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for i in range(200):
        (data / f"{i}.txt").write_text("".join(f"{i} {j} {'z' * 5000}\n" for j in range(20)))
    tracemalloc.start()
    try:
        prepared = corpus.load(tmp_path / "cache", data, quiet)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * sum(prepared.sizes.values()), peak


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("few.txt", b"short", "too little text: .*about 250,000 bytes in all"),
        ("bad.jsonl", b'{"txt": "a"}\n', 'line 1: not a JSON object with a text in "text"'),
        ("bad.parquet", b"PAR1", "parquet"),
        ("note.md", b"text", "no .txt, .jsonl or .parquet file"),
    ],
)
def test_unusable_data_is_told_with_cause(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        corpus.load(tmp_path / "cache", data, quiet)
    assert not list(tmp_path.glob("cache/.draft-*"))


def test_unwritable_cache_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for i in range(300):
        (tmp_path / "data" / f"{i}.txt").write_text(make_text(i))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write the cache"):
        corpus.load(tmp_path / "file" / "cache", tmp_path / "data", quiet)


def test_the_draft_of_a_process_that_was_killed_is_removed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for i in range(300):
        (tmp_path / "data" / f"{i}.txt").write_text(make_text(i))
    dead, alive = tmp_path / f".draft-{2**30}-x", tmp_path / f".draft-{os.getpid()}-x"
    for draft in (dead, alive):
        draft.mkdir()
        (draft / "train.bin").touch()
    corpus.load(tmp_path, tmp_path / "data", quiet)
    assert alive.exists() and not dead.exists()


def test_a_corpus_that_nobody_has_used_for_long_goes_when_another_is_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "package_files", small_files)

    def load(version: str) -> tuple[Path, list[str]]:
        said: list[str] = []
        monkeypatch.setattr(sources, "version", {"sympy": version, "networkx": "9.9"}.get)
        return corpus.load(tmp_path, None, said.append).folder, said

    places = {days: load(f"1.{days}")[0] for days in (29, 31, 365)}
    for days, place in places.items():
        os.utime(place / "corpus.json", (0, time.time() - days * 86400))
    assert load("1.365")[0] == places[365], "it is used again"
    newest, said = load("2.0")
    assert set(tmp_path.iterdir()) == {places[29], places[365], newest}
    assert f"removed the corpus {places[31]}, unused for 30 days" in said


def test_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder"):
        corpus.load(tmp_path, tmp_path / "nowhere", quiet)


def test_a_changed_cache_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for i in range(300):
        (tmp_path / "data" / f"{i}.txt").write_text(make_text(i))
    prepared = corpus.load(tmp_path / "cache", tmp_path / "data", quiet)
    (prepared.folder / "val.bin").write_bytes(b"other text")
    with pytest.raises(DataError, match="was changed"):
        corpus.load(tmp_path / "cache", tmp_path / "data", quiet)


def test_a_large_document_is_cut_at_line_ends(tmp_path: Path) -> None:
    content = b"".join(b"line %d\n" % i for i in range(60_000))
    (tmp_path / "large.txt").write_bytes(content)
    pieces = list(read_documents(tmp_path / "large.txt"))
    assert len(pieces) > 5 and b"".join(pieces) == content
    assert all(piece.endswith(b"\n") for piece in pieces)


def test_counts_for_a_search_do_not_open_the_sealed_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    for i in range(300):
        (tmp_path / "data" / f"{i}.txt").write_text(make_text(i))
    scale = Scale.read("cpu")
    texts = Texts(corpus.load(tmp_path / "cache", tmp_path / "data", quiet), scale, quiet)
    opened: list[str] = []
    text = corpus.Corpus.text
    monkeypatch.setattr(corpus.Corpus, "text", lambda self, split: opened.append(split) or text(self, split))
    losses = baselines.load(texts, scale, quiet)
    assert set(opened) == {"train", "val"} and losses["unigram"] > 4
    assert baselines.load(texts, scale, quiet) == losses and len(opened) == 2  # the second time from the cache


def test_a_text_that_does_not_exist_is_left_out_of_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "package_files", lambda package, tests_only=False: iter(()))  # no networkx
    (tmp_path / "data").mkdir()
    for i in range(300):
        (tmp_path / "data" / f"{i}.txt").write_text(make_text(i))
    scale = Scale.read("cpu")
    texts = Texts(corpus.load(tmp_path / "cache", tmp_path / "data", quiet), scale, quiet)
    assert list(baselines.count(texts, scale, REPORTED)) == ["val", "test"]


def test_count_models_find_what_is_there() -> None:
    """A cycle of four bytes has 2 bits as single bytes and next to none given one byte before."""
    cycle = np.tile(np.frombuffer(b"abcd", dtype=np.uint8), 5000)
    losses = bits_per_byte(cycle, cycle[: 129 * 4].reshape(4, 129))
    assert losses["unigram"] == pytest.approx(2.0, abs=0.05)
    assert losses["bigram"] < 0.02 and losses["trigram"] < 0.02


def test_count_models_by_hand() -> None:
    """Witten and Bell's rule for `aab` after training on `aabab`."""
    train = np.frombuffer(b"aabab", dtype=np.uint8)
    unigram = {c: (n + 1) / (5 + 256) for c, n in ((97, 3), (98, 2))}
    p_aa = (1 + 2 * unigram[97]) / (3 + 2)  # a was followed by a once, by b twice
    p_ab = (2 + 2 * unigram[98]) / (3 + 2)
    p_aab = (1 + 1 * p_ab) / (1 + 1)
    losses = bits_per_byte(train, np.frombuffer(b"aab", dtype=np.uint8)[None])
    assert losses["bigram"] == pytest.approx(-(np.log2(p_aa) + np.log2(p_ab)) / 2)
    assert losses["trigram"] == pytest.approx(-(np.log2(p_aa) + np.log2(p_aab)) / 2)
