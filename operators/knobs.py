"""Numeric literals to knobs and back: which numbers of a program may be tuned, and the program with other numbers.

    knobs = find(source, hints)                     what may be tuned, over which values
    text = bind(source, {"LEARNING_RATE": 3e-3})    the same text but for that literal

A genome keeps its default numbers: ranges derive from them, so `find(bind(source, params))` declares other ranges where
no directive does. Text is bound to be executed or exported, never to be bred from. Addresses are explained in
`literals`, ranges and directives in `ranges`, divisibility in `coupling`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from evolve.model import Knob, Number
from operators.coupling import fit
from operators.literals import Literal, Span, literals
from operators.ranges import KnobError, directed, guess, tunable

__all__ = ["KnobError", "bind", "find", "inherit", "rewrite", "spans"]

_COMMENT = re.compile(r"#\s*knob:\s*([^#\n\r]*)")
_STRUCTURAL = {0, 1, 2, -1}
_NO_HINTS: Mapping[str, str] = MappingProxyType({})


def find(source: str, hints: Mapping[str, str] = _NO_HINTS) -> tuple[Knob, ...]:
    """The knobs of `source` in the order of the text; any combination of their values is meant to run.

    `hints` maps an address or a name, with `*` for any part, to a directive; the first that matches applies where no
    comment on the line does. Two numbers with one address are no knobs. Raises KnobError for a directive that cannot
    be read, SyntaxError where `source` is no Python.
    """
    return _declared(source, hints)[0]


def bind(source: str, params: Mapping[str, Number], hints: Mapping[str, str] = _NO_HINTS) -> str:
    """`source` with the values of `params` in place of the knobs' defaults.

    A value that equals the default leaves the literal as it is written; floats are written with four significant
    digits, integers stay integers. Raises KnobError for an address that is no knob and a value it does not allow.
    """
    knobs, places = _declared(source, hints)
    by_address = {knob.address: knob for knob in knobs}
    for address, value in params.items():
        if address not in by_address:
            raise KnobError(f"no knob {address!r}; take one of {', '.join(by_address) or 'none, the program has none'}")
        _check(by_address[address], value)
    return _written(source, places, params)


def rewrite(source: str, values: Mapping[str, Number | bool]) -> str:
    """`source` with other *defaults*: any constant or knob, switches included, and no range is checked.

    For what a target or a user decides, such as the constants of a scale. Raises KnobError for an unknown address.
    """
    places = _addressed(source, literals(source), _directives(source))
    if unknown := [address for address in values if address not in places]:
        raise KnobError(f"no number at {unknown[0]!r}; take one of {', '.join(places) or 'none, there are none'}")
    return _written(source, places, values)


def spans(source: str, hints: Mapping[str, str] = _NO_HINTS) -> dict[str, Span]:
    """Where each knob is: line (from 1), column, end line, end column, in characters."""
    knobs, places = _declared(source, hints)
    return {knob.address: places[knob.address].span for knob in knobs}


def inherit(knobs: Sequence[Knob], params: Mapping[str, Number]) -> dict[str, Number]:
    """A parent's `params` for a child with these `knobs`, by address: a knob the parent lacks takes its default.

    A value outside the child's range becomes the nearest that is allowed, choices by ratio.
    """
    return {knob.address: _nearest(knob, params.get(knob.address, knob.default)) for knob in knobs}


def _nearest(knob: Knob, value: Number) -> Number:
    """The allowed value nearest to `value`; among choices the one with the nearest ratio."""
    if knob.kind == "choice":
        by_ratio = value > 0 and knob.values[0] > 0
        return min(knob.values, key=lambda one: abs(math.log(one / value)) if by_ratio else abs(one - value))
    inside = min(max(value, knob.low), knob.high)
    return round(inside) if knob.kind == "int" else float(inside)


def _declared(source: str, hints: Mapping[str, str]) -> tuple[tuple[Knob, ...], dict[str, Literal]]:
    """The knobs of `source`, and the literals that have an address of their own."""
    every, comments = literals(source), _directives(source)
    places = _addressed(source, every, comments)
    knobs, overruled = [], set()
    for address, literal in places.items():
        directive = comments.get(literal.span[0]) or _hint(literal, hints)
        if isinstance(literal.value, bool) or not (directive or tunable(literal)):
            continue
        if directive:
            overruled.add(address)
        if knob := directed(literal, directive) if directive else guess(literal):
            knobs.append(knob)
    return fit(knobs, every, overruled), places


def _addressed(source: str, every: Sequence[Literal], comments: Mapping[int, str]) -> dict[str, Literal]:
    """Constants and tunable literals by address, without those that share one."""
    named = [one for one in every if one.kind == "constant" or tunable(one) or _called(one, comments)]
    uses = Counter(one.address for one in named)
    return {one.address: one for one in named if uses[one.address] == 1}


def _called(literal: Literal, comments: Mapping[int, str]) -> bool:
    """Whether a comment on its line makes a knob of a literal that would be none."""
    return literal.span[0] in comments and not (isinstance(literal.value, int) and literal.value in _STRUCTURAL)


def _directives(source: str) -> dict[int, str]:
    """The directives in comments, by line."""
    if "knob:" not in source:
        return {}
    lines = enumerate(re.split(r"\r\n|\r|\n", source), start=1)
    return {number: found[1].strip() for number, line in lines if (found := _COMMENT.search(line))}


def _hint(literal: Literal, hints: Mapping[str, str]) -> str | None:
    """The first hint whose pattern is the literal's address or name."""
    for pattern, directive in hints.items():
        expression = re.escape(pattern).replace(r"\*", ".*")
        if re.fullmatch(expression, literal.address) or re.fullmatch(expression, literal.name):
            return directive
    return None


def _check(knob: Knob, value: Number) -> None:
    """Raises KnobError unless `knob` allows `value`."""
    if knob.kind == "choice":
        allowed, cure = value in knob.values, "|".join(map(str, knob.values))
    else:
        allowed, cure = knob.low <= value <= knob.high, f"{knob.low}..{knob.high}"
    if not allowed:
        raise KnobError(f"{knob.address} = {value} is outside {cure}; take a value inside or declare `# knob: ...`")
    if knob.kind == "int" and value != int(value):
        raise KnobError(f"{knob.address} = {value} is no integer; take {round(value)}")


def _written(source: str, places: Mapping[str, Literal], values: Mapping[str, Number | bool]) -> str:
    """`source` with the literals of `values` rewritten, from the last to the first."""
    for literal in sorted((places[address] for address in values), key=lambda one: one.start, reverse=True):
        source = source[: literal.start] + literal.written(values[literal.address]) + source[literal.end :]
    return source
