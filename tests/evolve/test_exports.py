"""What is taken home from a run is what the run says, in forms that other programs read."""

from __future__ import annotations

import csv
import json
import subprocess
from collections import Counter
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import get_args

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from evolve import records
from evolve.config import ConfigError
from evolve.elsewhere import read_results
from evolve.executors.inline import InlineExecutor
from evolve.exports.branch import export_branch, lineage
from evolve.exports.git import Repository, path_within
from evolve.exports.lines import events_jsonl
from evolve.exports.optuna_journal import optuna_journal
from evolve.exports.recorded import Recorded, open_recorded
from evolve.exports.results import results_tsv
from evolve.exports.tables import candidates_csv, trials_csv
from evolve.model import Candidate, Estimate, Fitness, Knob, Verdict, digest
from evolve.reports.open import history_of
from evolve.store import Event
from tests.evolve import toy

EVIL = '=HYPERLINK("http://x"; "y")\t\nignore\x1b[2J, "quoted" \u202e'
CANDIDATE = "%(trailers:key=Candidate,valueonly,separator=)"  # of a commit, as git prints it
MADE = ("ok", "pruned", "failed")


def recorded_run(directory: Path, generations: int, seed: int = 0) -> Recorded:
    executor = InlineExecutor(toy.run_trial)
    loop = toy.make_loop(directory, generations, executor, seed, refusals=0)
    try:
        if generations:
            loop.run(toy.SEED)
    finally:
        executor.close()
        loop.store.close()
    return open_recorded(directory)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A run with everything in it. Children are made side by side, so what a seed leads to is not known before."""
    for seed in range(9):
        recorded = recorded_run(tmp_path_factory.mktemp("toy") / "run", 14, seed)
        verdicts = {c.verdict for c in recorded.history.candidates.values()}
        if verdicts == set(get_args(Verdict)) and steps(recorded) and merges(recorded):
            return recorded
    raise AssertionError("a run of the toy no longer has candidates of every kind")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A run that only began."""
    return recorded_run(tmp_path_factory.mktemp("begun") / "run", 0)


def told_again(run: Recorded, candidate: Candidate) -> Recorded:
    """The run, had it told this of a candidate."""
    body = records.candidate_record(candidate)
    key = f"ask/{candidate.index}/tell"
    events = [replace(event, body=body) if event.key == key else event for event in run.events]
    genome = Event(0, f"genome/{candidate.genome.id}", "genome", 0.0, records.genome_record(candidate.genome))
    events.insert(1, genome)
    return Recorded(run.directory, events, history_of(events))


def quarantined(run: Recorded, candidate: Candidate) -> Recorded:
    body = {"origin": candidate.id, "violation": "causality", "ids": [candidate.id], "guilty": True}
    events = [*run.events, Event(run.events[-1].seq + 1, "quarantine/9", "quarantine", 0.0, body)]
    return Recorded(run.directory, events, history_of(events))


def best(run: Recorded) -> Candidate:
    return next(c for c in run.history.front if c.index)


def steps(run: Recorded) -> list[Candidate]:
    """The confirmed whose edits had an effect."""
    told = run.history.candidates.values()
    return [c for c in told if c.edits and c.confirmed and c.effect and c.effect.rung == 1 and c.effect.error]


def retuned(run: Recorded) -> Candidate:
    """The last that has one with its parent's structure and other numbers among its ancestors, or is one."""
    told = [c for c in run.history.candidates.values() if c.verdict == "ok"]
    return next(c for c in reversed(told) if any(one.operator == "tune" for one in lineage(run.history, c)))


def merges(run: Recorded) -> list[Candidate]:
    """Those of two parents that have commits of their own."""
    told = run.history.candidates
    found = [c for c in told.values() if c.operator == "merge" and c.verdict in ("ok", "pruned")]
    return [c for c in found if all(told[name].edits for name in c.parents)]


# ------------------------------------------------------------------------------------------------ results.tsv


def test_results_have_the_columns_of_autoresearch_and_a_row_for_each_program_that_was_trained(run: Recorded) -> None:
    header, *rows = [line.split("\t") for line in results_tsv(run).splitlines()]
    assert header == ["commit", "loss", "memory_gb", "status", "description"]  # of the toy, which has no val_bpb
    trained = [c for c in run.history.candidates.values() if c.verdict in MADE]
    assert len(rows) == len(trained) and rows[0][3:] == ["keep", "baseline"]
    assert all(len(row) == 5 and len(row[0]) == 7 and int(row[0], 16) >= 0 for row in rows)
    for row, candidate in zip(rows[1:], trained[1:], strict=True):
        assert row[4].startswith(f"{candidate.id} {candidate.operator} of {' and '.join(candidate.parents)}: ")
        if candidate.verdict == "failed":
            assert row[1:4] == ["0.000000", "0.0", "crash"] and "ZeroDivisionError" in row[4]
        else:
            assert float(row[1]) > 0 and row[3] in ("keep", "discard")
        if candidate.fitness:
            assert row[1] == f"{candidate.fitness.values['loss'].mean:.6f}"
        if candidate.verdict == "pruned":
            assert "[pruned at 0." in row[4]
    kept = {row[4].split()[0] for row in rows if row[3] == "keep"} | {"0"}
    assert kept >= {c.id for c in run.history.front} and len(kept) < len(rows)


def test_results_of_ours_can_be_learned_from(run: Recorded) -> None:
    rows = read_results(results_tsv(run).encode(), "results.tsv")
    assert len(rows) == results_tsv(run).count("\n") - 2
    assert {row.status for row in rows} == {"keep", "discard", "crash"}


def test_memory_is_in_gigabytes(run: Recorded) -> None:
    places = [("ask/0", n) for n in range(2)]
    history = history_of(run.events)
    for place, megabytes in zip(places, (2048.0, 44 * 1024.0), strict=True):
        outcome = history.outcomes[place]
        history.outcomes[place] = replace(outcome, metrics={**outcome.metrics, "peak_memory_mb": megabytes})
    rows = results_tsv(Recorded(run.directory, run.events, history)).splitlines()
    assert rows[1].split("\t")[2] == "44.0"


def test_a_proven_violation_has_no_score(run: Recorded) -> None:
    rows = results_tsv(quarantined(run, best(run))).splitlines()
    (row,) = [row for row in rows if f"\t{best(run).id} " in row]
    assert row.split("\t")[1:4] == ["0.000000", "0.0", "crash"] and row.endswith("[quarantined: causality]")


# ------------------------------------------------------------------------------------------------ CSV


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text, newline="")))


def test_candidates_are_a_row_each_with_what_the_run_knows_of_them(run: Recorded) -> None:
    rows = table(candidates_csv(run))
    assert [row["id"] for row in rows] == list(run.history.candidates)
    front = {c.id for c in run.history.front}
    for row, candidate in zip(rows, run.history.candidates.values(), strict=True):
        value = candidate.fitness.values.get("loss") if candidate.fitness else None
        assert (row["loss"], row["loss_n"]) == ((str(value.mean), str(value.n)) if value else ("", ""))
        assert (row["front"] == "1") == (candidate.id in front) and row["verdict"] == candidate.verdict
        if candidate.verdict != "rejected":
            assert json.loads(row["params"]) == candidate.params
    assert float(rows[5]["seconds"]) == list(run.history.candidates.values())[5].seconds
    assert all(row["told"].startswith("20") and row["told"].endswith("+00:00") for row in rows)


def test_text_of_others_is_one_cell_and_no_formula(run: Recorded) -> None:
    evil = told_again(run, replace(best(run), hypothesis=EVIL, reason="@SUM(A1)", operator="-1+1"))
    (row,) = [row for row in table(candidates_csv(evil)) if row["id"] == best(run).id]
    assert row["hypothesis"] == '\'=HYPERLINK("http://x"; "y") ignore [2J, "quoted"'
    assert row["reason"] == "'@SUM(A1)" and row["operator"] == "'-1+1"
    assert row["effect"] == str(best(run).effect and best(run).effect.delta), "a number stays one, also a negative one"
    assert evil.history.candidates[best(run).id].hypothesis == EVIL
    assert results_tsv(evil).count("\n") == results_tsv(run).count("\n")


def test_names_of_columns_are_text_as_well(run: Recorded) -> None:
    """A judge, or who answers for one in a spool, names metrics."""
    name = "x\x1b[2J\t\u202e"
    text = candidates_csv(told_again(run, replace(best(run), metrics={name: 1.5})))
    (row,) = [row for row in table(text) if row["id"] == best(run).id]
    assert row["metric_x [2J"] == "1.5"
    assert all(column.isprintable() for column in next(csv.reader(StringIO(text, newline=""))))


def test_trials_are_a_row_each_and_their_charges_are_those_of_the_run(run: Recorded) -> None:
    rows = table(trials_csv(run))
    assert [(row["owner"], int(row["n"])) for row in rows] == list(run.history.trials)
    done = [row for row in rows if row["status"]]
    assert sum(float(row["seconds"]) for row in done) == pytest.approx(run.history.charged)
    assert Counter(row["status"] for row in done) == Counter(o.status for o in run.history.outcomes.values())
    assert all(row["begun"] <= row["ended"] for row in done)
    assert {row["purpose"] for row in rows} >= {"smoke", "tune", "rung", "confirm", "audit", "control"}


# ------------------------------------------------------------------------------------------------ JSON Lines


def test_the_lines_hold_every_event_and_all_that_they_refer_to(run: Recorded) -> None:
    lines = [json.loads(line) for line in events_jsonl(run).splitlines()]
    assert [line["seq"] for line in lines[:-1]] == [event.seq for event in run.events]
    assert [line["body"] for line in lines if line["kind"] == "tell"] == [
        event.body for event in run.events if event.kind == "tell"
    ]
    assert lines[-1]["kind"] == "front" and lines[-1]["body"]["ids"] == [c.id for c in run.history.front]
    programs = {line["body"]["id"]: line["body"]["source"] for line in lines if line["kind"] == "genome"}
    told = {line["body"]["id"]: line["body"] for line in lines if line["kind"] == "tell"}
    assert programs[told[best(run).id]["genome"]] == best(run).genome.source
    assert all(digest(source) == name for name, source in programs.items())


# ------------------------------------------------------------------------------------------------ Optuna


def study_of(recorded: Recorded, folder: Path) -> optuna.Study:
    """The study that Optuna reads from the file."""
    file = folder / "run.journal"
    file.write_text(optuna_journal(recorded))
    storage = JournalStorage(JournalFileBackend(str(file)))
    return optuna.load_study(study_name=recorded.directory.name, storage=storage)


def test_optuna_finds_the_front_of_the_run(run: Recorded, tmp_path: Path) -> None:
    study, history = study_of(run, tmp_path), run.history
    assert study.metric_names == ["loss", "seconds_to_target"] and len(study.directions) == 2
    assert {t.user_attrs["id"] for t in study.best_trials} == {c.id for c in history.front}
    made = [c for c in history.candidates.values() if c.verdict in MADE]
    assert [t.user_attrs["id"] for t in study.trials] == [c.id for c in made]
    states = {"ok": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    for trial, candidate in zip(study.trials, made, strict=True):
        assert trial.state == states[candidate.verdict] and trial.params == candidate.params
        assert trial.user_attrs["operator"] == candidate.operator
        if candidate.fitness:
            assert trial.values[0] == candidate.fitness.values["loss"].mean
            assert (max(trial.constraints.values()) <= 0) == candidate.confirmed
            assert trial.user_attrs["confirmed"] == candidate.confirmed
        assert trial.duration is not None and trial.duration.total_seconds() >= 0


def test_who_does_not_reach_the_target_is_infeasible_with_the_budget_as_its_seconds(
    run: Recorded, tmp_path: Path
) -> None:
    changed = told_again(run, replace(best(run), fitness=Fitness({"loss": Estimate(2.0, 3, 0.01)}, 0.2)))
    study = study_of(changed, tmp_path)
    (trial,) = [t for t in study.trials if t.user_attrs["id"] == best(run).id]
    assert trial.values == [2.0, 1.0] and trial.constraints == {"0": 0.2, "1": 0.0}
    assert {t.user_attrs["id"] for t in study.best_trials} == {c.id for c in changed.history.front} != {best(run).id}
    assert [row["infeasible_by"] for row in table(candidates_csv(changed)) if row["id"] == best(run).id] == ["0.2"]


def test_one_in_quarantine_is_no_result(run: Recorded, tmp_path: Path) -> None:
    study = study_of(quarantined(run, best(run)), tmp_path)
    (trial,) = [t for t in study.trials if t.user_attrs["id"] == best(run).id]
    assert trial.state == TrialState.FAIL and trial.values is None and trial.user_attrs["quarantined"] == "causality"


def test_knobs_that_optuna_cannot_join_are_parameters_of_their_own(run: Recorded, tmp_path: Path) -> None:
    candidate, other = steps(run)[:2]
    knobs = [Knob("DIM", "choice", 1, 8, False, 4, (1, 4, 8)), Knob("DIM", "choice", 1, 4, False, 4, (1, 4))]
    changed = run
    for one, knob in zip((candidate, other), knobs, strict=True):
        genome = replace(one.genome, source=f"{one.genome.source}\nDIM = {knob.high}", knobs=(knob,))
        changed = told_again(changed, replace(one, genome=genome, params={"DIM": 4}))
    trials = {t.user_attrs["id"]: t for t in study_of(changed, tmp_path).trials}
    names = [next(iter(trials[one.id].params)) for one in (candidate, other)]
    assert sorted(names) in (["DIM", "DIM (choice 1|4)"], ["DIM", "DIM (choice)"])
    assert all(list(trials[one.id].params.values()) == [4] for one in (candidate, other))


def test_a_single_objective_is_a_study_of_one(run: Recorded, tmp_path: Path) -> None:
    header = replace(run.events[0], body={**run.events[0].body, "objectives": [{"name": "loss"}]})
    events = [header, *run.events[1:]]
    study = study_of(Recorded(run.directory, events, history_of(events)), tmp_path)
    assert len(study.directions) == 1
    assert study.best_trial.user_attrs["id"] == history_of(events).front[0].id


# ------------------------------------------------------------------------------------------------ all of them


@pytest.mark.parametrize("export", [results_tsv, candidates_csv, trials_csv, events_jsonl, optuna_journal])
def test_a_run_that_only_began_gives_an_empty_table(begun: Recorded, export) -> None:  # type: ignore[no-untyped-def]
    text = export(begun)
    assert "ask/" not in text and (text.endswith("\n") or not text)


def test_old_candidates_with_little_in_them_are_exported(run: Recorded, tmp_path: Path) -> None:
    bare = Candidate(best(run).id, best(run).index, best(run).genome, {}, ("0",), "grow", "ok")
    changed = told_again(run, replace(bare, verdict="pruned"))
    (trial,) = [t for t in study_of(changed, tmp_path).trials if t.user_attrs["id"] == bare.id]
    assert trial.state == TrialState.PRUNED and trial.params == {}
    assert len(table(candidates_csv(changed))) == len(run.history.candidates)
    assert f"\t{bare.id} grow of 0:" in results_tsv(changed)


# ------------------------------------------------------------------------------------------------ git


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new one, of a user whom git knows, with nothing else set."""
    for name, value in (("HOME", str(tmp_path)), ("GIT_CONFIG_NOSYSTEM", "1"), ("XDG_CONFIG_HOME", str(tmp_path))):
        monkeypatch.setenv(name, value)
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "Ada")
    git(folder, "config", "user.email", "ada@example.org")
    return folder


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.removesuffix("\n")


def commit(folder: Path, name: str, text: str) -> str:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    git(folder, "add", name)
    git(folder, "commit", "-q", "-m", f"add {name}")
    return git(folder, "rev-parse", "HEAD")


def bound(candidate: Candidate) -> str:
    names = [line.split(" = ")[0] for line in candidate.genome.source.splitlines()]
    return "".join(f"{name} = {candidate.params.get(name, 1.0):g}\n" for name in names)


def branch(run: Recorded, candidate: Candidate, folder: Path, name: str = "best", path: str = "train.py") -> str:
    return export_branch(run, candidate, bound, Repository(folder), name, path_within(path))[0]


def commits(folder: Path, form: str, name: str = "best") -> list[str]:
    """The commits of a branch from first to last, each as a line."""
    return git(folder, "log", "--reverse", "--topo-order", f"--format={form}", name).splitlines()


def test_each_candidate_is_a_commit_of_the_program_that_was_measured(run: Recorded, repository: Path) -> None:
    """Those that changed numbers only as well; the last one is the program that is exported."""
    candidate = retuned(run)
    tip = branch(run, candidate, repository)
    assert git(repository, "rev-parse", "best") == tip
    made = [line.split() for line in commits(repository, f"{CANDIDATE} %H")]
    assert sorted(name for name, _ in made) == sorted(c.id for c in lineage(run.history, candidate))
    assert made[-1] == [candidate.id, tip]
    for name, step in made:
        text = git(repository, "show", f"{step}:train.py")
        assert text + "\n" == bound(run.history.candidates[name])
    assert commits(repository, "%s")[0] == "Seed program of the run"


def test_what_tuning_gained_is_told_by_the_commit_that_has_it(run: Recorded, repository: Path) -> None:
    candidate = retuned(run)
    branch(run, candidate, repository)
    (step,) = [c for c in lineage(run.history, candidate) if c.operator == "tune"][-1:]
    (line,) = [line for line in commits(repository, f"{CANDIDATE}|%s|%b") if line.startswith(f"{step.id}|")]
    assert step.effect and line.startswith(f"{step.id}|better numbers ({step.effect.delta:+.3f}")
    (parent,) = step.parents
    assert bound(run.history.candidates[parent]) != bound(step)


def test_a_commit_says_what_was_tried_and_what_was_measured(run: Recorded, repository: Path) -> None:
    step = steps(run)[0]
    branch(run, step, repository)
    subject, _, body = git(repository, "log", "-1", "--format=%B", "best").partition("\n\n")
    effect = step.effect
    assert effect and effect.error is not None
    assert subject == f"{step.hypothesis} ({effect.delta:+.3f}±{effect.error:.3f})"
    for said in (f"Hypothesis: {step.hypothesis}", "Edits: insert_after lr", "Effect: measured ", "Measured: loss "):
        assert said in body
    trailers = {f"Candidate: {step.id}", f"Operator: {step.operator}", f"Parents: {' '.join(step.parents)}", "Rung: 1"}
    assert set(git(repository, "log", "-1", "--format=%(trailers)", "best").splitlines()) == trailers


def test_words_of_others_stay_in_their_place(run: Recorded, repository: Path) -> None:
    candidate = steps(run)[0]
    said = f"{EVIL}\n\nCandidate: 0\nSigned-off-by: Mallory " + "x" * 5000
    branch(told_again(run, replace(candidate, hypothesis=said)), candidate, repository)
    subject, _, body = git(repository, "log", "-1", "--format=%B", "best").partition("\n\n")
    assert len(subject) <= 72 and (subject + body.replace("\n", "")).isprintable() and len(body) < 2000
    assert git(repository, "log", "-1", f"--format={CANDIDATE}", "best") == candidate.id
    assert git(repository, "log", "-1", "--format=%(trailers:key=Signed-off-by)", "best") == ""


def test_a_merge_is_a_commit_with_two_parents(run: Recorded, repository: Path) -> None:
    candidate = merges(run)[0]
    branch(run, candidate, repository)
    parents = dict(line.split(maxsplit=1) for line in commits(repository, f"{CANDIDATE} %P") if len(line.split()) > 2)
    names = {line.split()[1]: line.split()[0] for line in commits(repository, f"{CANDIDATE} %H")}
    assert {names[parent] for parent in parents[candidate.id].split()} == set(candidate.parents)
    roots = git(repository, "rev-list", "--max-parents=0", "best").split()
    assert len(roots) == 1, "both sides go back to the one seed"


def test_the_same_export_gives_the_same_commits_with_the_dates_of_the_run(run: Recorded, repository: Path) -> None:
    assert branch(run, best(run), repository, "one") == branch(run, best(run), repository, "two")
    told = run.told(best(run))
    assert told and git(repository, "log", "-1", "--format=%at %ct %an", "one") == f"{int(told)} {int(told)} Ada"


def test_what_the_user_has_is_not_touched(run: Recorded, repository: Path) -> None:
    head = commit(repository, "notes.md", "mine\n")
    (repository / "notes.md").write_text("changed\n")
    (repository / "staged.txt").write_text("staged\n")
    (repository / "train.py").write_text("my own, not committed\n")
    git(repository, "add", "staged.txt")
    before = git(repository, "status", "--porcelain"), (repository / ".git" / "index").read_bytes()
    branch(run, best(run), repository)
    assert (git(repository, "status", "--porcelain"), (repository / ".git" / "index").read_bytes()) == before
    assert git(repository, "rev-parse", "HEAD") == head and git(repository, "branch", "--show-current") == "main"
    assert (repository / "train.py").read_text() == "my own, not committed\n"
    assert git(repository, "merge-base", "best", "main") == head
    assert git(repository, "ls-tree", "--name-only", "best").split() == ["notes.md", "train.py"]


def test_a_repository_whose_file_is_the_seed_needs_no_commit_for_it(run: Recorded, repository: Path) -> None:
    commit(repository, "code/train.py", bound(run.history.candidates["0"]))
    (repository / "code" / "train.py").chmod(0o755)
    git(repository, "commit", "-qam", "executable")
    branch(run, best(run), repository / "code", path="code/train.py")
    subjects = commits(repository, "%s")
    assert subjects[:2] == ["add code/train.py", "executable"] and "Seed program of the run" not in subjects
    assert git(repository, "ls-tree", "best", "code/train.py").startswith("100755 blob")


def test_the_seed_alone_is_one_commit(run: Recorded, repository: Path) -> None:
    seed = run.history.candidates["0"]
    tip, made = export_branch(run, seed, bound, Repository(repository), "seed", "train.py")
    assert made == 1 and git(repository, "rev-list", "--count", tip) == "1"


@pytest.mark.parametrize("name", ["", "a..b", "-x", "@{-1}", "with space", "HEAD"])
def test_a_bad_name_is_refused(run: Recorded, repository: Path, name: str) -> None:
    commit(repository, "a", "a")
    with pytest.raises(ConfigError, match="no name for a branch"):
        branch(run, best(run), repository, name)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "'' is no path of a script, from the top of the repository, such as train.py"),
        (".", "no path of a script"),
        ("../train.py", "no path of a script"),
        ("/etc/train.py", "no path of a script"),
        (".git/config", "no path of a script"),
        ("train\n.py", "no path of a script"),
        ("\x1b[2Jtrain.py", "no path of a script"),
        ("notes.md/train.py", "notes.md is a file. Choose --path"),
        ("link.py", "link.py is a symbolic link in .*: choose --path"),
        ("link.py/train.py", "link.py is a symbolic link. Choose --path"),
        ("code", "code is a folder in .*: choose --path"),
        ("linked", "linked is a submodule in .*: choose --path"),
        ("linked/train.py", "linked is a submodule. Choose --path"),
    ],
)
def test_a_bad_path_is_refused_and_leaves_no_branch(run: Recorded, repository: Path, path: str, said: str) -> None:
    commit(repository, "notes.md", "mine\n")
    head = commit(repository, "code/model.py", "mine\n")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{head},linked")
    (repository / "link.py").symlink_to("code/model.py")
    git(repository, "add", "link.py")
    git(repository, "commit", "-q", "-m", "a submodule")
    with pytest.raises(ConfigError, match=said):
        branch(run, best(run), repository, path=path)
    assert git(repository, "branch", "--list", "best") == ""


def test_a_path_may_be_written_in_other_ways(run: Recorded, repository: Path) -> None:
    commit(repository, "code/train.py", "mine\n")
    branch(run, best(run), repository, path="./code//train.py")
    assert git(repository, "ls-tree", "-r", "--name-only", "best") == "code/train.py"


def test_a_branch_that_is_there_is_left_alone(run: Recorded, repository: Path) -> None:
    tip = branch(run, run.history.candidates["0"], repository)
    with pytest.raises(ConfigError, match="there is a branch best already"):
        branch(run, best(run), repository)
    assert git(repository, "rev-parse", "best") == tip


@pytest.mark.parametrize(("there", "name"), [("evolve", "evolve/best/1"), ("evolve/best/1", "evolve")])
def test_a_name_that_git_cannot_have_beside_another_is_refused_before_anything_is_written(
    run: Recorded, repository: Path, there: str, name: str
) -> None:
    commit(repository, "a", "a")
    git(repository, "branch", there)
    before = git(repository, "count-objects")
    with pytest.raises(ConfigError, match=f"there is a branch {there}, so git can have no {name}: choose another name"):
        branch(run, best(run), repository, name)
    assert git(repository, "count-objects") == before


def test_without_an_identity_git_says_so(run: Recorded, repository: Path) -> None:
    git(repository, "config", "--unset", "user.name")
    git(repository, "config", "user.useConfigOnly", "true")
    with pytest.raises(ConfigError, match=r"git commit-tree .*user\.name"):
        branch(run, best(run), repository)


def test_without_git_or_a_repository_that_is_said(
    run: Recorded, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(ConfigError, match="not a git repository"):
        branch(run, best(run), tmp_path)
    with pytest.raises(ConfigError, match="there is no folder"):
        branch(run, best(run), tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is no folder"):
        branch(run, best(run), tmp_path / "file")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="git is not installed"):
        branch(run, best(run), repository)
