"""A run in MLflow: an experiment with one run for the search, and below it one for each candidate that was measured.

The only module that imports mlflow, which is an extra. Whoever calls it sends nothing to anybody but the server that is
named: MLflow's own reports of usage are switched off before it is imported.

A candidate is there once it was trained at the full budget: knobs as parameters; its loss with the share of the budget
in per cent as step, its other objectives and metrics; who made it from whom and where it stands as tags; as artifact
`train.py` with its tuned numbers. The search has the best confirmed loss and the hypervolume, with charged seconds as
step.

What is there is known by the tags `evolve.run` and `evolve.candidate`. So the same run written again adds what is new,
and of what is there changes nothing but where it stands.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from evolve.config import ConfigError
from evolve.exports.recorded import Recorded
from evolve.exports.timeline import Moment, identity, measured_timeline
from evolve.history import History
from evolve.journal import cut
from evolve.model import Candidate
from evolve.reports.standing import standing
from evolve.reports.state import state_of

RUN, CANDIDATE, TOLD = "evolve.run", "evolve.candidate", "evolve.told"  # tags
SEARCH = "search"  # the value of `CANDIDATE` of the search itself
STATUS = {"running": "RUNNING", "interrupted": "KILLED", "stopped": "FINISHED", "failed": "FAILED"}
TEXT = 2000  # characters of a tag
MOST = {"metrics": 1000, "params": 100, "tags": 100}  # of a batch
PAGE = 1000
ENVIRONMENT = {  # before the import; what the user has set stays
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}


@dataclass(frozen=True)
class Written:
    """Where the run is now, and how many of its candidates are new there and how many were there before."""

    uri: str
    experiment: str
    new: int
    before: int


def write_mlflow(recorded: Recorded, where: str, program: Callable[[Candidate], str]) -> Written:
    """`where` is the URI of a tracking server or a database, or a folder that gets a database; `program` gives a text.

    Raises `ConfigError` if mlflow is missing, if nothing was measured yet, and with what MLflow complains of.
    """
    moments = measured_timeline(recorded)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # mlflow's own use of its dependencies
        mlflow = _imported()
        uri, artifacts = _place(where)
        try:
            tracker = Tracker(recorded, mlflow, uri, artifacts)
            tracker.write_search(moments)
            return tracker.write_candidates([m for m in moments if m.candidate.fitness], program)
        except mlflow.exceptions.MlflowException as error:
            raise ConfigError(f"MLflow at {uri}: {cut(str(error), TEXT)}") from error


def _imported() -> Any:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import mlflow.entities
        import mlflow.exceptions
        import mlflow.tracking
    except ImportError as error:
        how = "pip install -c constraints.txt -e '.[mlflow]'"
        raise ConfigError(f"this needs mlflow ({error}): {how}") from error
    return mlflow


def _place(where: str) -> tuple[str, str | None]:
    """The tracking URI, and where artifacts are to lie; None leaves that to the server."""
    if "://" in where or where.startswith("databricks"):
        return where, None
    folder = Path(where).resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot use {where}: {error.strerror or error}") from error
    return f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri()


class Tracker:
    """The experiment of one run, found or made."""

    def __init__(self, recorded: Recorded, mlflow: Any, uri: str, artifacts: str | None) -> None:
        self._recorded, self._entities, self._uri = recorded, mlflow.entities, uri
        self._client = mlflow.tracking.MlflowClient(uri)
        self._run = identity(recorded)
        self._front = {member.id for member in self._history.front}
        found = self._client.search_experiments(filter_string=f"tags.`{RUN}` = '{self._run}'")
        self._name = found[0].name if found else f"{recorded.directory.resolve().name} {self._run[:6]}"
        self._experiment = (
            found[0].experiment_id
            if found
            else self._client.create_experiment(self._name, artifacts, tags={RUN: self._run})
        )
        self._known = {run.data.tags.get(CANDIDATE): run for run in self._runs()}

    @property
    def _history(self) -> History:
        return self._recorded.history

    def write_search(self, moments: list[Moment]) -> None:
        """The run that those of the candidates are children of."""
        about = {
            CANDIDATE: SEARCH,
            "settings": cut(str(self._history.header["settings"]), TEXT),
            "front": " ".join(member.id for member in self._history.front),
        }
        if self._history.weakness:
            about["isolation"] = self._history.weakness
        run = self._known.get(SEARCH) or self._create("search", about, moments[0].at)
        self._known[SEARCH] = run
        metrics = []
        for moment in moments[int(run.data.tags.get(TOLD, 0)) :]:
            values = {self._history.loss: moment.best, "hypervolume": moment.volume}
            metrics += self._metrics({k: v for k, v in values.items() if v is not None}, moment.at, moment.charged)
        self._log(run, metrics, {}, about | {TOLD: str(len(moments))})
        status = STATUS[state_of(self._recorded.directory, self._history).name]
        if status == "RUNNING":
            self._client.update_run(run.info.run_id, status)
        else:
            self._client.set_terminated(run.info.run_id, status, round(1000 * moments[-1].at))

    def write_candidates(self, moments: list[Moment], program: Callable[[Candidate], str]) -> Written:
        """Those that are not there yet; of the others the tags. One that was cut off on its way is finished."""
        before = 0
        for moment in moments:
            run = self._known.get(moment.candidate.id)
            if run and run.info.status == "FINISHED":
                self._log(run, [], {}, self._tags(moment.candidate))
                before += 1
            else:
                self._write(moment, program(moment.candidate), run)
        return Written(self._uri, self._name, len(moments) - before, before)

    def _write(self, moment: Moment, text: str, run: Any) -> None:
        candidate, loss = moment.candidate, self._history.loss
        tags = self._tags(candidate)
        start = self._recorded.asked(candidate) or moment.at
        run = run or self._create(f"{candidate.id} {candidate.operator}", tags, start)
        at_full = {name: value for name, value in candidate.metrics.items() if name != loss}
        for name, value in candidate.fitness.values.items() if candidate.fitness else ():
            at_full |= {name: value.mean} if name != loss else {}
            at_full |= {f"{name}_sem": value.sem} if value.sem is not None else {}
        metrics = self._metrics(at_full, moment.at, 100)
        for rung, losses in candidate.losses.items():
            metrics += self._metrics({loss: fmean(losses)}, moment.at, 100 * float(rung))
        self._log(run, metrics, {name: str(value) for name, value in candidate.params.items()}, tags)
        self._client.log_text(run.info.run_id, text, "train.py")
        self._client.set_terminated(run.info.run_id, "FINISHED", round(1000 * moment.at))

    def _tags(self, candidate: Candidate) -> dict[str, str]:
        return {
            CANDIDATE: candidate.id,
            "mlflow.parentRunId": self._known[SEARCH].info.run_id,
            "operator": cut(candidate.operator, TEXT),
            "parents": " ".join(candidate.parents),
            "hypothesis": cut(candidate.hypothesis, TEXT),
            "confirmed": "yes" if candidate.confirmed else "no",
            "front": "yes" if candidate.id in self._front else "no",
            "standing": str(standing(self._history, candidate)),
        }

    def _create(self, name: str, tags: Mapping[str, str], start: float) -> Any:
        tags = {RUN: self._run, **tags}
        return self._client.create_run(self._experiment, round(1000 * start), tags, cut(name, TEXT))

    def _metrics(self, values: Mapping[str, float], at: float, step: float) -> list[Any]:
        return [self._entities.Metric(_key(k), v, round(1000 * at), round(step)) for k, v in values.items()]

    def _log(self, run: Any, metrics: list[Any], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """In as few batches as MLflow takes; tags that are there as they are to be are left."""
        waiting = {
            "metrics": metrics,
            "params": [self._entities.Param(_key(k), v) for k, v in params.items()],
            "tags": [self._entities.RunTag(k, v) for k, v in tags.items() if run.data.tags.get(k) != v],
        }
        while any(waiting.values()):
            self._client.log_batch(run.info.run_id, **{k: rows[: MOST[k]] for k, rows in waiting.items()})
            waiting = {k: rows[MOST[k] :] for k, rows in waiting.items()}

    def _runs(self) -> Iterator[Any]:
        token = None
        while True:
            page = self._client.search_runs([self._experiment], max_results=PAGE, page_token=token)
            yield from page
            if not (token := page.token):
                return


def _key(name: str) -> str:
    """A name with the characters that MLflow takes."""
    return re.sub(r"[^\w.:/ -]", "_", name, flags=re.ASCII)[:250]
