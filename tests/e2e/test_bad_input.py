"""What a user may get wrong: one line that names cause and cure, exit code 2, and nothing of theirs is changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from evolve.cli import main
from evolve.store import FILE, Store
from tests.e2e.conftest import TARGET, Start, change, make_target, small_run


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run a command that must be refused with one line; returns the line."""
    assert main([str(a) for a in arguments]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("evolve: ") and len(errors.splitlines()) == 1, errors
    return errors


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that was carried out, to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    assert main(small_run(make_target(folder / "target"), folder / "run")) == 0
    return folder / "run"


@pytest.fixture
def run_dir(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished run."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def test_no_such_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such target" in refused(capsys, *small_run(tmp_path / "nowhere", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("DEPTH = 2", "DEPTH = = 2", "cannot be used"),
        ("evaluate_bpb(model", "len(model", "evaluate_bpb"),
        ("import time\n", "import time, socket\n", "socket"),
    ],
)
def test_a_seed_program_that_cannot_be_used(
    target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, reason: str
) -> None:
    change(target / "train.py", old, new)
    error = refused(capsys, *small_run(target, tmp_path / "run"))
    assert "train.py" in error and reason in error


def test_a_seed_program_that_is_not_text(target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (target / "train.py").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in refused(capsys, *small_run(target, tmp_path / "run"))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[rules]", "[rules", "not valid TOML"),
        ("max_bytes", "most_bytes", "lacks 'max_bytes'"),
        ('script = "train.py"', 'script = "trian.py"', "names a script that is not there"),
        ("[0.25, 1.0]", "[1.0, 0.25]", "rungs must be ascending"),
    ],
)
def test_a_description_that_cannot_be_used(
    target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, reason: str
) -> None:
    change(target / "target.toml", old, new)
    assert reason in refused(capsys, *small_run(target, tmp_path / "run"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--generations", "0"], "--generations must be at least 1"),
        (["--budget", "-1"], "--budget must be"),
        (["--budget", "nan"], "--budget must be"),
        (["--population", "1"], "--population must be at least 2"),
        (["--offspring", "0"], "--offspring must be at least 1"),
        (["--tune-trials", "0"], "--tune-trials must be at least 1"),
        (["--slots", "0"], "--slots must be between 1 and"),
        (["--total", "-5"], "--total must"),
        (["--time-limit", "-5"], "--time-limit must"),
        (["--target-loss", "nan"], "--target-loss must"),
        (["--stale-generations", "-1"], "--stale-generations must"),
        (["--operator", "telepathy"], "choose from catalogue, merge, tune"),
        (["--operator", "nowhere.at:All"], "package.module:name"),
        (["--operator", "tune=heavy"], "NAME=WEIGHT"),
        (["--operator", "tune=0"], "a weight must be above 0"),
        (["--operator", "merge"], "need two parents"),
        (["--scale", "abacus"], "has cpu, gpu"),
        (["--scale", "gpu"], "the scale gpu needs a GPU, and"),
    ],
)
def test_options_that_make_no_sense(
    target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], reason: str
) -> None:
    assert reason in refused(capsys, *small_run(target, tmp_path / "run", *options))


def test_an_unknown_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--epochs", "3"])
    assert end.value.code == 2 and "--epochs" in capsys.readouterr().err


def test_a_folder_of_data_without_text(target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "texts").mkdir()
    assert "holds no text" in refused(capsys, *small_run(target, tmp_path / "run", "--data", str(tmp_path / "texts")))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "texts"),
        (b"", "too little text"),
        (b"too short", "too little text"),
        (b"\xff\xfe\x00\x01" * 100_000, "too little text"),
    ],
)
def test_data_that_the_real_judge_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: bytes | None, reason: str
) -> None:
    texts = tmp_path / "texts"
    if text is not None:
        texts.mkdir()
        (texts / "a.txt").write_bytes(text)
    assert reason in refused(capsys, *small_run(TARGET, tmp_path / "run", "--data", str(texts)))


def test_other_settings_other_text_or_another_program(
    target: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = small_run(target, run_dir)
    before = (run_dir / FILE).read_bytes()
    assert "budget was 0.04, now 7.0" in refused(capsys, *command, "--budget", "7")
    assert "seed was 0, now 3" in refused(capsys, *command, "--seed", "3")
    assert "the text is another one" in refused(capsys, *command, "--data", target)
    change(target / "train.py", "LEARNING_RATE = 1e-3", "LEARNING_RATE = 2e-3")
    assert "files of the target have changed since it began" in refused(capsys, *command)
    assert (run_dir / FILE).read_bytes() == before


def test_a_target_that_was_moved(target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--run-dir", tmp_path / "run"]
    assert main(small_run(target, tmp_path / "run")) == 0
    (tmp_path / "elsewhere").mkdir()
    moved = target.rename(tmp_path / "elsewhere" / "target")
    for words in (["resume", "--generations", "1"], ["diff", "seed", "seed"], ["export", "seed"]):
        assert f"no longer in {target}: say where it is with --target" in refused(capsys, *words, *where)
        assert main([str(w) for w in (*words, *where, "--target", moved)]) == 0


def test_a_target_whose_hints_were_changed_after_the_run(
    target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(small_run(target, tmp_path / "run")) == 0
    change(target / "target.toml", 'LEARNING_RATE = "1e-4..3e-2 log"', 'LEARNING_RATE = "fixed"')
    error = refused(capsys, "export", "seed", "--run-dir", tmp_path / "run")
    assert "do not fit the target, which was changed since" in error and "LEARNING_RATE" in error


@pytest.mark.parametrize("what", ["page", "garbage", "schema"])
def test_a_run_file_that_cannot_be_trusted(
    target: Path, run_dir: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    path = run_dir / FILE
    if what == "page":
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(4096))
    elif what == "schema":
        sqlite3.connect(path).execute("PRAGMA user_version=99").connection.close()
    else:
        path.write_bytes(b"once upon a time" * 1000)
    damaged = path.read_bytes()
    for words in (small_run(target, run_dir), ["front", "--run-dir", run_dir]):
        error = refused(capsys, *words)
        assert ("schema 99" if what == "schema" else "run.sqlite") in error
        assert path.read_bytes() == damaged


def test_an_event_that_makes_no_sense(target: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(run_dir / FILE) as database:
        database.execute("UPDATE events SET kind = 'genoMe' WHERE seq = 3")
    for words in (small_run(target, run_dir), ["front", "--run-dir", run_dir]):
        assert "event 3 (genoMe) of the run makes no sense" in refused(capsys, *words)


def test_a_seed_program_that_crashes_fails_the_run_and_says_why(
    target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(target / "train.py", "import time\n", "import time  # CRASH\n")
    assert main(small_run(target, tmp_path / "run")) == 1
    assert "the seed program failed: crashed at smoke: RuntimeError: CRASH" in capsys.readouterr().out
    change(target / "train.py", "  # CRASH", "")
    error = refused(capsys, *small_run(target, tmp_path / "run"))
    assert "files of the target have changed since it began. Nothing was measured in it: rm -r " in error
    shutil.rmtree(tmp_path / "run")
    assert main(small_run(target, tmp_path / "run")) == 0
    change(target / "train.py", "import time\n", "import time  # another\n")
    assert "have changed since it began. Choose another --run-dir." in refused(
        capsys, *small_run(target, tmp_path / "run")
    )


def test_words_of_a_program_are_printed_as_they_are(
    target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Brackets mean something to what prints the lines, but not in the message of an exception."""
    change(target / "train.py", "import time\n", "import time  # CRASH\n")
    change(target / "judge.py", "RuntimeError: CRASH,", "KeyError: '[/x]' of [bold],")
    assert main(small_run(target, tmp_path / "run")) == 1
    assert "KeyError: '[/x]' of [bold]," in capsys.readouterr().out


VIEWS = [["front"], ["show", "best"], ["diff", "seed", "best"], ["export", "best"]]


@pytest.mark.parametrize("view", VIEWS, ids=" ".join)
def test_views_of_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str], view: list[str]) -> None:
    assert "no run in" in refused(capsys, *view, "--run-dir", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("view", VIEWS, ids=" ".join)
def test_views_without_a_name_where_nothing_ever_ran(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, view: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no run under runs/" in refused(capsys, *view)
    assert "no run under runs/" in refused(capsys, "resume")


@pytest.mark.parametrize("view", VIEWS, ids=" ".join)
def test_views_of_a_run_that_has_not_begun(tmp_path: Path, capsys: pytest.CaptureFixture[str], view: list[str]) -> None:
    Store.open(tmp_path / "run").close()
    assert "has not begun" in refused(capsys, *view, "--run-dir", tmp_path / "run")


def test_views_of_a_run_that_is_under_way(
    target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], start: Start
) -> None:
    directory = tmp_path / "run"
    process = start("evolve", *small_run(target, directory, "--budget", "100"))
    assert process.stdout
    while "generation" not in process.stdout.readline():
        assert process.poll() is None
    assert main(["front", "--run-dir", str(directory)]) == 0
    assert "The seed has not been measured yet" in capsys.readouterr().out
    for view in VIEWS[1:]:
        assert "no candidate" in refused(capsys, *view, "--run-dir", directory)


def test_an_unknown_candidate_and_a_place_that_cannot_be_written(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--run-dir", run_dir]
    for words in (["show", "777"], ["diff", "seed", "777"], ["export", "777"]):
        assert "no candidate '777'" in refused(capsys, *words, *where)
    for path in (tmp_path, tmp_path / "no" / "folder.py"):
        assert f"cannot write {path}" in refused(capsys, "export", "seed", "-o", path, *where)


@pytest.mark.parametrize(
    ("part", "words"), [('"isolation": f"{level}: made up", ', "isolation"), ('"name": data or "toy", ', "corpus")]
)
def test_a_judge_that_leaves_out_what_it_is(
    target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str, words: str
) -> None:
    change(target / "judge.py", part, "")
    error = refused(capsys, *small_run(target, tmp_path / "run"))
    assert "is ready without saying its " + words in error and not list(Store.read(tmp_path / "run").events())


def test_a_log_of_the_judges_that_cannot_be_written(
    target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run" / "judge.log").mkdir(parents=True)
    assert "judge.log: Is a directory" in refused(capsys, *small_run(target, tmp_path / "run"))


def test_a_run_directory_that_cannot_be_made(target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot use run directory" in refused(capsys, *small_run(target, tmp_path / "file"))
    assert "cannot use run directory" in refused(capsys, *small_run(target, tmp_path / "file" / "run"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB; a run asks for 8 that are free."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs the right to mount")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_stops_the_run_and_space_continues_it(
    target: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = small_run(target, small_disk / "run")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(9 << 20))
    assert "the disk is nearly full" in refused(capsys, *command)
    with pytest.raises(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    assert "full" in refused(capsys, *command)
    ballast.unlink()
    assert main(command) == 0


def test_a_run_on_a_disk_that_is_read_only_can_be_viewed_and_not_continued(
    target: Path, run_dir: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run_dir, small_disk / "run")
    (small_disk / "run" / "run.sqlite-wal").touch()  # as a copy may have it; nothing is in it
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert main(["front", "--run-dir", str(small_disk / "run")]) == 0
    assert "Pareto front" in capsys.readouterr().out
    assert "Read-only file system. Choose --run-dir" in refused(capsys, *small_run(target, small_disk / "run"))


def test_a_run_that_is_named_without_its_option(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, cure in (
        (["front", str(run_dir)], f"{run_dir}; a run is named by --run-dir {run_dir}\n"),
        (["front", "--bogus", str(run_dir)], f"arguments: --bogus {run_dir}\n"),
        (["front", str(run_dir.parent)], f"arguments: {run_dir.parent}\n"),
        (["front", "x" * 5000], f"arguments: {'x' * 5000}\n"),
        (["doctor", str(run_dir)], f"arguments: {run_dir}\n"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(arguments)
        assert capsys.readouterr().err.endswith(cure)
