"""The lineage of a candidate as a branch in git: each candidate is a commit with what it was measured to change.

A commit holds the program as it is exported, with the numbers that the candidate was measured with: to check it out is
to have that loss. So a step that changed numbers only is a commit like any other, and what a commit changes is the edit
together with what tuning made of it. A candidate with two parents is a merge commit, unless one of them is an ancestor
of the other. The seed has no commit where the branch begins at one with its text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from evolve.exports.git import FILE_MODE, Repository
from evolve.exports.recorded import Recorded
from evolve.history import History
from evolve.journal import cut, difference, verdict
from evolve.lineage import with_ancestors
from evolve.model import Candidate, Effect, Number
from evolve.reports.columns import with_error

SUBJECT = 72  # characters of a commit's first line
LINE = 1000  # of another line
MODES = (FILE_MODE, "100755")  # of a plain file

Text = Callable[[Candidate], str]


@dataclass
class _Branch:
    """Commits so far. `start` is the one that it begins at, None for none; `older` is by commit."""

    repository: Repository
    path: str
    start: str | None
    mode: str = FILE_MODE
    blob: str = ""  # of the file where it begins
    made: int = 0
    older: dict[str, set[str]] = field(default_factory=dict)  # its ancestors, and itself

    def __post_init__(self) -> None:
        if self.start is None:
            return
        mode, self.blob = self.repository.file(self.start, self.path) or (FILE_MODE, "")
        self.mode = mode if mode in MODES else FILE_MODE
        self.older[self.start] = {self.start}

    def add(self, text: str, parents: Collection[str], message: str, at: float | None) -> str:
        """A commit with this text after `parents`; without any, the one it begins at, if that has the text."""
        blob = self.repository.blob(text)
        if not parents and self.start and self.blob == blob:
            return self.start
        parents = self._apart(parents) or ([self.start] if self.start else [])
        tree = self.repository.tree(self.start, self.path, blob, self.mode)
        commit = self.repository.commit(tree, parents, message, int(at or 0))
        self.older[commit] = {commit}.union(*(self.older[parent] for parent in parents))
        self.made += 1
        return commit

    def _apart(self, commits: Collection[str]) -> list[str]:
        """Those that are no ancestor of another, the first parent's first."""
        different = list(dict.fromkeys(commits))
        return [c for c in different if not any(c in self.older[other] for other in different if other != c)]


def export_branch(
    recorded: Recorded, candidate: Candidate, exported: Text, repository: Repository, name: str, path: str
) -> tuple[str, int]:
    """Make the branch; returns its last commit and the number of new commits.

    `exported` gives a candidate's program as it is exported, `path` is where it is, as `path_within` gives it. The
    branch begins at the commit that is checked out. Raises `ConfigError` with what is wrong; then there is no branch.
    """
    repository.check_new(name)
    branch = _Branch(repository, path, repository.head())
    commits: dict[str, str] = {}
    for one in lineage(recorded.history, candidate):
        parents = [commits[parent] for parent in one.parents]
        commits[one.id] = branch.add(exported(one), parents, _message(recorded.history, one), recorded.told(one))
    repository.create(name, commits[candidate.id])
    return commits[candidate.id], branch.made


def lineage(history: History, candidate: Candidate) -> list[Candidate]:
    """All ancestors and itself, in the order in which they were asked for: parents come before their children."""
    return sorted(with_ancestors(history.candidates, [candidate]).values(), key=lambda one: one.index)


def _message(history: History, candidate: Candidate) -> str:
    """What was tried as subject, with its effect, and in full below it; what was measured; trailers."""
    edits = ", ".join(f"{edit.op} {edit.target}" for edit in candidate.edits)
    facts = [*_measured(history, candidate), _tuned(candidate)]
    if candidate.index:
        told = candidate.hypothesis and f"Hypothesis: {candidate.hypothesis}"
        facts = [told, edits and f"Edits: {edits}", f"Effect: {verdict(candidate)}", *facts]
    about = {
        "Candidate": candidate.id,
        "Operator": candidate.operator,
        "Parents": " ".join(candidate.parents),
        "Rung": f"{candidate.rung:g}",
        "Quarantined": candidate.quarantined,
    }
    first = candidate.hypothesis or edits or "Other numbers" if candidate.index else "Seed program of the run"
    mark = f" ({_change(candidate.effect)})" if candidate.effect else ""
    trailers = [f"{name}: {cut(value, LINE)}" for name, value in about.items() if value]
    first = cut(first, SUBJECT - len(mark)) + mark
    return "\n".join([first, "", *(cut(fact, LINE) for fact in facts if fact), "", *trailers, ""])


def _change(effect: Effect) -> str:
    """`-0.016±0.001`, or with the share of the budget where that was not all of it."""
    return difference(effect) + (f" at {effect.rung:g}" if effect.rung < 1 else "")


def _measured(history: History, candidate: Candidate) -> Iterator[str]:
    """The objectives with error and seeds; who has none of them was not measured at the full budget."""
    for name, estimate in (candidate.fitness.values if candidate.fitness else {}).items():
        yield f"Measured: {name} {with_error(estimate)}"
    if candidate.fitness and not candidate.fitness.feasible:
        yield f"Measured: {candidate.fitness.violation:.4f} above the seed's loss"


def _tuned(candidate: Candidate) -> str:
    """The numbers that are not the default."""
    defaults: dict[str, Number] = {knob.address: knob.default for knob in candidate.genome.knobs}
    numbers = [f"{name}={value:g}" for name, value in candidate.params.items() if value != defaults.get(name)]
    return f"Numbers: {', '.join(numbers)}" if numbers else ""
