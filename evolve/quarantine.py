"""Who is out of the search because a violation was proven. Values only; who decides it is `evolve.audits`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

PREFIX = "quarantined"  # begins the reason of a child that was told after its lineage was found guilty


@dataclass(frozen=True)
class Case:
    """A violation that candidate `origin` was proven to commit, and all who are out of the search for it, it first.

    `guilty`: its own edits brought the violation in, so nobody may carry them. They did not where an ancestor is guilty
    whose edits it carries.
    """

    origin: str
    violation: str
    ids: tuple[str, ...]
    guilty: bool


def case_record(case: Case) -> dict[str, Any]:
    return {**asdict(case), "ids": list(case.ids)}


def case_from(record: Mapping[str, Any]) -> Case:
    return Case(**{**record, "ids": tuple(record["ids"])})


def marks(cases: Iterable[Case]) -> dict[str, str]:
    """The violation for which each candidate is out; its own comes before another's."""
    found: dict[str, str] = {}
    own: dict[str, str] = {}
    for case in cases:
        own[case.origin] = case.violation
        for name in case.ids:
            found.setdefault(name, case.violation)
    return found | own
