"""A run as two CSV tables: a row for each candidate, a row for each trial. RFC 4180, UTF-8, a header of names.

Columns are what the nouns of `evolve.model` call them. A number that does not exist is an empty cell. Numbers of knobs
are one cell of JSON, since candidates have different knobs. Text from programs and models is one line each; a cell of
it that a spreadsheet would compute begins with an apostrophe (`evolve.exports.cells`). Times are ISO 8601 in UTC.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from evolve.exports import cells
from evolve.exports.recorded import Recorded, moment
from evolve.history import History, Place
from evolve.model import Candidate, Cost, Estimate, Outcome, Trial

Cell = str | float | None
Row = dict[str, Cell]


def candidates_csv(recorded: Recorded) -> str:
    """All that were told, in that order, refused and repeated ones as well.

    For each objective NAME: its mean, `NAME_sem` (standard error of the mean), `NAME_n` (seeds) and `NAME_censored`
    (1: the true value is below). `loss_at_R` is the loss at the share R of the budget, `metric_NAME` a mean at the full
    budget, `effect` the change of the first objective against the best parent. `front` is 1 for its members of now.
    """
    return _table([_candidate(recorded, c) for c in recorded.history.candidates.values()])


def trials_csv(recorded: Recorded) -> str:
    """All that were begun, in that order, with what became of them; `status` is empty where that is not known.

    `owner` is who it was for: `ask/7` candidate 7, `control/1` the seed run again, `audit/7` an audit of candidate 7.
    `budget` and `seconds` are charged seconds, `rung` is the share of the full budget.
    """
    return _table([_trial(recorded, place, trial) for place, trial in recorded.history.trials.items()])


def _candidate(recorded: Recorded, candidate: Candidate) -> Row:
    history = recorded.history
    made = candidate.verdict != "rejected"
    row: Row = {
        "id": candidate.id,
        "verdict": candidate.verdict,
        "front": int(any(member.id == candidate.id for member in history.front)),
        "confirmed": int(candidate.confirmed),
        "operator": cells.text(candidate.operator),
        "parents": " ".join(candidate.parents),
        "hypothesis": cells.text(candidate.hypothesis),
        "edits": cells.edits(candidate),
        "idea": cells.text(candidate.idea),
        "reason": cells.text(candidate.reason),
        "quarantined": cells.text(candidate.quarantined),
        "rung": candidate.rung,
        "infeasible_by": candidate.fitness.violation if candidate.fitness else None,
        **_objectives(history, candidate),
        **{f"loss_at_{rung}": loss for rung, loss in sorted(history.losses_of(candidate).items())},
        "expected": candidate.expected,
        **_effect(candidate),
        "seconds": candidate.seconds,
        "trials": candidate.trials,
        **{f"proposal_{name}": value for name, value in asdict(candidate.cost or Cost()).items()},
        **{f"metric_{name}": value for name, value in sorted(candidate.metrics.items())},
        "program": candidate.genome.id if made else "",
        "params": cells.numbers(candidate.params) if made else "",
        "asked": moment(recorded.asked(candidate)),
        "told": moment(recorded.told(candidate)),
    }
    return row


def _objectives(history: History, candidate: Candidate) -> Row:
    row: Row = {}
    for objective in history.search.objectives:
        name = objective.name
        value = candidate.fitness.values.get(name) if candidate.fitness else None
        row |= {name: None, f"{name}_sem": None, f"{name}_n": None, f"{name}_censored": None}
        if isinstance(value, Estimate):
            row |= {name: value.mean, f"{name}_sem": value.sem, f"{name}_n": value.n}
            row[f"{name}_censored"] = int(value.censored)
    return row


def _effect(candidate: Candidate) -> Row:
    effect = candidate.effect
    return {
        "effect": effect.delta if effect else None,
        "effect_error": effect.error if effect else None,
        "effect_at": effect.rung if effect else None,
    }


def _trial(recorded: Recorded, place: Place, trial: Trial) -> Row:
    (owner, n), history = place, recorded.history
    outcome = history.outcomes.get(place) or Outcome("ok")
    known = place in history.outcomes
    last = f"{owner}/trial/{n}/{history.attempts[place] - 1}"
    return {
        "owner": owner,
        "n": n,
        "purpose": trial.purpose,
        "program": trial.genome.id,
        "scale": trial.scale,
        "rung": trial.rung,
        "budget": trial.budget,
        "seed": trial.seed,
        "attempts": history.attempts[place],
        "status": outcome.status if known else "",
        "seconds": outcome.seconds if known else None,
        "device": cells.text(outcome.device),
        "reason": cells.text(outcome.reason),
        "violation": cells.text(outcome.violation),
        **{f"metric_{name}": value for name, value in sorted(outcome.metrics.items())},
        "params": cells.numbers(trial.params),
        "begun": moment(recorded.at(last)),
        "ended": moment(recorded.at(f"{last}/outcome")),
    }


def _table(rows: Iterable[Mapping[str, Cell]]) -> str:
    """Rows that may have different columns: each column comes where the row that brought it has it."""
    rows = list(rows)
    file = io.StringIO()
    names = {column: cells.text(column) for column in _columns(rows)}
    table = csv.DictWriter(file, list(names), restval="", lineterminator="\r\n")
    table.writerow(names)
    table.writerows(rows)
    return file.getvalue()


def _columns(rows: Iterable[Mapping[str, Cell]]) -> list[str]:
    columns: list[str] = []
    for names in dict.fromkeys(tuple(row) for row in rows):
        place = 0
        for name in names:
            if name in columns:
                place = columns.index(name) + 1
            else:
                columns.insert(place, name)
                place += 1
    return columns
