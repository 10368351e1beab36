"""What follows from the violations that a run has proven: whom to audit, whose edits are guilty, who is out.

A violation is proven of one candidate, but the code that commits it may be older. So its parents are audited, with a
new seed also where an audit was a part of their confirmation, and theirs if that proves a violation too. Guilty are a
violator's own edits, unless it carries those of a guilty ancestor.

Out of the search are descendants that carry any of the guilty edits, at once; and others that carry all of them, once
the violator's parents are cleared, unless they passed an audit with them. Others that carry only some are let be: one
edit of several may be honest, and who would enter the front is audited. All of this is a function of the history: a
restart changes nothing.

Known limits: a guilty parent that passes both of its audits leaves the blame to the edits of its children, until a
violation is proven of itself; an honest edit that came with a cheat in one child is lost to that child's descendants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from evolve.evaluation import Result
from evolve.history import History
from evolve.model import Candidate, Edit, Genome, Mating, Proposal
from evolve.quarantine import PREFIX, Case

Carries = Callable[[str, Edit, Sequence[str]], bool]  # program, edit, programs whose code is not what the edit brought
OWNER = "audit"  # before the id of a candidate, of the trial that audits it


def carries_nothing(source: str, edit: Edit, known: Sequence[str]) -> bool:
    """For runs whose programs are never compared."""
    return False


class Audits:
    """`carries` says whether a program still has what an edit brought in; its answers are kept."""

    def __init__(self, history: History, carries: Carries) -> None:
        self._history = history
        self._says = carries
        self._known: dict[tuple[str, str], frozenset[int]] = {}

    def suspects(self) -> list[Candidate]:
        """Who has to be audited: the nearest measured ancestors of violators, unless they were or are caught."""
        found: dict[str, Candidate] = {}
        for name in self._violators():
            found |= {suspect.id: suspect for suspect in self._suspects_of(self._history.candidates[name])}
        return list(found.values())

    def rulings(self) -> list[Case]:
        """The cases that are not recorded yet, or are recorded otherwise than they stand now."""
        candidates = self._history.candidates
        guilty: list[str] = []
        changed: list[Case] = []
        for name, violation in self._violators().items():
            origin = candidates[name]
            older = set(self._ancestors(origin))
            explained = any(self._has(origin.genome, candidates[g]) for g in guilty if g in older)
            ids = [name]
            if not explained:
                guilty.append(name)
                carriers = [c for c in self._told() if c is not origin and self._has(c.genome, origin)]
                ids += [c.id for c in carriers if self._has_to_go(c.genome, self._line(c), origin)]
            case = Case(name, violation, tuple(ids), not explained)
            if self._history.cases.get(name) != case:
                changed.append(case)
        return changed

    def carried(self, genome: Genome, mating: Mating) -> Case | None:
        """The case for which a child has to go before it is measured; None if there is none."""
        candidates = self._history.candidates
        line = [name for parent in mating.parents for name in self._line(candidates[parent.id])]
        for case in self._history.cases.values():
            if case.guilty and self._has_to_go(genome, line, candidates[case.origin]):
                return case
        return None

    def end_of(self, owner: str) -> Result | None:
        """The end of a child that was made before what it carries was proven to be a violation; None for others."""
        kind, _, number = owner.partition("/")
        made = self._history.proposals.get(int(number)) if kind == "ask" else None
        if not isinstance(made, Proposal):
            return None
        case = self.carried(made.genome, self._history.matings[int(number)])
        if case is None:
            return None
        return Result("failed", made.anchor, self.reason(case), quarantined=case.violation)

    def reason(self, case: Case) -> str:
        """Why a program that carries a guilty edit is refused, in one line."""
        edits = ", ".join(f"{e.op} {e.target}" for e in self._history.candidates[case.origin].edits[:3])
        return f"{PREFIX}: it carries {edits} of candidate {case.origin}, which was proven to break {case.violation}"

    def admissible(self, mating: Mating) -> Mating | None:
        """The mating without inspirations that are in quarantine by now; None if a parent is."""
        told = self._history.candidates
        if any(told[parent.id].quarantined for parent in mating.parents):
            return None
        inspirations = tuple(c for c in mating.inspirations if not told[c.id].quarantined)
        return mating if inspirations == mating.inspirations else replace(mating, inspirations=inspirations)

    def _violators(self) -> dict[str, str]:
        """Candidates of whom a violation is proven, by their own trials or an audit; ancestors come first."""
        candidates = self._history.candidates
        found = {c.id: c.violation for c in candidates.values() if c.violation}
        for (owner, _), outcome in self._history.outcomes.items():
            kind, _, name = owner.partition("/")
            if kind == OWNER and outcome.violation:
                found.setdefault(name, outcome.violation)
        return dict(sorted(found.items(), key=lambda item: candidates[item[0]].index))

    def _suspects_of(self, child: Candidate) -> list[Candidate]:
        return [c for c in self._answerable(child) if not (c.violation or c.quarantined or self._audited(c))]

    def _answerable(self, child: Candidate) -> Iterator[Candidate]:
        """The parents of a candidate, but for the seed; where one never worked, those before it."""
        for parent in (self._history.candidates[name] for name in child.parents if name != "0"):
            if parent.verdict == "ok":
                yield parent
            elif not parent.violation:
                yield from self._answerable(parent)

    def _audited(self, candidate: Candidate) -> bool:
        """Whether it was audited because of a violation; an audit that crashes, or that the machine spoils, is let be.

        That it passed one when it was confirmed is not enough: its child was caught with what may be its code.
        """
        return (f"{OWNER}/{candidate.id}", 0) in self._history.outcomes

    def _passed(self, candidate: Candidate) -> bool:
        """Whether it was audited, and nothing was found."""
        history, owner = self._history, f"ask/{candidate.index}"
        places = [(f"{OWNER}/{candidate.id}", 0), *((owner, n) for n in range(candidate.trials))]
        ended = [place for place in places if place in history.outcomes]
        audits = [history.outcomes[place] for place in ended if history.trials[place].purpose == "audit"]
        return bool(audits) and all(outcome.status == "ok" for outcome in audits)

    def _has_to_go(self, genome: Genome, line: Sequence[str], origin: Candidate) -> bool:
        """Whether a program is out for what `origin` brought in; `line` are its ancestors, and itself if it was told.

        One of another line that passed an audit with the same code may keep it, and so may its children.
        """
        found = self._carried(genome, origin)
        if not found or origin.id in line:
            return bool(found)
        whole = found == self._carried(origin.genome, origin)
        return whole and not self._suspects_of(origin) and not self._acquitted(line, origin)

    def _acquitted(self, line: Sequence[str], origin: Candidate) -> bool:
        """Whether one of `line` passed an audit with all of the code that `origin` brought in."""
        all_of_it = self._carried(origin.genome, origin)
        told = [self._history.candidates[name] for name in line]
        return any(self._passed(c) and self._carried(c.genome, origin) == all_of_it for c in told if c.index)

    def _told(self) -> list[Candidate]:
        """Who may have to go: the seed defines what is allowed, and who has no program of its own is nobody."""
        made = ("ok", "pruned", "failed")
        return [
            c for c in self._history.candidates.values()
            if c.index and c.verdict in made and not c.reason.startswith(PREFIX)
        ]  # fmt: skip

    def _line(self, candidate: Candidate) -> list[str]:
        return [candidate.id, *self._ancestors(candidate)]

    def _ancestors(self, candidate: Candidate) -> list[str]:
        found: dict[str, None] = {}
        waiting = list(candidate.parents)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = None
                waiting += self._history.candidates[name].parents
        return list(found)

    def _has(self, genome: Genome, origin: Candidate) -> bool:
        """Whether a program carries what one of the edits of `origin` brought in."""
        return bool(self._carried(genome, origin))

    def _carried(self, genome: Genome, origin: Candidate) -> frozenset[int]:
        """The edits of `origin`, by number, of which a program carries what they brought to the parents of `origin`."""
        key = genome.id, origin.id
        if key not in self._known:
            known = [self._history.candidates[name].genome.source for name in origin.parents]
            edits = enumerate(origin.edits)
            self._known[key] = frozenset(n for n, edit in edits if self._says(genome.source, edit, known))
        return self._known[key]
