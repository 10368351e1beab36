"""What the page shows of each individual, as plain values: one row each, in the order in which they were told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evolve.history import History
from evolve.journal import cut, plain, verdict
from evolve.model import Candidate, Estimate
from evolve.page.programs import Programs
from evolve.reports.standing import standing
from evolve.selection import front

TEXT = 600  # characters of a hypothesis or a reason
LOG_LINES, LOG = 12, 1500  # lines and characters of a log that are kept
PROBE = 200  # characters of what a probe found
EDITS = 8
KINDS = {  # of an individual, and what the page says of each
    "seed": "the seed program",
    "front": "on the Pareto front",
    "dominated": "a member of the front is at least as good in everything",
    "unconfirmed": "not dominated, but trained with fewer than three seeds",
    "infeasible": "does not reach the seed's loss at the full budget",
    "quarantined": "out of the search: a violation was proven",
    "pruned": "not promoted to the full budget",
    "failed": "did not come to its end",
    "duplicate": "seen before",
    "rejected": "no child was made",
    "unmeasured": "without a fitness",
}


@dataclass(frozen=True)
class Detail:
    """For whom there is room, by `rank`: logs and probes of the ranks up to `logs`, code of those up to `code`."""

    logs: int
    code: int


DETAILS = (Detail(4, 4), Detail(3, 4), Detail(2, 4), Detail(1, 4), Detail(1, 3), Detail(1, 2), Detail(0, 1))


def kind_of(history: History, candidate: Candidate) -> str:
    """One of `KINDS`: its standing, or what became of it before it had one."""
    if candidate.index == 0:
        return "seed"
    return standing(history, candidate) or (candidate.verdict if candidate.verdict != "ok" else "unmeasured")


def generations(history: History) -> dict[str, int]:
    """The generation in which each candidate was told: 0 for the seed, then from 1; as `evolve.stopping` counts."""
    offspring = max(1, int(history.header["settings"]["offspring"]))
    found, finished = {}, 0
    for candidate in history.candidates.values():
        measured = candidate.index > 0 and candidate.rung > 0 and candidate.verdict not in ("rejected", "duplicate")
        found[candidate.id] = 1 + finished // offspring if candidate.index else 0
        finished += measured
    return found


def tenures(history: History, generation: Mapping[str, int]) -> dict[str, tuple[int, int | None]]:
    """From which generation on a candidate was on the front, and from which on no longer; None while it still is.

    As if those in quarantine had never been, like the progress of the run.
    """
    members: list[Candidate] = []
    found: dict[str, tuple[int, int | None]] = {}
    for candidate in history.candidates.values():
        if not candidate.confirmed or candidate.quarantined or candidate.verdict != "ok":
            continue
        after = front([*members, candidate], history.search.objectives)
        now = {member.id for member in after}
        if candidate.id in now:
            found[candidate.id] = (generation[candidate.id], None)
        for lost in (member.id for member in members if member.id not in now):
            found[lost] = (found[lost][0], generation[candidate.id])
        members = after
    return found


def ranks(history: History) -> dict[str, int]:
    """How much of interest each is: 0 the front with its lineage, 1 quarantined, 2 at the full budget, 3 failed, 4."""
    found = {}
    for candidate in history.candidates.values():
        measured = candidate.verdict == "ok"
        found[candidate.id] = (
            1 if candidate.quarantined else 2 if measured else 3 if candidate.verdict == "failed" else 4
        )
    waiting = ["0", *(member.id for member in history.front)]
    while waiting:
        name = waiting.pop()
        if name in history.candidates and found[name]:
            found[name] = 0
            waiting += history.candidates[name].parents
    return found


class Individuals:
    """The rows of a run with the tables that they refer to, with as much detail as there is room for."""

    def __init__(self, history: History, detail: Detail) -> None:
        self._history = history
        self._detail = detail
        self._ranks = ranks(history)
        self._logs = _logs(history)
        self.generation = generations(history)
        self._tenures = tenures(history, self.generation)
        self.programs = Programs()
        self._addresses: dict[str, int] = {}
        self._defaults: dict[tuple[tuple[int, float], ...], int] = {}
        self.rows = [self._row(candidate) for candidate in history.candidates.values()]

    def table(self) -> dict[str, Any]:
        """Columns, since these take less room than rows, and the tables of knobs and programs."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        return {
            "columns": {name: [row.get(name) for row in self.rows] for name in names},
            "addresses": list(self._addresses),
            "defaults": [list(map(list, known)) for known in self._defaults],
            **self.programs.table(),
        }

    @property
    def left_out(self) -> tuple[int, int]:
        """How many individuals are without their log and probes, and without their code, for want of room."""
        logs = sum(rank > self._detail.logs for rank in self._ranks.values())
        code = sum(rank > self._detail.code for rank in self._ranks.values())
        return logs, code

    def _row(self, c: Candidate) -> dict[str, Any]:
        since, until = self._tenures.get(c.id, (None, None))
        row: dict[str, Any] = {
            "id": c.id,
            "generation": self.generation[c.id],
            "kind": kind_of(self._history, c),
            "operator": plain(c.operator),
            "parents": list(c.parents),
            "since": since,
            "until": until,
            "verdict": "" if c.index == 0 else verdict(c),
            "reason": cut(c.reason, TEXT),
            "hypothesis": cut(c.hypothesis, TEXT),
            "idea": cut(c.idea, TEXT),
            "expected": c.expected,
            "effect": [short(c.effect.delta), c.effect.error and short(c.effect.error), c.effect.rung]
            if c.effect
            else None,
            "values": [_estimate(c.fitness.values.get(o.name)) for o in self._history.search.objectives]
            if c.fitness
            else None,
            "violation": short(c.fitness.violation) if c.fitness and not c.fitness.feasible else 0,
            "quarantined": cut(c.quarantined, TEXT),
            "losses": {rung: [short(v) for v in losses] for rung, losses in c.losses.items()},
            "best": {rung: short(loss) for rung, loss in self._history.rung_losses(c).items()},
            "metrics": {plain(name): short(value) for name, value in c.metrics.items()},
            "seconds": short(c.seconds),
            "trials": c.trials,
            "tokens": c.cost.tokens,
            "usd": short(c.cost.usd),
            "edits": [f"{e.op} {plain(e.target)}" for e in c.edits[:EDITS]],
            **self._knobs(c),
        }
        if c.verdict != "rejected" and self._ranks[c.id] <= self._detail.code:
            row["program"] = self.programs.add(c, _line(self._history, c))
        if self._ranks[c.id] <= self._detail.logs:
            row["checks"] = {plain(name): cut(found, PROBE) for name, found in c.checks.items()}
            row["log"] = self._logs.get(f"ask/{c.index}", "")
        return row

    def _knobs(self, c: Candidate) -> dict[str, Any]:
        """The number of its table of defaults, and the values that are not the default, by number of the address."""
        if c.verdict == "rejected":
            return {}
        number = {k.address: self._addresses.setdefault(plain(k.address), len(self._addresses)) for k in c.genome.knobs}
        known = tuple((number[k.address], k.default) for k in c.genome.knobs)
        tuned = {k.address: c.params.get(k.address, k.default) for k in c.genome.knobs}
        changed = {number[k.address]: short(tuned[k.address]) for k in c.genome.knobs if tuned[k.address] != k.default}
        return {"defaults": self._defaults.setdefault(known, len(self._defaults)), "knobs": changed}


def short(value: float) -> float:
    """Five significant digits, which is what is shown; whole numbers as they are."""
    return int(value) if value == int(value) else float(f"{value:.5g}")


def _estimate(value: Estimate | None) -> list[Any] | None:
    """Mean, standard error or None, number of seeds, and whether it is censored."""
    if value is None:
        return None
    return [short(value.mean), None if value.sem is None else short(value.sem), value.n, int(value.censored)]


def _line(history: History, candidate: Candidate) -> Iterator[Candidate]:
    """The ancestors along first parents, the nearest first."""
    while candidate.parents and candidate.parents[0] in history.candidates:
        candidate = history.candidates[candidate.parents[0]]
        yield candidate


def _logs(history: History) -> dict[str, str]:
    """The end of the last log of each owner of trials."""
    tails = {owner: outcome.log_tail for (owner, _), outcome in history.outcomes.items() if outcome.log_tail}
    return {owner: "\n".join(plain(tail[-LOG:]).splitlines()[-LOG_LINES:]) for owner, tail in tails.items()}
