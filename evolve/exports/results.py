"""`results.tsv` as karpathy/autoresearch keeps it, for the notebooks and scripts that read such files.

Five columns between tabs, in the words of its program.md: "git commit hash (short, 7 chars)"; "val_bpb achieved (e.g.
1.234567), use 0.000000 for crashes"; "peak memory in GB, round to .1f, use 0.0 for crashes"; "status: keep, discard, or
crash"; "short text description of what this experiment tried". One row for each candidate that was trained, in the
order in which they were finished. What there is no word for in autoresearch:

* commit: the first 7 hex digits of the SHA-256 of the program and its numbers, as a run has no commits.
* val_bpb: the first objective, under its own name. Who did not come to the full budget has the best loss of the highest
  rung that it reached, which is a higher loss than it would have had, and the description says which rung.
* keep: it entered the Pareto front when it was finished, by loss or by speed. A proven violation is a crash, since its
  score is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evolve.exports import cells
from evolve.exports.recorded import Recorded
from evolve.gains import fronts
from evolve.history import History
from evolve.journal import HYPOTHESIS, cut
from evolve.model import Candidate, digest

MEGABYTES = 1024.0  # in a gigabyte, as upstream divides


def results_tsv(recorded: Recorded) -> str:
    """The table as text."""
    history = recorded.history
    rows = [["commit", history.loss, "memory_gb", "status", "description"], *_rows(history)]
    return "".join("\t".join(row) + "\n" for row in rows)


def _rows(history: History) -> Iterator[list[str]]:
    kept = _kept(history)
    for candidate in history.candidates.values():
        if candidate.verdict in ("rejected", "duplicate"):
            continue
        losses = history.losses_of(candidate) or _tuned(history, candidate)
        scored = bool(losses) and candidate.verdict != "failed" and not candidate.quarantined
        loss = losses[max(losses, key=float)] if scored else 0.0
        status = "keep" if candidate.id in kept else "discard" if scored else "crash"
        memory = _memory(history, candidate) / MEGABYTES if scored else 0.0
        yield [_commit(candidate), f"{loss:.6f}", f"{memory:.1f}", status, _description(candidate, losses)]


def _kept(history: History) -> set[str]:
    """Who entered the front when it was told."""
    told = fronts(history.candidates.values(), history.search.objectives)
    return {one.id for one, members in told if any(member is one for member in members)}


def _tuned(history: History, candidate: Candidate) -> dict[str, float]:
    """The best loss of the low rung, where that was all: by its share of the budget."""
    owner = f"ask/{candidate.index}"
    losses = [loss for _, loss in history.study(owner).trials if loss is not None]
    return {f"{history.rungs_of.get(owner, history.all_rungs)[0]:g}": min(losses)} if losses else {}


def _commit(candidate: Candidate) -> str:
    return digest(candidate.genome.source + cells.numbers(candidate.params))[:7]


def _memory(history: History, candidate: Candidate) -> float:
    """The most that any of its trials took, in MB; 0 where the judge does not say."""
    owner = f"ask/{candidate.index}"
    outcomes = [history.outcomes.get((owner, n)) for n in range(candidate.trials)]
    return max((o.metrics.get("peak_memory_mb", 0.0) for o in outcomes if o), default=0.0)


def _description(candidate: Candidate, losses: Mapping[str, float]) -> str:
    if candidate.index == 0:
        return "baseline"
    parents = " and ".join(candidate.parents)
    said = f"{candidate.id} {candidate.operator} of {parents}: {cut(candidate.hypothesis, HYPOTHESIS)}"
    if candidate.quarantined:
        return cells.text(f"{said} [quarantined: {cut(candidate.quarantined, HYPOTHESIS)}]")
    if candidate.verdict == "failed":
        return cells.text(f"{said} [{cut(candidate.reason, HYPOTHESIS)}]")
    rung = max(losses, key=float, default="")
    return cells.text(said if rung in ("", "1") else f"{said} [pruned at {rung} of the budget]")
