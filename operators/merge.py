"""Three-way merge of programs by named node: what only one side changed since the common base is taken from it.

`threeway` merges the statements; here what a merge may tear apart is put together again. A name, attribute or
signature and those who use it come from one side: what only one side has is brought along, and where the other side
took it away or changed it, that is a conflict too. It compares texts; it neither runs nor judges programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from evolve.model import Edit
from operators.addresses import FILE, EditError, address_at, addresses, places, read, statements_at
from operators.edits import apply
from operators.imports import import_of, with_import
from operators.layout import layout, render
from operators.names import bindings, premature, undefined
from operators.references import references
from operators.threeway import Clash, Side, Versions, merge_members, merge_text

Origin = Literal["base", "left", "right", "both"]
ROUNDS = 20


class MergeError(Exception):
    """Programs that cannot be merged; the message says why."""


@dataclass(frozen=True)
class Conflict:
    """A place that both sides changed at odds, with its three versions ("" where it is missing)."""

    address: str
    base: str
    left: str
    right: str
    reason: str


@dataclass(frozen=True)
class Merge:
    """The merged program. `origins` says for each of its addresses whose version it has.

    An address is "base" if nobody changed it, "both" if both made the same change or their changes were combined.
    """

    source: str
    conflicts: tuple[Conflict, ...]
    origins: Mapping[str, Origin]

    def equals(self, parent: str) -> bool:
        """Whether nothing but `parent` came of it."""
        return self.source == parent


class _Fault(NamedTuple):
    """Something amiss with a merged program that neither parent has: `user` does not fit what `definer` provides.

    `provider` is the side that has what `user` misses; None if both have it and the two do not fit together.
    """

    what: str
    user: str
    definer: str
    provider: Side | None


def merge(base: str, left: str, right: str, choose: Callable[[str], Side] | None = None) -> Merge:
    """Merge what `left` and `right` changed since `base`.

    `choose` is asked once for each address in conflict; without it the conflicts are left open and `left` stands in
    the text, except that what a side still needs is kept. The result compiles, and has no undefined name, missing
    attribute or call that does not fit which its parents do not have; if no choice of nodes achieves that, it is one
    of the parents, with a conflict at `@file`. Raises MergeError for a program that does not parse.
    """
    work = _Work({"base": base, "left": left, "right": right}, choose)
    if left in (base, right):
        source = right
    else:
        source = left if right == base else work.fitting()
    return Merge(source, tuple(work.conflicts), _origins(source, base, left, right))


def _origins(source: str, base: str, left: str, right: str) -> dict[str, Origin]:
    found: dict[str, Origin] = {}
    for address in addresses(source):
        code, before, ours, theirs = (_read(text, address) for text in (source, base, left, right))
        if code == ours == theirs:
            found[address] = "base" if code == before else "both"
        else:
            found[address] = "left" if code == ours else "right" if code == theirs else "both"
    return found


def _read(source: str, address: str) -> str:
    """The code at an address; "" where the program has no such place."""
    return read(source, address) if address == FILE or address in places(source) else ""


class _Work:
    """One merge: the three texts as given and as imposed upon, and what was decided so far."""

    def __init__(self, given: Mapping[str, str], choose: Callable[[str], Side] | None) -> None:
        self.given = {name: text if text.endswith("\n") else text + "\n" for name, text in given.items()}
        self.texts = dict(self.given)
        self.choose = choose
        self.sides: dict[str, Side] = {}
        self.conflicts: list[Conflict] = []
        self.imposed: set[str] = set()
        try:
            self.loose = {name: _loose(text) for name, text in self.given.items()}
        except SyntaxError as error:
            raise MergeError(f"a program to be merged does not parse, line {error.lineno}: {error.msg}") from error

    def fitting(self) -> str:
        """Merge, mend what does not fit, and merge again, until all fits; else one of the parents."""
        for _ in range(ROUNDS):
            source = self.merged()
            fault = self.fault(source)
            if fault is None:
                return source
            if not self.mend(fault):
                break
        return self.given[self.decide(FILE, "left and right do not fit together")]

    def merged(self) -> str:
        base, left, right = (layout(self.texts[name]) for name in ("base", "left", "right"))
        statements = merge_members(base.statements, left.statements, right.statements, self.decide_statement)
        try:
            tail = merge_text(base.tail, left.tail, right.tail, "the end of the file")
        except Clash:
            tail = left.tail
        return render(statements) + tail

    def decide(self, address: str, reason: str, default: Side = "left") -> Side:
        """The side taken at an address; the first time this is a conflict."""
        if address not in self.sides:
            self.sides[address] = self.choose(address) if self.choose else default
            base, left, right = (_read(self.given[name], address) for name in ("base", "left", "right"))
            self.conflicts.append(Conflict(address, base, left, right, reason))
        return self.sides[address]

    def decide_statement(self, versions: Versions, scope: str, reason: str) -> Side:
        """The side taken at the address of a statement."""
        found = [s for s in versions if s is not None]
        for name, statement in zip(("base", "left", "right"), versions, strict=True):
            if statement is not None and (address := self.loose[name].get(scope + statement.text)):
                return self.decide(address, reason)
        address = scope + found[0].name
        known = any(address in places(text) for text in self.given.values())
        return self.decide(address if known else scope.rstrip(".") or FILE, reason)

    def fault(self, source: str) -> _Fault | None:
        """The first thing amiss with a merged program and not with its parents."""
        try:
            compile(source, "<merged>", "exec", dont_inherit=True)
        except SyntaxError as error:
            return _Fault(f"line {error.lineno}: {error.msg}", FILE, FILE, None)
        return next(self.faults(source), None)

    def faults(self, source: str) -> Iterator[_Fault]:
        parents = [self.given["left"], self.given["right"]]
        known = {use.name for text in parents for use in undefined(text)}
        for name, line in undefined(source):
            if name not in known:
                yield self.missing(name, address_at(source, line), bindings)
        unknown = {name for text in parents for name in references(text).missing}
        for name, line in references(source).missing.items():
            if name not in unknown:
                yield self.missing(name, address_at(source, line), lambda text: references(text).defined)
        unfit = {(m.callee, m.call) for text in parents for m in references(text).misfits}
        for callee, call, line in references(source).misfits:
            if (callee, call) not in unfit:
                yield _Fault(f"{call} does not fit the signature of {callee}", address_at(source, line), callee, None)
        early = {use.name for text in parents for use in premature(text)}
        for name, line in premature(source):
            if name not in early:
                user, definer = address_at(source, line), address_at(source, bindings(source)[name])
                yield _Fault(f"{name} is used before its definition", user, definer, None)

    def missing(self, name: str, user: str, lines: Callable[[str], Mapping[str, int]]) -> _Fault:
        """The fault that a name or attribute is gone; `lines` finds definitions in a text."""
        provider: Side = "left" if name in lines(self.given["left"]) else "right"
        line = lines(self.given[provider]).get(name)
        definer = address_at(self.given[provider], line) if line else FILE
        return _Fault(name, user, definer, provider)

    def mend(self, fault: _Fault) -> bool:
        """Take `definer` or `user` or both from one side; False if that was tried before."""
        if fault.provider and (wanted := import_of(self.given[fault.provider], fault.what)):
            before, self.texts = self.texts, {name: with_import(text, wanted) for name, text in self.texts.items()}
            return before != self.texts
        side = self.sides.get(fault.definer) or self.sides.get(fault.user)
        if side is None:
            lost = f": {_other(fault.provider)} removed it, {fault.user} uses it" if fault.provider else ""
            side = self.decide(fault.definer, fault.what + lost, fault.provider or "left")
        if fault.provider is None:
            return any([self.impose(fault.definer, side), self.impose(fault.user, side)])
        return self.impose(fault.definer if side == fault.provider else fault.user, side)

    def impose(self, address: str, side: Side) -> bool:
        """Make all three texts have the version of `side` at an address; False if that was done before or cannot be."""
        if address == FILE or address in self.imposed:
            return False
        self.imposed.add(address)
        self.sides[address] = side
        mine, other = self.given[side], self.texts[_other(side)]
        code = _read(mine, address)
        for name in ("base", _other(side)):
            if address in places(self.texts[name]):
                keep = code and address in places(other)
                edit = Edit("replace", address, code) if keep else Edit("delete", address)
                try:
                    self.texts[name] = apply(self.texts[name], [edit])
                except EditError:  # the last member of a class, which may be needed by the other side
                    return False
        return True


def _other(side: Side) -> Side:
    return "right" if side == "left" else "left"


def _loose(source: str) -> dict[str, str]:
    """The addresses of statements that are no definitions, by class and text."""
    return {
        address.rpartition("@")[0] + statement.text: address
        for address, place in places(source).items()
        if "@" in address
        for statement in statements_at(source, place)
    }
