"""What trackers are given, read back with their own readers."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
from tensorboardX.record_writer import masked_crc32c

from evolve.cli import main
from evolve.config import ConfigError
from evolve.exports.mlflow import Written, write_mlflow
from evolve.exports.recorded import Recorded, open_recorded
from evolve.exports.tensorboard import write_tensorboard
from evolve.exports.timeline import identity, timeline
from evolve.model import Candidate
from evolve.reports.open import history_of
from tests.e2e.conftest import ROOT, make_target, small_run
from tests.evolve.runs import run

needs_mlflow = pytest.mark.skipif(find_spec("mlflow") is None, reason="needs the extra mlflow")


def toy_run(directory: Path, seed: int = 0) -> Recorded:
    run(directory, 5, seed=seed)
    return open_recorded(directory)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return toy_run(tmp_path_factory.mktemp("toys") / "night")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the command line with real programs and made-up scores."""
    folder = tmp_path_factory.mktemp("real")
    arguments = small_run(make_target(folder / "target"), folder / "run")
    command = [sys.executable, "-m", "evolve", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def half(recorded: Recorded) -> Recorded:
    """The run as it was when half of its candidates had been told."""
    tells = [i for i, event in enumerate(recorded.events) if event.kind == "tell"]
    events = recorded.events[: tells[len(tells) // 2] + 1]
    return Recorded(recorded.directory, events, history_of(events))


def measured(recorded: Recorded) -> dict[str, Candidate]:
    return {c.id: c for c in recorded.history.candidates.values() if c.fitness}


def source(candidate: Candidate) -> str:
    return candidate.genome.source


def test_the_timeline_ends_where_the_run_is(recorded: Recorded) -> None:
    moments = list(timeline(recorded))
    history = recorded.history
    assert [m.candidate.id for m in moments] == list(history.candidates)
    assert moments[-1].charged == pytest.approx(history.charged) and history.best_loss
    assert (moments[-1].best, moments[-1].volume) == (history.best_loss.mean, pytest.approx(history.hypervolume()))
    assert all(
        a.charged <= b.charged and (a.best or 9) >= (b.best or 9) for a, b in zip(moments, moments[1:], strict=False)
    )
    early = half(recorded)
    assert early.history.best_loss and identity(early) == identity(recorded)
    assert moments[len(early.history.candidates) - 1].best == early.history.best_loss.mean


def test_cheated_gains_are_none_from_the_beginning(recorded: Recorded) -> None:
    history = history_of(recorded.events)
    history.progress = [(charged, 7.0, 0.0) for charged, *_ in history.progress[:1]]
    moments = list(timeline(Recorded(recorded.directory, recorded.events, history)))
    assert {m.best for m in moments} == {7.0}


def events(path: Path) -> Iterator[Any]:
    """As TensorBoard reads them: length, its checksum, the event, its checksum."""
    data = path.read_bytes()
    while data:
        (size,), (of_size,) = struct.unpack("Q", data[:8]), struct.unpack("I", data[8:12])
        body, (of_body,) = data[12 : 12 + size], struct.unpack("I", data[12 + size : 16 + size])
        assert (of_size, of_body) == (masked_crc32c(data[:8]), masked_crc32c(body))
        yield Event.FromString(body)
        data = data[16 + size :]


def scalars(path: Path) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events(path):
        for value in event.summary.value:
            if value.WhichOneof("value") == "simple_value":
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def text(path: Path) -> str:
    values = [v for event in events(path) for v in event.summary.value if v.tag.endswith("/text_summary")]
    return values[0].tensor.string_val[0].decode()


def hyperparameters(path: Path) -> dict[str, float | str]:
    for event in events(path):
        for value in event.summary.value:
            if value.tag == "_hparams_/session_start_info":
                start = HParamsPluginData.FromString(value.metadata.plugin_data.content).session_start_info
                return {k: v.string_value or v.number_value for k, v in start.hparams.items()}
    return {}


def test_tensorboard_is_given_the_search_and_each_measured_candidate(recorded: Recorded, tmp_path: Path) -> None:
    place, count = write_tensorboard(recorded, tmp_path)
    assert place == tmp_path / "night" and count == len(measured(recorded))
    (search,) = (place / "search").iterdir()
    assert "tfevents" in search.name and next(events(search)).file_version == "brain.Event:2"
    found = scalars(search)
    moments = [m for m in timeline(recorded) if m.candidate.fitness]
    assert found["best/loss"] == [(round(m.charged), pytest.approx(m.best)) for m in moments]
    assert found["best/hypervolume"][-1][1] == pytest.approx(recorded.history.hypervolume())
    means = [m.candidate.fitness.values["loss"].mean for m in moments if m.candidate.fitness]
    assert [value for _, value in found["candidates/loss"]] == pytest.approx(means)
    assert len(list((place / "candidates").iterdir())) == count
    best = recorded.history.front[0]
    (path,) = (place / "candidates" / f"{best.index:05}").iterdir()
    expected = [(round(100 * float(r)), pytest.approx(fmean(v))) for r, v in sorted(best.losses.items())]
    assert scalars(path)["curve/loss"] == expected and expected[-1][0] == 100
    known = hyperparameters(path)
    assert known["standing"] == "front" and known["by"] == best.operator
    assert {k: v for k, v in known.items() if k in best.params} == pytest.approx(dict(best.params))
    assert "_hparams_/session_end_info" in {v.tag for event in events(path) for v in event.summary.value}


def test_tensorboard_again_changes_nothing_and_adds_what_is_new(recorded: Recorded, tmp_path: Path) -> None:
    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*tfevents*")}

    write_tensorboard(half(recorded), tmp_path)
    early = files()
    write_tensorboard(recorded, tmp_path)
    late = files()
    assert len(early) < len(late) == len(measured(recorded)) + 1
    write_tensorboard(recorded, tmp_path)
    assert files() == late


def test_nothing_in_a_text_for_tensorboard_is_markup(recorded: Recorded, tmp_path: Path) -> None:
    history = history_of(recorded.events)
    best = history.front[0]
    odd = "see ![it](http://x/y.png) <img src=x> & *this*"
    history.candidates[best.id] = replace(best, hypothesis=odd)
    place, _ = write_tensorboard(Recorded(recorded.directory, recorded.events, history), tmp_path)
    (path,) = (place / "candidates" / f"{best.index:05}").iterdir()
    assert r"see \!\[it\]\(http://x/y\.png\) &lt;img src=x&gt; &amp; \*this\*" in text(path)


def test_tensorboard_does_not_mix_two_runs(recorded: Recorded, tmp_path: Path) -> None:
    write_tensorboard(recorded, tmp_path / "logs")
    other = toy_run(tmp_path / "night", seed=1)
    with pytest.raises(ConfigError, match="night holds another run: choose another folder"):
        write_tensorboard(other, tmp_path / "logs")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot write to"):
        write_tensorboard(other, tmp_path / "file")


def client(folder: Path) -> Any:
    from mlflow.tracking import MlflowClient  # not before it was told to report nothing

    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def children(folder: Path, name: str) -> tuple[Any, dict[str, Any]]:
    """The run of the search and those of the candidates by id, in the experiment of this name."""
    reader = client(folder)
    experiment = reader.get_experiment_by_name(name)
    runs = reader.search_runs([experiment.experiment_id], max_results=1000)
    by = {run.data.tags["evolve.candidate"]: run for run in runs}
    assert len(by) == len(runs), "each is there once"
    return by.pop("search"), by


@pytest.fixture(scope="module")
def tracked(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Written], str]:
    """Written when half of the run was done, cut off at one candidate; then twice when all of it was."""
    folder = tmp_path_factory.mktemp("mlflow")
    first = write_mlflow(half(recorded), str(folder), source)
    _, found = children(folder, first.experiment)
    cut_off = next(iter(found.values())).info.run_id
    client(folder).update_run(cut_off, "RUNNING")
    return folder, [first, *(write_mlflow(recorded, str(folder), source) for _ in range(2))], cut_off


@needs_mlflow
def test_mlflow_is_given_an_experiment_with_a_run_for_each_candidate(recorded: Recorded, tracked: Any) -> None:
    folder, (written, *_), _ = tracked
    assert written.uri == f"sqlite:///{folder}/mlflow.db" and written.experiment.startswith("night ")
    search, found = children(folder, written.experiment)
    assert found.keys() == measured(recorded).keys()
    assert {run.data.tags["mlflow.parentRunId"] for run in found.values()} == {search.info.run_id}
    assert search.info.status == "FINISHED"
    best = client(folder).get_metric_history(search.info.run_id, "loss")
    assert {(m.step, m.value) for m in best} == {(round(m.charged), m.best) for m in timeline(recorded)}


@needs_mlflow
def test_mlflow_is_given_what_is_known_of_a_candidate(recorded: Recorded, tracked: Any, tmp_path: Path) -> None:
    folder, (written, *_), _ = tracked
    reader, (_, found) = client(folder), children(folder, written.experiment)
    member = recorded.history.front[0]
    run = found[member.id]
    assert member.fitness and run.data.params == {name: str(value) for name, value in member.params.items()}
    curve = {m.step: m.value for m in reader.get_metric_history(run.info.run_id, "loss")}
    assert curve == {round(100 * float(rung)): pytest.approx(fmean(v)) for rung, v in member.losses.items()}
    assert run.data.metrics["seconds_to_target"] == pytest.approx(member.fitness.values["seconds_to_target"].mean)
    assert run.data.metrics["tokens_per_second"] == 100.0
    tags = run.data.tags
    assert (tags["front"], tags["confirmed"], tags["operator"]) == ("yes", "yes", member.operator)
    assert (tags["parents"], tags["hypothesis"]) == (" ".join(member.parents), member.hypothesis)
    path = Path(reader.download_artifacts(run.info.run_id, "train.py", str(tmp_path)))
    assert path.read_text() == member.genome.source


@needs_mlflow
def test_mlflow_again_adds_what_is_new_and_nothing_twice(recorded: Recorded, tracked: Any) -> None:
    folder, (first, second, third), cut_off = tracked
    early = half(recorded)
    assert (first.new, first.before) == (len(measured(early)), 0) and first.new > 2
    assert (second.new, second.before) == (len(measured(recorded)) - first.new + 1, first.new - 1)
    assert (third.new, third.before) == (0, len(measured(recorded)))
    assert first.experiment == second.experiment == third.experiment
    search, found = children(folder, first.experiment)
    assert cut_off in {run.info.run_id for run in found.values()}
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    front = {member.id for member in recorded.history.front}
    assert {c.id for c in early.history.front} - front, "some left the front"
    assert {name for name, run in found.items() if run.data.tags["front"] == "yes"} == front
    assert search.data.tags["front"].split() == [member.id for member in recorded.history.front]
    steps = client(folder).get_metric_history(search.info.run_id, "hypervolume")
    assert {(m.step, m.value) for m in steps} == {(round(m.charged), m.volume) for m in timeline(recorded)}
    assert len(steps) <= len(recorded.history.candidates)


@needs_mlflow
def test_what_mlflow_complains_of_is_said(recorded: Recorded, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="MLflow at nonsense://x: "):
        write_mlflow(recorded, "nonsense://x", source)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot use .*file"):
        write_mlflow(recorded, str(tmp_path / "file"), source)


def test_the_command_for_tensorboard(run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["track", "tensorboard", str(tmp_path / "tb"), "--run-dir", str(run_dir)]) == 0
    said = capsys.readouterr().out
    assert f"candidates to {tmp_path}/tb/run" in said and f"tensorboard --logdir {tmp_path}/tb" in said


@needs_mlflow
def test_the_command_for_mlflow_which_reports_no_usage(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """First in a process where nobody else has switched the reports off."""
    program = (
        "import sys; from evolve.cli import main; assert main(sys.argv[1:]) == 0;"
        "from mlflow.telemetry.client import get_telemetry_client as c; print('client', c())"
    )
    hidden = ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "CI", "PYTEST_CURRENT_TEST", "PYTEST_VERSION")
    environment = {k: v for k, v in os.environ.items() if k not in hidden} | {"PYTHONPATH": str(ROOT)}
    arguments = ["track", "mlflow", str(tmp_path), "--run-dir", str(run_dir)]
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["client None"], done.stderr
    assert done.stderr == "" and "candidates to the experiment 'run " in done.stdout
    assert f"mlflow ui --backend-store-uri sqlite:///{tmp_path}/mlflow.db" in done.stdout
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "wrote 0 candidates" in said and f"{len(measured(open_recorded(run_dir)))} were there" in said
    _, found = children(tmp_path, said.split("'")[1])
    name = list(found)[-1]
    path = client(tmp_path).download_artifacts(found[name].info.run_id, "train.py", str(tmp_path))
    assert main(["export", name, "--run-dir", str(run_dir)]) == 0
    assert Path(path).read_text() == capsys.readouterr().out


@pytest.mark.parametrize(("tracker", "extra"), [("tensorboard", "tensorboardX"), ("mlflow", "mlflow.entities")])
def test_what_is_missing_is_said(
    tracker: str, extra: str, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setitem(sys.modules, extra, None)
    assert main(["track", tracker, str(tmp_path), "--run-dir", str(run_dir)]) == 2
    assert f"pip install -c constraints.txt -e '.[{tracker}]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "write", [write_tensorboard, lambda recorded, where: write_mlflow(recorded, str(where), source)]
)
def test_a_run_that_only_began(write: Any, recorded: Recorded, tmp_path: Path) -> None:
    events = recorded.events[:2]
    with pytest.raises(ConfigError, match="nothing to track: no program was measured"):
        write(Recorded(recorded.directory, events, history_of(events)), tmp_path)
    assert not list(tmp_path.iterdir())
