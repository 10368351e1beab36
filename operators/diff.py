"""The difference of two programs as a list of edits at named places.

Edits are found by address, not by line: a changed method is one replace, a new function one insert. A definition that
moved is deleted and inserted; a rename is not recognised. Applied to the first program they give the second exactly.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import SequenceMatcher
from typing import NamedTuple

from evolve.model import Edit
from operators.addresses import FILE, EditError, Place, body_at, places, statements_at
from operators.edits import apply, separation
from operators.layout import Statement, layout, render

MOST_EDITS = 30


class _Changes(NamedTuple):
    """Edits by kind, each in the order of the text."""

    inserts: list[Edit]
    replaces: list[Edit]
    deletes: list[Edit]


def diff(before: str, after: str, note: str = "") -> tuple[Edit, ...]:
    """Edits with `apply(before, diff(before, after)) == after`; none for equal texts. Each carries `note`.

    Where edits by address cannot reproduce the text (a banner went, blank lines between two constants vanished),
    classes are replaced whole, and where that does not help, or more than `MOST_EDITS` are needed, the file is.
    Raises SyntaxError.
    """
    if before == after:
        return ()
    for whole_classes in (False, True):
        changes = _Changes([], [], [])
        _compare(before, after, ((), ()), whole_classes, changes)
        if sum(map(len, changes)) > MOST_EDITS:
            break
        inserts, replaces, deletes = changes.inserts, changes.replaces, changes.deletes[::-1]
        for edits in (inserts + replaces + deletes, deletes + replaces + inserts):
            exact = _respaced(before, edits, after)
            if exact is not None:
                return tuple(replace(edit, note=note) for edit in exact)
    return (Edit("replace", FILE, after, note),)


def _respaced(before: str, edits: list[Edit], after: str) -> tuple[Edit, ...] | None:
    """The edits with blank lines set right; None if they do not lead to `after`."""
    try:
        result = apply(before, edits)
        if result == after:
            return tuple(edits)
        wanted = places(after)
        if list(places(result)) != list(wanted):
            return None
        spaced = [
            _replacement(after, place)
            for address, place in wanted.items()
            if statements_at(result, places(result)[address])[0].gap != statements_at(after, place)[0].gap
        ]
        targets = {edit.target for edit in spaced}
        edits = [e for e in edits if e.op != "replace" or e.target not in targets] + spaced
        return tuple(edits) if apply(before, edits) == after else None
    except EditError:
        return None


def _compare(
    before: str, after: str, paths: tuple[tuple[int, ...], tuple[int, ...]], whole_classes: bool, changes: _Changes
) -> None:
    """Collect the changes between the bodies at two paths."""
    old, new = (_members(source, path) for source, path in zip((before, after), paths, strict=True))
    matcher = SequenceMatcher(None, [p.address for p in old], [p.address for p in new], autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            for pair in zip(old[i1:i2], new[j1:j2], strict=True):
                _compare_place(before, after, pair, whole_classes, changes)
            continue
        changes.deletes.extend(Edit("delete", place.address) for place in old[i1:i2])
        following = old[i2] if i2 < len(old) else None
        for index in range(j1, j2):
            previous = new[index - 1] if index else None
            changes.inserts.append(_insertion(before, after, new[index], previous, following))


def _compare_place(before: str, after: str, pair: tuple[Place, Place], whole_classes: bool, changes: _Changes) -> None:
    """Collect the changes between two places of the same address."""
    old, new = (statements_at(source, place) for source, place in zip((before, after), pair, strict=True))
    banner = _new_banners(before, after, pair[1])
    if _code(old) == _code(new) and not banner:
        return
    same_header = old[0].kind == new[0].kind == "class" and _header(old[0]) == _header(new[0])
    if same_header and not whole_classes:
        paths = (*pair[0].path, pair[0].start), (*pair[1].path, pair[1].start)
        _compare(before, after, paths, whole_classes, changes)
    else:
        changes.replaces.append(Edit("replace", pair[1].address, banner + _code(new)))


def _insertion(before: str, after: str, place: Place, previous: Place | None, following: Place | None) -> Edit:
    """Insert a place of `after`: before `following` if it shares its banner or takes over its gap, else behind."""
    new, banner = statements_at(after, place), _new_banners(before, after, place)
    if previous is None:
        target = following.address if following else place.address
        return Edit("insert_before", target, (banner or ("" if following else new[0].gap)) + _code(new))
    implied = separation(statements_at(after, previous)[-1], new[0], bool(place.path))
    if following is not None and not banner:
        gap = statements_at(before, following)[0].gap
        if _opens_section(after, place) or (not _opens_section(before, following) and gap == new[0].gap != implied):
            return Edit("insert_before", following.address, _code(new))
    gap = "" if new[0].gap == implied else new[0].gap
    return Edit("insert_after", previous.address, (banner or gap) + _code(new))


def _opens_section(source: str, place: Place) -> bool:
    """Whether a place comes right behind a banner."""
    body = body_at(layout(source).statements, place.path)
    return place.start > 0 and body[place.start - 1].kind == "banner"


def _replacement(source: str, place: Place) -> Edit:
    statements = statements_at(source, place)
    return Edit("replace", place.address, render(statements))


def _members(source: str, path: tuple[int, ...]) -> list[Place]:
    return [place for place in places(source).values() if place.path == path]


def _code(statements: tuple[Statement, ...]) -> str:
    return statements[0].text + render(statements[1:])


def _header(owner: Statement) -> tuple[str, str, str]:
    """What of a class belongs to none of its members."""
    return owner.head, "".join(s.text for s in owner.body if s.kind == "doc"), owner.tail


def _new_banners(before: str, after: str, place: Place) -> str:
    """The text of banners right before a place of `after` and the gap behind them; "" if `before` has them."""
    body = body_at(layout(after).statements, place.path)
    start = place.start
    while start and body[start - 1].kind == "banner":
        start -= 1
    known = {s.head for s in layout(before).statements if s.kind == "banner"}
    banners = [s for s in body[start : place.start] if s.head not in known]
    return render(banners) + body[place.start].gap if banners else ""
