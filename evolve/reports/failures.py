"""What came to nothing, and why: failures, proven violations, refusals and repeats, alike ones together."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console

from evolve.history import History
from evolve.journal import LOOKED_AT, QUOTED, cut
from evolve.model import Candidate
from evolve.reports.front import print_weakness
from evolve.reports.grid import Grid, Head

EXAMPLES = 2
MOST = 15  # reasons that are shown of a kind
SAID = 160  # characters of a reason or of a log line
NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+(?:x\d+)+|(?<!\w)[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
FAILED = re.compile(r"(?P<status>\w{1,20}) (?P<when>(?:at|in) [^:]{1,40}): (?P<what>.*)", re.S)  # `evaluation.Failed`
LINE = re.compile(r"(?:,)? (?:at|in) line \d+(?: of [\w.]+)?")


@dataclass(frozen=True)
class Group:
    """Candidates that came to nothing for alike reasons, in the order in which they were told."""

    reason: str
    members: tuple[Candidate, ...]

    @property
    def charged(self) -> float:
        return sum(c.seconds for c in self.members)


def alike(reason: str) -> str:
    """What failures with the same cause share: status, type and message of an error, `#` for each number.

    Where in the program it was, and in which trial, is left out.
    """
    reason = reason[: LOOKED_AT * QUOTED]
    if found := FAILED.fullmatch(reason):
        what = found["what"] or found["when"]
        reason = what if found["status"] == "crashed" else f"{found['status']}: {what}"
    return cut(NUMBER.sub("#", LINE.sub("", reason)), SAID)


def groups(candidates: Iterable[Candidate], reason: Callable[[Candidate], str]) -> list[Group]:
    """Most frequent first, then the first one told."""
    found: defaultdict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        found[reason(candidate)].append(candidate)
    return sorted((Group(name, tuple(members)) for name, members in found.items()), key=lambda g: -len(g.members))


def print_failures(console: Console, history: History) -> None:
    """A table for each way of coming to nothing; says so if there was none."""
    print_weakness(console, history)
    told = list(history.candidates.values())
    failed = [c for c in told if c.verdict == "failed"]
    kinds = {
        "Failed": groups(failed, _failure),
        "In quarantine for a proven violation": groups(
            (c for c in told if c.quarantined and c.verdict != "failed"), lambda c: cut(c.quarantined, SAID)
        ),
        "Refused before any training": groups(
            (c for c in told if c.verdict == "rejected"), lambda c: alike(c.reason) or "no reason given"
        ),
        "Seen before": groups((c for c in told if c.verdict == "duplicate"), lambda _: "has the structure of another"),
    }
    for title, found in kinds.items():
        if found:
            count = sum(len(g.members) for g in found)
            charged = sum(g.charged for g in found)
            seconds = f", {charged:,.1f} of {history.charged:,.1f} charged seconds" if charged else ""
            console.print(f"{title}: {count} of {len(told)} candidates{seconds}", highlight=False)
            console.print("", _table(history, found, count), "", sep="\n", crop=False)
    if not any(kinds.values()):
        console.print(f"No failure, no refusal and no repeat among {len(told)} candidates.", highlight=False)
    if said := _trials(history, failed):
        console.print(said, highlight=False)


def _failure(candidate: Candidate) -> str:
    violation = cut(candidate.violation, SAID)
    return f"proven violation: {violation}" if violation else alike(candidate.reason)


def _table(history: History, found: Sequence[Group], count: int) -> Grid:
    heads = [Head("count"), Head("share", out=1), Head("charged\ns", out=2)]
    heads += [Head("reason (numbers as #),\nby whom, examples", left=True, breaks="anywhere")]
    rows = []
    for group in found[:MOST]:
        by = Counter(c.operator for c in group.members)
        whom = ", ".join(f"{cut(name, 60)} {n}" for name, n in by.most_common())
        lines = [group.reason, f"by {whom}", *(_example(history, c) for c in group.members[:EXAMPLES])]
        share, n = len(group.members) / count, len(group.members)
        rows.append((f"{n:,}", f"{share:.0%}", f"{group.charged:,.1f}", "\n".join(lines)))
    if rest := sum(len(g.members) for g in found[MOST:]):
        rows.append((f"{rest:,}", f"{rest / count:.0%}", "", f"{len(found) - MOST} other reasons"))
    return Grid(heads, rows)


def _example(history: History, candidate: Candidate) -> str:
    """Its id, where it failed, and the last line that it printed; what it tried, if it printed nothing."""
    owner = f"ask/{candidate.index}"
    logs = [o.log_tail for (name, _), o in history.outcomes.items() if name == owner and o.log_tail.strip()]
    last = logs[-1].strip().splitlines()[-1] if logs else ""
    when = FAILED.fullmatch(candidate.reason[: LOOKED_AT * QUOTED])
    line = LINE.search(candidate.reason[: LOOKED_AT * QUOTED])
    where = "".join(f" {w.strip(' ,')}" for w in (when and when["when"], line and line[0]) if w)
    where += f" ({cut(candidate.reason, SAID)})" if candidate.verdict == "duplicate" else ""
    said = f'last printed "{cut(last, SAID)}"' if last else cut(candidate.hypothesis, SAID) or "no child was made"
    return f"{candidate.id}{where}: {said}"


def _trials(history: History, failed: Iterable[Candidate]) -> str:
    """Trials that failed without the end of their candidate: of some numbers, or by a fault of the machine."""
    ended = {f"ask/{c.index}" for c in failed}
    found = Counter(o.status for (name, _), o in history.outcomes.items() if o.status != "ok" and name not in ended)
    lost = history.statuses.total() - len(history.outcomes)
    said = [f"{n} {status}" for status, n in sorted(found.items())] + ([f"{lost} lost or repeated"] if lost else [])
    return f"Trials that failed without the end of their candidate: {', '.join(said)}." if said else ""
