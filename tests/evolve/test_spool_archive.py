"""A spool that is carried as a file: in any order, any number of times, and never more than a spool."""

from __future__ import annotations

import gzip
import io
import itertools
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from evolve.config import ConfigError
from evolve.model import Outcome
from evolve.spool import archive
from evolve.spool.archive import merge, pack
from evolve.spool.folder import LARGEST, Spool, encode
from evolve.spool.messages import introduction_record, outcome_record
from tests.evolve.spooled import CONDITIONS, INTRODUCTION, Bench, numbered, trial
from tests.evolve.test_spool import until

JOB = "a" * 8 + "-000001-000-" + "b" * 16 + "-"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with Bench(tmp_path / "here", monkeypatch) as made:
        yield made


def contents(spool: Spool) -> dict[str, bytes]:
    """Everything in a spool but who is at work."""
    parts = ("jobs", "outcomes", "withdrawn", "judges")
    return {f"{p}/{n}": spool.bytes_of(p, n) or b"" for p in parts for n in spool.names(p)}


def packed(spool: Spool, name: str = "packed.tgz") -> Path:
    pack(spool, spool.folder.parent / name)
    return spool.folder.parent / name


def outcome(loss: float) -> bytes:
    return encode(outcome_record(f"{JOB}0", CONDITIONS, Outcome("ok", {"loss": loss})))


def test_a_round_trip_by_hand(bench: Bench, tmp_path: Path) -> None:
    """Jobs there, outcomes back, both twice and the old file once more; what is claimed travels as what waits."""
    executor = bench.executor(place=numbered())
    futures = [executor.submit(trial(lr=float(i))) for i in range(4)]
    until(lambda: len(bench.spool.names("jobs")) == 4)
    claimed = bench.spool.names("jobs")[3]
    bench.spool.claim(claimed, "d" * 12)
    there = tmp_path / "there"
    first = packed(bench.spool)
    assert merge(first, there) == {"judges": 0, "withdrawn": 0, "outcomes": 0, "jobs": 4}
    assert merge(first, there) == {"judges": 0, "withdrawn": 0, "outcomes": 0, "jobs": 0}
    away = Bench(there, pytest.MonkeyPatch())
    with away:
        assert away.worker(once=True).run() == "no job is left"
        back = packed(away.spool, "back.tgz")
        assert merge(first, there)["jobs"] == 0 and away.spool.names("jobs") == []
    assert merge(back, bench.spool.folder) == {"judges": 1, "withdrawn": 0, "outcomes": 4, "jobs": 0}
    assert [f.result(10).metrics["loss"] for f in futures] == [0.0, 1.0, 2.0, 3.0]
    assert sum(merge(back, bench.spool.folder).values()) == sum(merge(first, bench.spool.folder).values()) == 0
    assert bench.spool.names("jobs") == [] and bench.spool.claims() == [(claimed, "d" * 12)]


def test_the_order_in_which_files_are_merged_does_not_matter(tmp_path: Path) -> None:
    """Two workers did the same job, one did not, one knows that another is asked for no longer."""
    files = []
    for i in range(4):
        spool = Spool(tmp_path / f"part{i}")
        if i < 2:
            spool.keep(f"{JOB}0", outcome(float(i)))
        else:
            spool.write("jobs", f"{JOB}0", b'{"a": "job"}')
            spool.write("jobs", f"{JOB}1", b'{"another": "job"}')
        if i == 3:
            spool.withdraw(f"{JOB}1")
            spool.write("judges", INTRODUCTION.name, encode(introduction_record(INTRODUCTION)))
        files.append(packed(spool, f"{i}.tgz"))
    ends = []
    for n, order in enumerate(itertools.permutations(files)):
        merged = tmp_path / f"merged{n}"
        for file in (*order, *order):
            merge(file, merged)
        ends.append(contents(Spool(merged)))
    assert all(end == ends[0] for end in ends)
    assert sorted(ends[0]) == [f"judges/{INTRODUCTION.name}", f"outcomes/{JOB}0", f"withdrawn/{JOB}1"]


def archive_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as made:
        for member, data in members:
            made.addfile(member, io.BytesIO(data))
    return path


def member(
    name: str, data: bytes = b"{}", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, link
    return info, data


GOOD = member(f"jobs/{JOB}0.json")
PLACE = f"outcomes/{JOB}0.json"
STRANGE = {
    "above": member(f"../{JOB}0.json"),
    "above from within": member(f"jobs/../../{JOB}0.json"),
    "from the root": member(f"/jobs/{JOB}0.json"),
    "another folder": member(f"claims/{JOB}0@{'d' * 12}.json"),
    "a worker": member(f"workers/{'d' * 12}.json"),
    "another name": member("jobs/run.sh"),
    "no name": member("jobs/.json"),
    "a name with a line end": member(f"jobs/{JOB}0\n.json"),
    "a folder": member(PLACE, b"", tarfile.DIRTYPE),
    "a symbolic link": member(PLACE, b"", tarfile.SYMTYPE, "/etc/passwd"),
    "a hard link": member(PLACE, b"", tarfile.LNKTYPE, f"jobs/{JOB}0.json"),
    "a pipe": member(PLACE, b"", tarfile.FIFOTYPE),
    "a device": member(PLACE, b"", tarfile.CHRTYPE),
    "too large": member(PLACE, b" " * (LARGEST + 1)),
}


@pytest.mark.parametrize("what", STRANGE)
def test_what_does_not_belong_into_a_spool_is_refused_with_all_beside_it(tmp_path: Path, what: str) -> None:
    file = archive_of(tmp_path / "strange.tgz", GOOD, STRANGE[what])
    with pytest.raises(ConfigError, match="does not belong into a spool|was refused"):
        merge(file, tmp_path / "spool")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["strange.tgz"]


def test_too_many_and_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = archive_of(tmp_path / "many.tgz", *(member(f"jobs/{JOB}{i}.json") for i in range(5)))
    for name, most in (("MOST_MEMBERS", 4), ("MOST_BYTES", 9)):
        with monkeypatch.context() as patch:
            patch.setattr(archive, name, most)
            with pytest.raises(ConfigError, match="too much"):
                merge(file, tmp_path / "spool")
    assert merge(file, tmp_path / "spool")["jobs"] == 5


@pytest.mark.parametrize("left", [0, 1, 10, 0.5, 0.9])
def test_a_file_that_is_cut_off_or_something_else_is_refused(tmp_path: Path, left: float) -> None:
    whole = archive_of(tmp_path / "whole.tgz", *(member(f"jobs/{JOB}{i}.json", b"%d" % i * 999) for i in range(9)))
    data = whole.read_bytes()
    cut = tmp_path / "cut.tgz"
    cut.write_bytes(data[: int(left * len(data)) if isinstance(left, float) else left])
    for file in (cut, tmp_path / "missing.tgz", tmp_path):
        with pytest.raises(ConfigError, match="no packed spool|not complete"):
            merge(file, tmp_path / "spool")
    cut.write_bytes(gzip.compress(b"not a tar file" * 99))
    with pytest.raises(ConfigError, match="no packed spool"):
        merge(cut, tmp_path / "spool")
    assert not (tmp_path / "spool").exists()


def test_a_link_in_a_spool_is_not_packed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("{}")
    spool = Spool(tmp_path / "spool")
    spool.path("outcomes", f"{JOB}0").symlink_to(secret)
    assert pack(spool, tmp_path / "packed.tgz")["outcomes"] == 0


def test_a_file_that_cannot_be_written_is_said_and_none_is_left(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    with pytest.raises(ConfigError, match="cannot write"):
        pack(spool, tmp_path / "nowhere" / "packed.tgz")
    (tmp_path / "taken").mkdir()
    with pytest.raises(ConfigError, match="cannot write"):
        pack(spool, tmp_path / "taken")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["spool", "taken"]
