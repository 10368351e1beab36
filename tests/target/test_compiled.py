"""The seed's compile cache: who fills it, and that no other program's work ever gets into it."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import compiled
import corpus
import trials
from ladder import Isolation
from selftest import Settled
from session import Terms
from tests.target.conftest import SCORE, TINY
from tests.target.test_kills import Silent
from texts import FOLDER, Scale, Texts
from waiting import Waiting

pytestmark = pytest.mark.slow  # each box imports torch anew

WRITES = """
import os
place = os.environ["TORCHINDUCTOR_CACHE_DIR"]
print("found", sorted(name for _, _, names in os.walk(place) for name in names))
os.makedirs(place + "/kernels", exist_ok=True)
with open(place + "/kernels/{name}", "w") as file:
    file.write("{name}")
"""


@pytest.fixture(scope="module")
def only_judge(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[trials.Judge]:
    """A judge on the CPU whose boxes wait, as those for a GPU do; each of them imports torch anew."""
    scale = Scale.read("cpu")
    boxes = Waiting(tmp_path_factory.mktemp("compiled") / "boxes", 4096, Isolation("L"))
    texts = Texts(corpus.load(cache, None, print), scale, print)
    judge = trials.Judge(scale, texts, Silent(), Settled(Isolation("L"), boxes, ""), 10.0)  # type: ignore[arg-type]
    yield judge
    judge.nursery.close()


@pytest.fixture
def judge(only_judge: trials.Judge, tmp_path: Path) -> trials.Judge:
    """It again, with a place for a cache in which there is none; its spare has none either."""
    assert isinstance(only_judge.nursery, Waiting)
    only_judge.nursery.compiled = tmp_path / "compiled" / "key"
    return only_judge


def program(name: str) -> bytes:
    return (TINY + WRITES.format(name=name) + SCORE).encode()


def run(judge: trials.Judge, name: str) -> str:
    outcome = judge.run(program(name), Terms(0.3, 0.02, 0, "smoke"))
    assert outcome["status"] == "ok", outcome
    return str(outcome["log_tail"])


def test_nothing_is_kept_that_a_program_cannot_begin_with(judge: trials.Judge, tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / "compiled" / "key"
    once = b"\nassert not os.path.exists(place + '/kernels/seed'), 'begun with it'\n"
    only_once = program("seed").replace(b"os.makedirs", once + b"os.makedirs")
    compiled.fill(judge, folder, only_once, said.append)
    assert "begun with it" in said[-1] and not folder.exists()


def test_nothing_is_kept_of_a_seed_that_fails(judge: trials.Judge, tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / "compiled" / "key"
    compiled.fill(judge, folder, WRITES.format(name="seed").encode() + b"\nraise SystemError('broken')", said.append)
    assert "broken" in said[-1] and not folder.exists()
    assert "found []" in run(judge, "first")


def test_every_box_begins_with_the_seed_s_and_leaves_nothing_in_it(judge: trials.Judge, tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / "compiled" / "key"
    compiled.fill(judge, folder, program("seed"), said.append)
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["seed"]
    assert len(said) == 1
    assert "found ['seed']" in run(judge, "first")
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["seed"]
    compiled.fill(judge, folder, program("another"), said.append)
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["seed"]
    assert len(said) == 1


@pytest.mark.parametrize("scale", tomllib.loads((FOLDER / "target.toml").read_text())["scales"])
def test_the_seed_has_the_constants_of_its_scale(scale: str) -> None:
    text = compiled.seed(Scale.read(scale)).decode()
    given = tomllib.loads((FOLDER / "target.toml").read_text())["scales"][scale].get("bindings", {})
    body = {
        node.targets[0].id: node.value.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    assert {name: body[name] for name in given} == given


def test_another_device_program_or_compiler_has_another_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    places = {compiled.place(tmp_path, b"x = 1", "H100"), compiled.place(tmp_path, b"x = 1", "H200")}
    monkeypatch.setattr("importlib.metadata.version", lambda package: "0.0")
    places.add(compiled.place(tmp_path, b"x = 1", "H100"))
    places.add(compiled.place(tmp_path, b"x = 2", "H100"))
    assert len(places) == 4


def test_another_target_has_its_own_seed(tmp_path: Path) -> None:
    (tmp_path / "target.toml").write_text('script = "other.py"\n[scales.gpu.bindings]\nDEPTH = 7\n')
    (tmp_path / "other.py").write_text("DEPTH = 2  # blocks\nDIM = 3\n")
    assert compiled.seed(Scale.read("gpu"), tmp_path) == b"DEPTH = 7  # blocks\nDIM = 3\n"


def test_who_is_slower_leaves_what_another_judge_kept(tmp_path: Path) -> None:
    for name in ("draft", "kept"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    compiled._keep(tmp_path / "draft", tmp_path / "kept")
    assert (tmp_path / "kept" / "file").read_text() == "kept"
    with pytest.raises(OSError):
        compiled._keep(tmp_path / "draft", tmp_path / "none" / "kept")
