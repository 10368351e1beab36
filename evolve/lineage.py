"""Who descends from whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evolve.model import Candidate


def with_ancestors(candidates: Mapping[str, Candidate], ends: Iterable[Candidate]) -> dict[str, Candidate]:
    """`ends` by id, then the ancestors of each that are among `candidates`: the first end's first, the nearest first.

    In the order of their `index`, parents come before their children.
    """
    found = {end.id: end for end in ends}
    for end in list(found.values()):
        row = [end]
        while row:
            parents = dict.fromkeys(name for child in row for name in child.parents)
            row = [candidates[name] for name in parents if name in candidates and name not in found]
            found |= {parent.id: parent for parent in row}
    return found
