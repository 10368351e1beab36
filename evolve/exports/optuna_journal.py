"""A run as a journal file of Optuna, which optuna-dashboard opens: `optuna-dashboard FILE`.

One study with the run's objectives and directions; a trial is a candidate, in the order in which they were finished.
Those refused or seen before were never trained, and are left out. Optuna's Pareto front is the run's: what keeps a
candidate from ours is a constraint there (`constraints`, feasible where none is above 0), in this order:

1. how far its loss is above the target, where it does not reach it. Its seconds to the target are then the full budget,
   which they exceed, because Optuna wants every value of a finished trial.
2. how many seeds are missing to the three of a confirmed one.

A failed candidate is a failed trial, and so is one in quarantine, whose score is none; one that was pruned is pruned.
Parameters are knobs by address; one whose range Optuna cannot join with that of another candidate has its range in its
name. All else is in the user attributes.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from optuna import create_study
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)
from optuna.exceptions import ExperimentalWarning
from optuna.logging import WARNING, set_verbosity
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from evolve.evaluation import FRONT_SEEDS
from evolve.exports import cells
from evolve.exports.recorded import Recorded
from evolve.history import History
from evolve.model import Candidate, Knob, Number
from evolve.objectives import SECONDS_TO_TARGET

set_verbosity(WARNING)


class _Journal(BaseJournalBackend):
    """The operations of a journal, kept in memory: in a file each of thousands would be a lock and a sync."""

    def __init__(self) -> None:
        self.operations: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        yield from self.operations[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.operations += json.loads(json.dumps(logs))


def optuna_journal(recorded: Recorded) -> str:
    """The file as text: what `JournalFileBackend` reads, a JSON object a line."""
    history, journal = recorded.history, _Journal()
    objectives = history.search.objectives
    study = create_study(
        storage=JournalStorage(journal),
        study_name=recorded.directory.resolve().name,
        directions=[objective.direction for objective in objectives],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # there since 3.2, and a dashboard needs it
        study.set_metric_names([objective.name for objective in objectives])
    for name in ("target", "scale", "budget", "seed"):
        study.set_user_attr(name, history.header["settings"].get(name))
    if history.weakness:
        study.set_user_attr("isolation", history.weakness)
    space = _Space()
    for candidate in history.candidates.values():
        if candidate.verdict not in ("rejected", "duplicate"):
            study.add_trial(_trial(recorded, candidate, space))
    return "".join(json.dumps(operation, separators=(",", ":")) + "\n" for operation in journal.operations)


def _trial(recorded: Recorded, candidate: Candidate, space: _Space) -> FrozenTrial:
    values = _values(recorded.history, candidate)
    state = TrialState.PRUNED if candidate.verdict == "pruned" else TrialState.COMPLETE if values else TrialState.FAIL
    params, distributions = space.coded(candidate)
    trial = create_trial(
        state=state,
        values=values,
        params=params,
        distributions=distributions,
        user_attrs=_attributes(recorded.history, candidate),
        system_attrs={"constraints": _constraints(recorded.history, candidate)} if values else {},
    )
    ended = recorded.told(candidate)
    trial.datetime_start = _time(recorded.asked(candidate), ended)
    trial.datetime_complete = _time(ended, None)
    return trial


def _values(history: History, candidate: Candidate) -> list[float] | None:
    """The objectives in their order; None for a candidate that has no score."""
    fitness = candidate.fitness
    if fitness is None or candidate.verdict != "ok" or candidate.quarantined:
        return None
    found = {name: estimate.mean for name, estimate in fitness.values.items()}
    if not fitness.feasible:
        found.setdefault(SECONDS_TO_TARGET, float(history.header["settings"]["budget"]))
    names = [objective.name for objective in history.search.objectives]
    return [found[name] for name in names] if found.keys() >= set(names) else None


def _constraints(history: History, candidate: Candidate) -> list[float]:
    assert candidate.fitness is not None
    seeds = min((estimate.n for estimate in candidate.fitness.values.values()), default=0)
    return [max(0.0, candidate.fitness.violation), float(max(0, FRONT_SEEDS - seeds))]


def _attributes(history: History, candidate: Candidate) -> dict[str, Any]:
    """What is known of a candidate besides its numbers; nothing that is empty."""
    fitness, effect = candidate.fitness, candidate.effect
    found: dict[str, Any] = {
        "id": candidate.id,
        "parents": " ".join(candidate.parents),
        "operator": cells.text(candidate.operator),
        "hypothesis": cells.text(candidate.hypothesis),
        "edits": cells.edits(candidate),
        "verdict": candidate.verdict,
        "reason": cells.text(candidate.reason),
        "quarantined": cells.text(candidate.quarantined),
        "program": candidate.genome.id,
    }
    found = {name: value for name, value in found.items() if value}
    found |= {"front": any(m.id == candidate.id for m in history.front), "confirmed": candidate.confirmed}
    found |= {f"loss at {rung}": loss for rung, loss in history.losses_of(candidate).items()}
    if effect:
        found |= {"effect": effect.delta, "effect's standard error": effect.error}
    for name, estimate in (fitness.values if fitness else {}).items():
        found |= {f"{name}: standard error": estimate.sem, f"{name}: seeds": estimate.n}
        found |= {f"{name}: below": True} if estimate.censored else {}
    return found | {name: value for name, value in candidate.metrics.items() if name not in found}


class _Space:
    """The knobs of all candidates: parameters that Optuna takes for one have one name."""

    def __init__(self) -> None:
        self._first: dict[str, BaseDistribution] = {}

    def coded(self, candidate: Candidate) -> tuple[dict[str, Number], dict[str, BaseDistribution]]:
        """Numbers and distributions of a candidate, by name."""
        params: dict[str, Number] = {}
        distributions: dict[str, BaseDistribution] = {}
        for knob in candidate.genome.knobs:
            value = candidate.params.get(knob.address)
            if value is not None and (value in knob.values or not knob.values and knob.low <= value <= knob.high):
                distribution = _distribution(knob)
                name = self._name(knob, distribution)
                params[name], distributions[name] = value, distribution
        return params, distributions

    def _name(self, knob: Knob, distribution: BaseDistribution) -> str:
        """The address where that can be, else with what is different."""
        declared = "|".join(map(str, knob.values)) or f"{knob.low}..{knob.high}{' log' * knob.log}"
        for name in (knob.address, f"{knob.address} ({knob.kind})", f"{knob.address} ({knob.kind} {declared})"):
            if self._joins(name, distribution):
                return name
        return f"{knob.address} ({distribution!r})"

    def _joins(self, name: str, distribution: BaseDistribution) -> bool:
        try:
            check_distribution_compatibility(self._first.setdefault(name, distribution), distribution)
        except ValueError:
            return False
        return True


def _distribution(knob: Knob) -> BaseDistribution:
    if knob.kind == "choice":
        return CategoricalDistribution(knob.values)
    if knob.kind == "int":
        return IntDistribution(int(knob.low), int(knob.high), log=knob.log)
    return FloatDistribution(knob.low, knob.high, log=knob.log)


def _time(*times: float | None) -> datetime | None:
    """The first that is known, in the local time without a zone that Optuna uses."""
    return next((datetime.fromtimestamp(at, UTC).astimezone().replace(tzinfo=None) for at in times if at), None)
