"""The lineage of a candidate as a branch in git: an edit is a commit with what it was measured to change.

A commit holds the program with its default numbers, so its difference is what was changed in the structure; the last
one writes the tuned numbers of the candidate in. A candidate with the text of its parent (other numbers only) has no
commit of its own. One with two parents is a merge commit, unless one of them is an ancestor of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from evolve.exports.git import FILE_MODE, Repository
from evolve.exports.recorded import Recorded
from evolve.history import History
from evolve.journal import cut, verdict
from evolve.model import Candidate, Effect, Number
from evolve.reports.columns import with_error

SUBJECT = 72  # characters of a commit's first line
LINE = 1000  # of another line
MODES = (FILE_MODE, "100755")  # of a plain file

Text = Callable[[Candidate], str]


@dataclass
class _Branch:
    """Commits so far. `start` is the one that it begins at, None for none; `text` and `older` are by commit."""

    repository: Repository
    path: str
    start: str | None
    mode: str = FILE_MODE
    made: int = 0
    text: dict[str, str] = field(default_factory=dict)  # the blob of the file
    older: dict[str, set[str]] = field(default_factory=dict)  # its ancestors, and itself

    def __post_init__(self) -> None:
        if self.start is None:
            return
        mode, blob = self.repository.file(self.start, self.path) or (FILE_MODE, "")
        self.mode = mode if mode in MODES else FILE_MODE
        self.text[self.start], self.older[self.start] = blob, {self.start}

    def add(self, text: str, parents: Collection[str], message: str, at: float | None) -> str:
        """The commit with this text after `parents`: the parent itself where it is the only one and has that text."""
        blob = self.repository.blob(text)
        parents = self._apart(parents) or ([self.start] if self.start else [])
        if len(parents) == 1 and self.text[parents[0]] == blob:
            return parents[0]
        tree = self.repository.tree(self.start, self.path, blob, self.mode)
        commit = self.repository.commit(tree, parents, message, int(at or 0))
        self.text[commit] = blob
        self.older[commit] = {commit}.union(*(self.older[parent] for parent in parents))
        self.made += 1
        return commit

    def _apart(self, commits: Collection[str]) -> list[str]:
        """Those that are no ancestor of another, the first parent's first."""
        different = list(dict.fromkeys(commits))
        return [c for c in different if not any(c in self.older[other] for other in different if other != c)]


def export_branch(
    recorded: Recorded, candidate: Candidate, texts: tuple[Text, Text], repository: Repository, name: str, path: str
) -> tuple[str, int]:
    """Make the branch; returns its last commit and the number of new commits.

    `texts` give a candidate's program with its default numbers, and as it is exported. The branch begins at the commit
    that is checked out. Raises `ConfigError` with what git says; then there is no branch.
    """
    repository.check_new(name)
    branch = _Branch(repository, path, repository.head())
    structure, exported = texts
    commits: dict[str, str] = {}
    for one in lineage(recorded.history, candidate):
        parents = [commits[parent] for parent in one.parents]
        message = _message(recorded.history, one)
        commits[one.id] = branch.add(structure(one), parents, message, recorded.told(one))
    message = _message(recorded.history, candidate, f"Tuned numbers of candidate {candidate.id}")
    tip = branch.add(exported(candidate), [commits[candidate.id]], message, recorded.told(candidate))
    repository.create(name, tip)
    return tip, branch.made


def lineage(history: History, candidate: Candidate) -> list[Candidate]:
    """All ancestors and itself, in the order in which they were asked for: parents come before their children."""
    found: dict[str, Candidate] = {}
    waiting = [candidate.id]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = history.candidates[name]
            waiting += found[name].parents
    return sorted(found.values(), key=lambda one: one.index)


def _message(history: History, candidate: Candidate, subject: str = "") -> str:
    """What was tried as subject, in full below it unless another is given; what was measured; trailers."""
    edits = ", ".join(f"{edit.op} {edit.target}" for edit in candidate.edits)
    facts = [*_measured(history, candidate), _tuned(candidate)]
    if candidate.index and not subject:
        told = candidate.hypothesis and f"Hypothesis: {candidate.hypothesis}"
        facts = [told, edits and f"Edits: {edits}", f"Effect: {verdict(candidate)}", *facts]
    about = {
        "Candidate": candidate.id,
        "Operator": candidate.operator,
        "Parents": " ".join(candidate.parents),
        "Rung": f"{candidate.rung:g}",
        "Quarantined": candidate.quarantined,
    }
    first = subject or (candidate.hypothesis or edits if candidate.index else "Seed program of the run")
    mark = "" if subject or not candidate.effect else f" ({_change(candidate.effect)})"
    trailers = [f"{name}: {cut(value, LINE)}" for name, value in about.items() if value]
    first = cut(first, SUBJECT - len(mark)) + mark
    return "\n".join([first, "", *(cut(fact, LINE) for fact in facts if fact), "", *trailers, ""])


def _change(effect: Effect) -> str:
    """`-0.016±0.001`, or with the share of the budget where that was not all of it."""
    error = f"±{effect.error:.3f}" if effect.error is not None else ""
    return f"{effect.delta:+.3f}{error}" + (f" at {effect.rung:g}" if effect.rung < 1 else "")


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
