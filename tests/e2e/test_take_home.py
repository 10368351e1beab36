"""What a person takes home from a run and brings to one, through the command line."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evolve.cli import main
from evolve.config import ConfigError
from evolve.elsewhere import MOST_ROWS
from evolve.history import History
from evolve.incoming import FOLDER, PERSON, Brought, Incoming, Record, leave_program, take_in
from evolve.model import Candidate
from evolve.reports.open import open_history
from evolve.store import FILE, Store, StoreError
from tests.e2e.conftest import ROOT, TARGET, Start, make_target, small_run
from tests.evolve import toy

Say = Callable[..., str]

RESULTS = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\na1\t1.0\t4.0\tkeep\tbaseline\nb2\t1.1\t4.0\tdiscard\tGeLU\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the target and a finished run below `runs`, to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    arguments = small_run(make_target(folder / "target"), folder / "runs" / "night")
    assert main(["--generations", "3", "--offspring", "4", *arguments[4:]]) == 0
    return folder


@pytest.fixture
def home(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a git repository with a copy of the finished run."""
    folder = tmp_path / "home"
    shutil.copytree(finished / "runs", folder / "runs")
    monkeypatch.chdir(folder)
    for name, value in (("HOME", str(tmp_path)), ("GIT_CONFIG_NOSYSTEM", "1"), ("XDG_CONFIG_HOME", str(tmp_path))):
        monkeypatch.setenv(name, value)
    git("init", "-q", "-b", "main")
    git("config", "user.name", "Ada")
    git("config", "user.email", "ada@example.org")
    return folder


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs a command, which must end with `code`, and returns what it prints; an error is one line."""

    def run(*arguments: str | Path, code: int = 0) -> str:
        capsys.readouterr()
        assert main([str(a) for a in arguments]) == code
        out, err = capsys.readouterr()
        if code:
            assert err.startswith("evolve: ") and len(err.splitlines()) == 1 and out == "", err
        return err if code else out

    return run


def git(*words: str | Path) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout


def of_a_person(history: History) -> list[Candidate]:
    return [c for c in history.candidates.values() if c.operator == PERSON]


def child(history: History) -> Candidate:
    """A measured child with a structure of its own, which its later children have not."""
    return next(c for c in history.candidates.values() if c.edits and c.verdict == "ok")


# ------------------------------------------------------------------------------------------------ export


def test_a_morning_as_the_readme_has_it(home: Path) -> None:
    """Its commands, run as they stand there, end with a branch that holds the best program."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^#+ A morning\n.*?^```sh\n(.*?)^```$", readme, re.M | re.S)
    assert found, "README.md has no section 'A morning' with a block of sh"
    commands = found[1].strip().splitlines()
    assert len(commands) <= 3 and commands[0].startswith("python -m evolve front")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", found[1]], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (branch,) = [name for name in git("branch", "--format=%(refname:short)").split() if name != "main"]
    assert main(["export", "-o", "best.py"]) == 0
    assert git("show", f"{branch}:train.py") == Path("best.py").read_text()


def test_a_branch_has_what_export_writes_and_merges_into_an_empty_repository(home: Path, say: Say) -> None:
    best = say("export")
    said = say("export", "best", "--branch", "evolve/best")
    assert "made branch evolve/best" in said and said.endswith("To have it: git merge evolve/best\n")
    assert git("show", "evolve/best:train.py") == best and git("status", "--porcelain") == "?? runs/\n"
    git("merge", "-q", "evolve/best")
    assert Path("train.py").read_text() == best
    assert "there is a branch evolve/best already" in say("export", "--branch", "evolve/best", code=2)
    upstream = say("export", "best", "--upstream")
    say("export", "best", "--upstream", "--branch", "upstream", "--repo", home, "--path", "sub/train.py")
    assert git("show", "upstream:sub/train.py") == upstream != best


IMPORTS = """
import ast, sys
path = sys.argv[1]
sys.path.insert(0, path.removesuffix("train.py"))
tree = ast.parse(open(path).read())
tree.body = [line for line in tree.body if isinstance(line, ast.Import | ast.ImportFrom)]
exec(compile(tree, path, "exec"))
"""


def with_target(folder: str) -> None:
    """The real target in the repository that is the working directory, as a clone of the project has it."""
    Path(folder).mkdir(parents=True)
    for part in [*TARGET.glob("*.py"), TARGET / "target.toml"]:
        shutil.copy(part, folder)
    git("add", folder)
    git("commit", "-q", "-m", "the project")


@pytest.mark.parametrize("inside", [".", "train_target", "notes"])
def test_where_the_repository_has_the_target_its_script_is_replaced(
    home: Path, say: Say, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    with_target("train_target")
    Path("train.py").write_text("mine\n")
    git("add", "train.py")
    git("commit", "-q", "-m", "another train.py")
    Path("notes").mkdir()
    monkeypatch.chdir(inside)
    run, target = home / "runs" / "night", home / "train_target"
    said = say("export", "--branch", "evolve/best", "--run-dir", run, "--target", target)
    assert "as train_target/train.py. " in said and "Once merged it is the seed of new runs" in said
    monkeypatch.chdir(home)
    assert git("diff", "--name-only", "main", "evolve/best").split() == ["train_target/train.py"]
    assert git("log", "--format=%s", "evolve/best").count("Seed program") == 0, "the target's own script is the seed"


def test_what_was_merged_in_a_clone_of_the_project_runs(home: Path, say: Say) -> None:
    with_target("train_target")
    say("export", "--branch", "evolve/best", "--target", "train_target")
    git("merge", "-q", "evolve/best")
    assert Path("train_target/train.py").read_text() == say("export") != (TARGET / "train.py").read_text()
    subprocess.run([sys.executable, "-c", IMPORTS, "train_target/train.py"], check=True)


@pytest.mark.parametrize("theirs_in_git", [True, False])
def test_in_another_clone_the_script_of_that_clone_is_replaced(
    home: Path, say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, theirs_in_git: bool
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with_target("code/train_target" if theirs_in_git else "train_target")
    git("clone", "-q", ".", tmp_path / "clone")
    if not theirs_in_git:
        shutil.rmtree(home / ".git")
    monkeypatch.chdir(tmp_path / "clone")
    git("config", "user.name", "Ada")
    git("config", "user.email", "ada@example.org")
    path = f"{'code/' * theirs_in_git}train_target/train.py"
    target = (home / path).parent
    said = say("export", "--branch", "evolve/best", "--run-dir", home / "runs" / "night", "--target", target)
    assert f"as {path}. Once merged it is the seed of new runs" in said
    assert git("diff", "--name-only", "main", "evolve/best").split() == [path]


def test_a_program_without_its_module_beside_it_is_told_of(home: Path, say: Say) -> None:
    with_target("train_target")
    said = say("export", "--branch", "alone", "--target", "train_target", "--path", "train.py")
    assert "as train.py. The program needs its module prepare beside it. To see it" in said
    said = say("export", "--branch", "beside", "--target", "train_target", "--path", "train_target/other.py")
    assert "as train_target/other.py. To see it" in said


def test_elsewhere_the_script_comes_into_the_folder_where_the_command_is_given(
    home: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("train.py").write_text("mine\n")
    Path("sub").mkdir()
    git("add", "train.py")
    git("commit", "-q", "-m", "another train.py")
    run = home / "runs" / "night"
    say("export", "--branch", "by-repo", "--repo", "sub")
    monkeypatch.chdir("sub")
    assert "as sub/train.py. " in say("export", "--branch", "here", "--run-dir", run)
    assert "as train.py. " in say("export", "--branch", "by-path", "--run-dir", run, "--path", ".//train.py")
    monkeypatch.chdir(home)
    places = [git("diff", "--name-only", "main", name).split() for name in ("here", "by-repo", "by-path")]
    assert places == [["sub/train.py"], ["sub/train.py"], ["train.py"]]


def test_a_program_is_written_over_no_other_file_unless_that_is_said(home: Path, say: Say) -> None:
    Path("train.py").write_text("mine\n")
    assert "train.py is there already" in say("export", "-o", "train.py", code=2)
    assert Path("train.py").read_text() == "mine\n"
    say("export", "-o", "train.py", "--force")
    assert Path("train.py").read_text() == say("export")
    assert say("export", "-o", "train.py").startswith("wrote train.py"), "the same again is no loss"
    say("export", "-o", "/dev/null")


@pytest.mark.parametrize("form", ["results", "csv", "trials", "jsonl", "optuna"])
def test_all_of_a_run_as_a_file_that_is_not_overwritten(home: Path, say: Say, form: str) -> None:
    said = say("export", "--format", form, "-o", "out")
    assert said == f"wrote out: {len(open_history(Path('runs/night')).candidates)} candidates of runs/night\n"
    content = Path("out").read_bytes()
    assert len(content) > 500
    Path("out").write_text("mine")
    assert "out is there already" in say("export", "--format", form, "-o", "out", code=2)
    assert Path("out").read_text() == "mine"
    say("export", "--format", form, "-o", "out", "--force")
    if form != "optuna":  # whose lines name the process that wrote them
        assert Path("out").read_bytes() == content
        assert say("export", "--format", form).encode() == content


def test_results_carry_the_name_of_the_loss(home: Path, say: Say) -> None:
    assert say("export", "--format", "results").splitlines()[0] == "commit\tval_bpb\tmemory_gb\tstatus\tdescription"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["best", "--format", "csv"], "leave out the ID"),
        (["--format", "csv", "--branch", "b"], "leave out the ID, --branch"),
        (["--branch", "b", "-o", "x"], "leave out -o"),
        (["--repo", "."], "name it with --branch"),
        (["--force"], "name it with -o"),
        (["--branch", ""], "no name for a branch"),
        (["99999"], "no candidate '99999'"),
        (["-o", "missing/train.py"], "cannot write missing/train.py: No such file"),
        (["--format", "csv", "-o", "missing/x.csv"], "cannot write missing/x.csv: No such file"),
    ],
)
def test_options_that_do_not_go_together(home: Path, say: Say, arguments: list[str], said: str) -> None:
    assert said in say("export", *arguments, code=2)
    assert sorted(path.name for path in home.iterdir()) == [".git", "runs"]


# ------------------------------------------------------------------------------------------------ inject and learn


def variant(say: Say, name: str = "best", old: str = "F.gelu(x)", new: str = "F.silu(x)") -> Path:
    """An exported program with a change, as a file."""
    text = say("export", name)
    assert old in text
    Path("mine.py").write_text(text.replace(old, new))
    return Path("mine.py")


@pytest.mark.slow
def test_a_variant_is_measured_while_the_run_is_on_in_another_process(
    tmp_path: Path, target: Path, start: Start, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    directory = Path("runs/night")
    size = ["--generations", "4", "--offspring", "3", "--population", "4", "--tune-trials", "2", "--budget", "0.15"]
    process = start("evolve", *size, "--target", target, "--run-dir", directory)
    while not ((history := begun(directory)) and history.finished):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    said = say("inject", variant(say, "seed"), "-m", "smoother\x1b[2J [bold]gate")
    assert said == "added mine.py, a variant of candidate 0: replace MLP.forward. The run takes it at once.\n"
    Path("results.tsv").write_text(RESULTS)
    assert 'elsewhere b2: "GeLU": dead end there, +0.1000' in say("learn", "results.tsv")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    history = open_history(directory)
    (one,) = of_a_person(history)
    assert one.parents == ("0",) and one.rung > 0 and one.hypothesis == "smoother [2J [bold]gate"
    shown = say("show", one.id)
    assert "person" in shown and "smoother [2J [bold]gate" in shown and "\x1b" not in shown
    journal = (directory / "journal.md").read_text()
    assert f"- {one.id} person of 0: smoother" in journal and journal.count("- elsewhere b2:") == 1
    assert list((directory / FOLDER).iterdir()) == []
    assert f"is candidate {one.id} with numbers that were tried" in say("inject", "mine.py", code=2)
    assert say("learn", "results.tsv") == "nothing new: the run has all 1 rows of results.tsv\n"


@pytest.mark.slow
def test_killed_at_random_moments_every_variant_is_taken_once(tmp_path: Path, start: Start) -> None:
    directory, rng = tmp_path / "run", random.Random(3)
    directory.mkdir()
    ideas = [f"idea {n}" for n in range(6)]
    for n, idea in enumerate(ideas):
        leave_program(directory, Brought(f"{toy.SEED.source}\nt{n + 1} = 1.0", "0", idea))
        process = start("tests.e2e.driver", directory, tmp_path / "trace", "12")
        assert process.stdout and process.stdout.readline() == "ready\n"
        if idea != ideas[-1]:
            time.sleep(rng.uniform(0, 0.3))
            assert process.poll() is None, "the run was over before it could be killed"
            process.kill()
    process.communicate(timeout=60)
    assert process.returncode == 0
    store, history = Store.read(directory), toy.new_history()
    history.replay(store.events())
    store.close()
    assert sorted(c.hypothesis for c in of_a_person(history)) == ideas
    assert list((directory / FOLDER).iterdir()) == []


def begun(directory: Path) -> History | None:
    try:
        return open_history(directory)
    except (StoreError, ConfigError):
        return None


def test_a_variant_for_a_run_that_has_stopped_waits_and_is_taken_when_it_goes_on(home: Path, say: Say) -> None:
    parent = child(open_history(Path("runs/night")))
    said = say("inject", variant(say, parent.id, "INIT_STD", "SPREAD"), "-m", "a name says more")
    assert f"a variant of candidate {parent.id}: " in said and "Stopped: 3 generations done" in said
    assert "It is taken when the run goes on." in said
    assert "To go on: python -m evolve resume --run-dir runs/night --generations N" in said
    say("resume", "--run-dir", "runs/night", "--generations", "4")
    (one,) = of_a_person(open_history(Path("runs/night")))
    assert one.parents == (parent.id,) and one.hypothesis == "a name says more"
    assert f"{one.id} person of {parent.id}" in say("show", one.id)


def test_numbers_of_a_persons_own_go_on_with_the_structure_that_has_them(home: Path, say: Say) -> None:
    parent = child(open_history(Path("runs/night")))
    text, found = re.subn(r"^LEARNING_RATE = \S+", "LEARNING_RATE = 0.000777", say("export", parent.id), flags=re.M)
    Path("mine.py").write_text(f"# mine\n{text}")
    assert found == 1
    assert f"candidate {parent.id}: the same structure with other numbers" in say("inject", "mine.py")
    say("resume", "--run-dir", "runs/night", "--generations", "4")
    (one,) = of_a_person(open_history(Path("runs/night")))
    assert one.parents == (parent.id,) and one.rung > 0, one.reason
    (tried, *_) = open_history(Path("runs/night")).study(f"ask/{one.index}").trials
    assert tried[0]["LEARNING_RATE"] == 0.000777 and tried[1] is not None


@pytest.mark.parametrize(("old", "new"), [("F.gelu(x)", "F.silu(x)"), ("BETA2 = 0.999 ", "BETA2 = 0.9555 ")])
def test_the_same_is_not_brought_twice_while_it_waits(home: Path, say: Say, old: str, new: str) -> None:
    mine = variant(say, "seed", old.strip(), new.strip())
    (home / "runs" / "night" / FOLDER).mkdir()
    (home / "runs" / "night" / FOLDER / "0.json").write_text("[")
    say("inject", mine)
    assert "mine.py was brought already" in say("inject", mine, code=2)
    take_in(home / "runs" / "night", {"0"}, Incoming(), record(Path("runs/night")))
    assert "mine.py was brought already" in say("inject", mine, "--parent", "0", code=2)
    assert len(open_history(Path("runs/night")).incoming.waiting) == 1


def test_nor_with_another_remark_or_with_other_numbers_of_a_new_structure(home: Path, say: Say) -> None:
    night = home / "runs" / "night"
    mine = variant(say, "seed")
    text = mine.read_text()
    say("inject", mine)
    for taken in (False, True):
        if taken:
            take_in(night, {"0"}, Incoming(), record(Path("runs/night")))
        mine.write_text(f"{text}\n\n# a remark\n")
        assert "mine.py was brought already" in say("inject", mine, code=2)
        mine.write_text(text.replace("BETA2 = 0.999", "BETA2 = 0.9555"))
        assert "has the structure of a program that was brought already" in say("inject", mine, code=2)
    mine.write_text(text.replace("F.silu(x)", "F.relu(x)"))
    assert "added mine.py" in say("inject", mine)
    parent = say("export", "seed")
    for number in ("0.9555", "0.9444"):
        mine.write_text(parent.replace("BETA2 = 0.999", f"BETA2 = {number}"))
        assert "same structure with other numbers" in say("inject", mine, "--parent", "0")
    mine.write_text(mine.read_text() + "\n# a remark\n")
    assert "mine.py was brought already" in say("inject", mine, "--parent", "0", code=2)


def test_a_run_whose_target_was_changed_since_takes_nothing(home: Path, say: Say, finished: Path) -> None:
    mine = variant(say, "seed")
    shutil.copytree(finished / "target", "changed")
    rules = Path("changed/target.toml")
    text = rules.read_text()
    for new in (text.replace('DEPTH = "1..6"', 'DEPTH = "1..5"'), text.replace('"torch"', '"numpy"')):
        assert new != text
        rules.write_text(new)
        said = say("inject", mine, "--target", "changed", code=2)
        assert "the target was changed since this run began" in said and "begin a new run" in said
    rules.write_text(text)
    assert "added mine.py" in say("inject", mine, "--target", "changed")


def record(directory: Path) -> Record:
    """Writes what is taken in, and nothing else, as a process that ends at once."""

    def write(kind: str, key: str, body: dict[str, Any]) -> None:
        store = Store.open(directory)
        store.append(kind, key, body)
        store.close()

    return write


@pytest.mark.parametrize(
    ("make", "more", "said"),
    [
        (lambda seed: (seed + "\nimport os\n").encode(), [], "cannot be a program of this run: line "),
        (lambda seed: f"{seed}\nX = 1{' + 1' * 2500}\n".encode(), [], "nested too deeply"),
        (lambda seed: f"{seed}\nX = 0x{'f' * 5000}\n".encode(), [], "more than 4,300 decimal digits"),
        (lambda seed: b"x = (", [], "cannot be a program of this run: line 1"),
        (lambda seed: seed.encode(), [], "is candidate 0 with numbers that were tried"),
        (lambda seed: (seed + "\n# a remark\n").encode(), [], "is candidate 0 with numbers that were tried"),
        (lambda seed: b"\xff\xfe", [], "is not UTF-8 text"),
        (lambda seed: b"#" * 50_000, [], "has more than the 40,000 bytes"),
        (lambda seed: b"", [], "cannot be a program of this run"),
        (lambda seed: None, [], "cannot read mine.py: No such file"),
        (lambda seed: (seed + "\nZ = 3\n").encode(), ["--parent", "999"], "no candidate '999'"),
    ],
)
def test_what_the_run_would_refuse_is_refused_at_once(
    home: Path, say: Say, make: Callable[[str], bytes | None], more: list[str], said: str
) -> None:
    if (text := make(say("export", "seed"))) is not None:
        Path("mine.py").write_bytes(text)
    assert said in say("inject", "mine.py", *more, code=2)
    assert not (home / "runs" / "night" / FOLDER).exists()


def test_a_folder_is_no_program_and_no_table(home: Path, say: Say) -> None:
    assert "cannot read runs: Is a directory" in say("inject", "runs", code=2)
    assert "cannot read runs: Is a directory" in say("learn", "runs", code=2)
    assert "no results.tsv of autoresearch" in say("learn", "runs/night/journal.md", code=2)


def test_of_a_long_table_the_last_rows_are_told_each_against_the_best_of_all_before_it(home: Path, say: Say) -> None:
    more = "".join(f"{n}\t1.5\t4.0\tdiscard\tidea {n}\n" for n in range(MOST_ROWS))
    Path("results.tsv").write_text(RESULTS + more)
    said = say("learn", "results.tsv")
    assert said.startswith("added 2000 rows of results.tsv (its first 1 are left out: a run is told the last 2,000)")
    assert f'elsewhere {MOST_ROWS - 1}: "idea {MOST_ROWS - 1}": dead end there, +0.5000 against' in said
    say("resume", "--run-dir", "runs/night", "--generations", "4")
    told = [commit for commit, _, _ in open_history(Path("runs/night")).incoming.rows]
    assert told == [str(n) for n in range(MOST_ROWS)]
    assert "nothing new: the run has all 2000 rows of results.tsv (its first 1 " in say("learn", "results.tsv")


def test_without_a_run_there_is_nothing_to_take_or_to_give(
    tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text((TARGET / "train.py").read_text())
    Path("results.tsv").write_text(RESULTS)
    Path("empty").mkdir()
    Store.open(Path("opened")).close()
    for command in (["export"], ["export", "--format", "csv"], ["inject", "mine.py"], ["learn", "results.tsv"]):
        assert "no run under runs/" in say(*command, code=2)
        assert f"no run in empty (no {FILE})" in say(*command, "--run-dir", "empty", code=2)
        assert "the run in opened has not begun" in say(*command, "--run-dir", "opened", code=2)


def test_a_run_that_only_began_takes_what_is_brought_for_later(home: Path, say: Say) -> None:
    """Cut off after its first events: the seed was not measured."""
    whole = Store.read(Path("runs/night"))
    events = list(whole.events())
    whole.close()
    store = Store.open(Path("begun"))
    for event in events[:4]:
        store.append(event.kind, event.key, event.body)
    store.close()
    text = say("export", "seed").replace("F.gelu", "F.silu")
    Path("mine.py").write_text(text)
    assert "no candidate 'best'" in say("export", "--run-dir", "begun", code=2)
    assert say("export", "--format", "results", "--run-dir", "begun").count("\n") == 1
    assert "the seed has not been measured yet" in say(
        "inject", "mine.py", "--parent", "3", "--run-dir", "begun", code=2
    )
    said = say("inject", "mine.py", "--run-dir", "begun")
    assert said.startswith("added mine.py, a variant of the seed. It is taken when the run goes on. Interrupted")
    Path("again.py").write_text(f"{text}\n# a remark\n")
    assert "again.py was brought already" in say("inject", "again.py", "--run-dir", "begun", code=2)
    say("resume", "--run-dir", "begun", "--generations", "1")
    (one,) = of_a_person(open_history(Path("begun")))
    assert one.parents == ("0",) and one.genome.source == text


def test_a_run_whose_seed_failed_takes_nothing(tmp_path: Path, target: Path, say: Say) -> None:
    (target / "train.py").write_text((target / "train.py").read_text() + '\n"CRASH"\n')
    directory = tmp_path / "run"
    assert main(small_run(target, directory)) == 1
    mine = tmp_path / "mine.py"
    mine.write_text((TARGET / "train.py").read_text())
    assert "whose seed program failed" in say("inject", mine, "--run-dir", directory, code=2)
    rows = say("export", "--format", "results", "--run-dir", directory).splitlines()
    assert rows[1].split("\t")[1:] == ["0.000000", "0.0", "crash", "baseline"]
