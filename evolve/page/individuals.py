"""What the page shows of each individual, as plain values: one row each, in the order in which they were told.

Where there is no room for all of it, the least interesting go without log, then without code, then altogether.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evolve.gains import fronts
from evolve.history import History
from evolve.journal import cut, plain, verdict
from evolve.lineage import with_ancestors
from evolve.model import Candidate, Estimate
from evolve.page.programs import Programs
from evolve.reports.standing import standing

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
    """For whom there is room: logs and probes of the ranks up to `logs`, code of those up to `code`.

    `share` of the individuals are on the page, those of the lowest ranks; of one rank the latest.
    """

    logs: int
    code: int
    share: float = 1.0


DETAILS = (
    *(Detail(4, 4), Detail(3, 4), Detail(2, 4), Detail(1, 4), Detail(1, 3), Detail(1, 2), Detail(0, 1)),
    *(Detail(0, 0, 0.8**n) for n in range(41)),
)


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
    before: set[str] = set()
    found: dict[str, tuple[int, int | None]] = {}
    for candidate, members in fronts(history.candidates.values(), history.search.objectives):
        now = {member.id for member in members}
        if candidate.id in now:
            found[candidate.id] = (generation[candidate.id], None)
        found |= {lost: (found[lost][0], generation[candidate.id]) for lost in before - now}
        before = now
    return found


def ranks(history: History, once: Container[str]) -> dict[str, int]:
    """How much of interest each is: 0 the seed and the front with its lineage, 1 `once` on it or quarantined.

    2 measured at the full budget, 3 failed, 4 all others.
    """
    of_verdict = {"ok": 2, "failed": 3}
    found = {
        c.id: 1 if c.quarantined or c.id in once else of_verdict.get(c.verdict, 4) for c in history.candidates.values()
    }
    leading = [*([history.seed] if history.seed else []), *history.front]
    return found | dict.fromkeys(with_ancestors(history.candidates, leading), 0)


class Individuals:
    """The rows of a run with the tables that they refer to, in as much detail as there is room for."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._logs = _logs(history)
        self.generation = generations(history)
        self._tenures = tenures(history, self.generation)
        self._ranks = ranks(history, self._tenures)
        self._addresses: dict[str, int] = {}
        self._defaults: dict[tuple[tuple[int, float], ...], int] = {}
        self._rows = {candidate.id: self._row(candidate) for candidate in history.candidates.values()}

    def shown(self, share: float) -> list[Candidate]:
        """Who is on the page, in the order in which they were told."""
        everybody = list(self._history.candidates.values())
        if share == 1.0:
            return everybody
        best = sorted(everybody, key=lambda c: (self._ranks[c.id], c.index > 0, -c.index))
        chosen = {c.id for c in best[: max(1, int(share * len(everybody)))]}
        return [c for c in everybody if c.id in chosen]

    def rows(self, detail: Detail) -> tuple[list[dict[str, Any]], Programs]:
        """One for each that is shown, and their programs."""
        programs, rows = Programs(), []
        for c in self.shown(detail.share):
            row = dict(self._rows[c.id])
            if c.verdict != "rejected" and self._ranks[c.id] <= detail.code:
                row["program"] = programs.add(c, _line(self._history, c))
            if self._ranks[c.id] <= detail.logs:
                row["checks"] = {plain(name): cut(found, PROBE) for name, found in c.checks.items()}
                row["log"] = self._logs.get(f"ask/{c.index}", "")
            rows.append(row)
        return rows, programs

    def table(self, detail: Detail) -> dict[str, Any]:
        """Columns, since these take less room than rows, and the tables of knobs and programs."""
        rows, programs = self.rows(detail)
        names = list(dict.fromkeys(name for row in rows for name in row))
        used = {row["defaults"] for row in rows if "defaults" in row}
        return {
            "columns": {name: [row.get(name) for row in rows] for name in names},
            "addresses": list(self._addresses),
            "defaults": [list(map(list, known)) if n in used else 0 for known, n in self._defaults.items()],
            **programs.table(),
        }

    def left_out(self, detail: Detail) -> tuple[int, int, int]:
        """For want of room: how many are not on the page; and of those that are, without log and probes, and code."""
        shown = [self._ranks[c.id] for c in self.shown(detail.share)]
        away = len(self._history.candidates) - len(shown)
        return away, sum(rank > detail.logs for rank in shown), sum(rank > detail.code for rank in shown)

    def _row(self, c: Candidate) -> dict[str, Any]:
        """All but what there may be no room for."""
        since, until = self._tenures.get(c.id, (None, None))
        return {
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
