"""What is written in a spool: jobs, outcomes and introductions of judges. All of it is checked when it is read.

Whoever can write into the folder can make up scores, as whoever runs the judges can; but nothing that lies in it
breaks the process that reads it, and a program from it runs in a box like any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

from evolve.config import LONGEST
from evolve.executors.local import PATIENCE, SLOWEST
from evolve.journal import plain
from evolve.model import Genome, Outcome, Purpose, Status, Trial, digest
from evolve.spool.conditions import Conditions, conditions_from, conditions_record

FORMAT = 1
MANY = 1000  # metrics or checks of an outcome, at most
OUT_OF_FORM = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError)

Record = dict[str, Any]


def stem(run: str, owner: str, n: int, trial: Trial) -> str:
    """What a trial is called in a spool: the same whenever the run asks for it again, in the order of the asks.

    A job is called so with one more number, which grows when a trial has to be run again.
    """
    number = owner.rpartition("/")[2]
    what = (run, owner, trial.genome.id, sorted(trial.params.items()), trial.budget, trial.rung, trial.scale)
    name = digest(repr((*what, trial.seed, trial.purpose)))
    return f"{run[:8]}-{int(number) if number.isdecimal() else 0:06}-{n:03}-{name}"


@dataclass(frozen=True)
class Job:
    """A trial as it travels: a program with its numbers written into it, and under which conditions it is to run."""

    trial: Trial
    conditions: Conditions


@dataclass(frozen=True)
class Introduction:
    """What a judge said of itself when it was ready, with the options it was given."""

    hello: Record
    conditions: Conditions

    @property
    def name(self) -> str:
        """The same for judges that nobody could tell apart."""
        return digest(repr((conditions_record(self.conditions), self.hello.get("device"), self.hello.get("unsafe"))))


def job_record(trial: Trial, source: str, conditions: Conditions) -> Record:
    about = {"budget": trial.budget, "rung": trial.rung, "seed": trial.seed, "purpose": trial.purpose}
    return {"format": FORMAT, "source": source, "trial": about, "conditions": conditions_record(conditions)}


def job_from(record: Record) -> Job:
    """Raises `ValueError`, with what is wrong, for what is no job."""
    try:
        conditions, about, source = conditions_from(record["conditions"]), record["trial"], record["source"]
        budget, rung, seed, purpose = float(about["budget"]), float(about["rung"]), about["seed"], about["purpose"]
    except OUT_OF_FORM as error:
        raise ValueError(f"no job: {type(error).__name__}: {error}") from error
    if record.get("format") != FORMAT:
        raise ValueError(f"a job of format {record.get('format')!r}, and {FORMAT} is known here")
    if not isinstance(source, str) or purpose not in get_args(Purpose):
        raise ValueError("no job: its source is no text, or its purpose is none")
    if not (0 < budget <= LONGEST and 0 < rung <= 1 and type(seed) is int and 0 <= seed < 2**63):
        raise ValueError(f"no job: budget {budget}, rung {rung} or seed {str(seed)[:40]} is none")
    return Job(Trial(Genome(_encodable(source)), {}, budget, rung, conditions.scale, seed, purpose), conditions)


def outcome_record(job: str, conditions: Conditions, outcome: Outcome) -> Record:
    about = {"format": FORMAT, "job": job, "conditions": conditions_record(conditions)}
    return about | {"outcome": asdict(outcome)}


def outcome_from(record: Record, job: str, trial: Trial) -> tuple[Outcome, Conditions]:
    """An outcome of `job` and how it was measured. Raises `ValueError`, with what is wrong, for what is none.

    Metrics and seconds may still be no finite numbers; what a judge says is looked through by whoever records it.
    """
    try:
        if record["format"] != FORMAT or record["job"] != job:
            raise ValueError(f"it is that of {str(record['job'])[:80]}, in format {str(record['format'])[:10]}")
        told = record["outcome"]
        outcome = Outcome(
            status=told["status"],
            metrics={_text(name): float(value) for name, value in told["metrics"].items()},
            checks={_text(name): _text(found) for name, found in told["checks"].items()},
            seconds=float(told["seconds"]),
            **{name: _text(told[name]) for name in ("log_tail", "device", "reason", "violation")},
        )
        conditions = conditions_from(record["conditions"])
    except OUT_OF_FORM as error:
        raise ValueError(f"no outcome: {type(error).__name__}: {error}") from error
    if outcome.status not in get_args(Status):
        raise ValueError(f"no outcome: the status {str(outcome.status)[:40]!r} is none")
    if len(outcome.metrics) > MANY or len(outcome.checks) > MANY:
        raise ValueError("no outcome: it has thousands of metrics or checks")
    if math.isfinite(outcome.seconds) and outcome.seconds > PATIENCE + SLOWEST * trial.budget:
        raise ValueError(f"no outcome: a trial of {trial.budget:g} s is charged {outcome.seconds:g} s")
    return outcome, conditions


def introduction_record(introduction: Introduction) -> Record:
    return {
        "format": FORMAT,
        "hello": introduction.hello,
        "conditions": conditions_record(introduction.conditions),
    }


def introduction_from(record: Record) -> Introduction:
    """Raises `ValueError` for what is no introduction."""
    try:
        hello, conditions = record["hello"], conditions_from(record["conditions"])
        if record["format"] != FORMAT or not isinstance(hello, dict) or hello["corpus"]["sha256"] != conditions.corpus:
            raise ValueError("another format, or another text than in its conditions")
    except OUT_OF_FORM as error:
        raise ValueError(f"no introduction: {type(error).__name__}: {error}") from error
    return Introduction(_readable(hello), conditions)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} is no text")
    return _encodable(value)


def _encodable(text: str) -> str:
    """Without halves of characters, which JSON may hold and UTF-8 may not."""
    return text.encode(errors="replace").decode()


def _readable(value: Any) -> Any:
    """The same JSON value with nothing in its texts that could steer a terminal, and no number that is none."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Mapping):
        return {plain(str(name)): _readable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_readable(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
