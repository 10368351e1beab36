"""The corpus of the GPU scale: everything that is installed, of which no box can read what is held out."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

import corpus
import packages
import sources
from documents import DataError
from tests.target.conftest import TARGET
from texts import Scale


def quiet(_: str) -> None:
    """Progress is not looked at here."""


def lines(number: int, count: int = 40) -> str:
    generator = np.random.default_rng(number)
    return "".join(f"x_{n} = {''.join(map(str, generator.integers(0, 9, 50)))}\n" for n in range(count))


class Installed:
    """A folder of packages and a standard library, which the corpus is made of instead of this interpreter's."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.packages, self.library = folder / "lib" / "site-packages", folder / "lib"
        self.cache = folder / "cache"
        patch.setattr(sources, "package_folders", lambda: {self.packages})
        patch.setattr(sources, "standard_library", lambda: {self.library})
        for number in range(200):
            self.add(f"one/part_{number}.py", lines(number))
            self.add(f"one/{'tests' if number % 2 else 'inner/test'}/test_{number}.py", lines(1000 + number))
            self.add(f"two/tests/test_{number}.py", lines(2000 + number))

    def add(self, name: str, text: str | bytes, library: bool = False) -> Path:
        path = (self.library if library else self.packages) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def load(self) -> tuple[corpus.Corpus, dict[str, bytes]]:
        prepared = corpus.load(self.cache, None, quiet, "environment")
        return prepared, {split: prepared.text(split).tobytes() for split in ("train", "val", "test")}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    return Installed(tmp_path, monkeypatch)


def test_held_out_text_is_from_folders_of_tests_of_several_packages(installed: Installed) -> None:
    installed.add("alone.py", lines(5001))
    for number in range(30):
        installed.add(f"torch/fx/tests/test_{number}.py", lines(6000 + number))  # which compiling reads
    installed.add("json/decoder.py", lines(5002), library=True)
    installed.add("test/test_json.py", lines(5003), library=True)
    prepared, texts = installed.load()
    for split in ("val", "test"):
        held_out = set(texts[split].split(corpus.SEPARATOR)) - {b""}
        places = [path for path in installed.library.rglob("*.py") if path.read_bytes() in held_out]
        assert len(places) == len(held_out) > 50
        assert all({"tests", "test"} & set(path.relative_to(installed.library).parts) for path in places)
        assert all(text not in texts["train"] for text in held_out)
    assert set(prepared.parts) == {"one", "two", "alone", "torch", "the standard library"}
    for split in ("train", "val", "test"):
        assert sum(part.get(split, 0) for part in prepared.parts.values()) == prepared.sizes[split]
    assert {part for part, sizes in prepared.parts.items() if "val" in sizes} - {"the standard library"} == {
        "one",
        "two",
    }
    assert prepared.name == "environment" and prepared.other == ""


def test_what_is_left_out(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = {
        name: f"mark_of_{name} = 1\n".encode() * 3 for name in ("second", "ours", "latin", "zero", "other", "link")
    }
    installed.add("networkx/classes/graph.py", marks["second"])
    installed.add("networkx/tests/test_all.py", marks["second"])
    installed.add("evolve/loop.py", marks["ours"])
    installed.add("one/latin.py", marks["latin"] + "# é".encode("latin-1"))
    installed.add("one/zero.py", marks["zero"] + b"\0")
    installed.add("dist-packages/other.py", marks["other"], library=True)  # of another interpreter
    installed.add("one/data.txt", marks["link"])
    information = installed.packages / "evolve_train-0.1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: evolve-train\nVersion: 0.1.0\n")
    (information / "RECORD").write_text("evolve/loop.py,,\n")
    monkeypatch.setattr(sys, "path", [str(installed.packages)])
    assert importlib.metadata.version("evolve-train") == "0.1.0"
    _, texts = installed.load()
    assert not [name for name, mark in marks.items() if any(mark in text for text in texts.values())]


def test_a_text_that_boxes_can_read_elsewhere_is_not_held_out(installed: Installed) -> None:
    for number in range(200):
        installed.add(f"zzz/copy_{number}.py", lines(2000 + number))
    prepared, texts = installed.load()
    assert "two" not in prepared.parts and "val" not in prepared.parts["zzz"]
    assert not any(lines(2000 + number).encode() in texts["val"] + texts["test"] for number in range(200))


def test_a_changed_environment_is_another_corpus(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"as it is": sources.environment().fingerprint}
    assert sources.environment().fingerprint == found["as it is"]
    new = installed.add("new/__init__.py", "")
    found["a package more"] = sources.environment().fingerprint
    new.write_text("__version__ = '2'\n")
    found["another version of it"] = sources.environment().fingerprint
    os.utime(new, ns=(1, 1))
    found["edited in place, of the same size"] = sources.environment().fingerprint
    monkeypatch.setattr(sources.platform, "python_version", lambda: "3.99.0")
    found["another interpreter"] = sources.environment().fingerprint
    assert len(set(found.values())) == len(found), found


def test_the_share_that_is_held_out_depends_on_how_much_there_is(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sources.environment().share == sources.LARGEST_SHARE
    eligible = sum(path.stat().st_size for path in installed.packages.rglob("test_*.py"))
    monkeypatch.setattr(sources, "HELD_OUT", eligible / 5)
    assert sources.environment().share == pytest.approx(0.2)
    sizes = installed.load()[0].sizes
    assert sizes["val"] == pytest.approx(eligible / 5, rel=0.3) and sizes["test"] == pytest.approx(
        eligible / 5, rel=0.3
    )


def test_a_file_that_cannot_be_read_is_told(installed: Installed) -> None:
    source = sources.environment()
    (installed.packages / "one" / "part_7.py").unlink()
    with pytest.raises(DataError, match=r"cannot read .*part_7\.py"):
        list(source.documents())


def test_scales_name_their_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Scale.read("cpu").corpus == "sympy" and Scale.read("gpu").corpus == "environment"
    description = (TARGET / "target.toml").read_text()
    (tmp_path / "target.toml").write_text(description.replace('corpus = "environment"', 'corpus = "everything"'))
    monkeypatch.setattr("texts.FOLDER", tmp_path)
    with pytest.raises(DataError, match=r"\[scales.gpu\] .* the corpus is sympy or environment, not 'everything'"):
        Scale.read("gpu")


def test_what_may_be_held_out_here_is_in_hidden_folders() -> None:
    """The rule by which text is held out and the rule by which folders are hidden, on this very interpreter."""
    hidden = set(packages.test_folders())
    files = list(sources._python_files())
    held_out = [file for file in files if file.eligible]
    assert {"sympy", "numpy"} <= {file.part for file in held_out}
    assert [file.path for file in held_out if hidden.isdisjoint(file.path.parents)] == []
    assert not [file.path for file in files if not file.eligible and not hidden.isdisjoint(file.path.parents)]
    parts = {file.part for file in files}
    assert {"torch", sources.STANDARD_LIBRARY} <= parts and not {"networkx", "evolve", "train_target"} & parts


def test_the_largest_parts_without_a_folder(tmp_path: Path) -> None:
    for name in ("a/b/tests/x.py", "a/b/c.py", "a/d/e.py", "f.py", "tests/g.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    closed = [tmp_path / "a" / "b" / "tests", tmp_path / "tests"]
    parts = {path.relative_to(tmp_path).as_posix() for path in packages.largest_without(tmp_path, closed)}
    assert parts == {"a/b/c.py", "a/d", "f.py"}
    assert list(packages.largest_without(tmp_path / "nowhere", closed)) == []


LOOK = """
import json, sys
sys.path.insert(0, TARGET)
import packages
folders = {name: sorted(map(str, getattr(packages, name)())) for name in
           ("package_folders", "standard_library", "test_folders")}
print(json.dumps(folders))
"""


def test_in_a_virtual_environment_the_library_is_the_base_interpreters(tmp_path: Path) -> None:
    venv.create(tmp_path / "env", symlinks=True)
    place = next((tmp_path / "env" / "lib").iterdir()) / "site-packages"
    for name in ("one/tests/test_one.py", "one/test/data.txt", "tests/test_two.py"):
        (place / name).parent.mkdir(parents=True)
        (place / name).touch()
    command = [str(tmp_path / "env" / "bin" / "python"), "-I", "-c", LOOK.replace("TARGET", repr(str(TARGET)))]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["package_folders"] == [str(place)]
    assert str(Path(os.__file__).parent) in found["standard_library"]
    below = [path for path in found["test_folders"] if path.startswith(str(place))]
    assert below == [str(place / "one" / "tests"), str(place / "tests")]
