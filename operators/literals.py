"""Where the numbers of a program are: every literal that has an address, its place in the text, and how to rewrite it.

An address names the definition, the callee and the keyword or name, never a line or a running index, so it survives
edits elsewhere:

    LEARNING_RATE               a constant of the module            Config.lr                   a field of a class
    BETAS[0]                    an element of a short tuple         Muon.__init__(momentum)     default of a parameter
    train/AdamW(betas)[0]       a keyword of a call in `train`      Block.__init__/Dropout(0)   its first argument
    rotary/frequency            a factor in what is assigned        GPT.forward/return          ... or returned
    adam/AdamW(eps)             a call in a top-level assignment    optimizer/weight_decay      the key of a dict

Structure has no address: indices, comparisons, exponents, remainders, assertions, f-strings, what is printed, and the
arguments of `min`, `max` and the like. What may be *tuned* is decided in `ranges`, not here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal as OneOf

from evolve.model import Number
from operators.syntax import nodes, parse

Kind = OneOf["constant", "variable", "inline"]
Span = tuple[int, int, int, int]

_STRUCTURE = (ast.Compare, ast.JoinedStr, ast.Assert, ast.Delete)
_GUARDS = {"min", "max", "clamp", "clamp_", "clip", "print", "range", "isinstance"}
_LONGEST_TUPLE = 4  # longer ones are tables
_TINY, _HUGE = 1e-100, 1e18
_POWER = re.compile(r"(\d+)(\s*\*\*\s*)(\d+)")


@dataclass(frozen=True)
class Literal:
    """A number in a program.

    `name` is the last part of the address without an index: what the number is called. `kind` says how public it is:
    "constant" for an upper-case name of the module or a field of a class, "variable" for another name at top level,
    "inline" for the rest. `start` and `end` are offsets into the text, `span` is the same as line (from 1), column,
    end line, end column, in characters. `base` marks the base of a power, `part` a number in the arithmetic of names,
    such as the 4 of `hidden = 4 * DIM`, which is not what it is called.
    """

    address: str
    name: str
    kind: Kind
    value: Number
    text: str
    start: int
    end: int
    span: Span
    base: bool = False
    part: bool = False

    def written(self, value: Number) -> str:
        """`value` in this literal's own form: as a power, with an exponent, with underscores where it has them.

        The literal's own text where the value is its own.
        """
        if isinstance(self.value, bool):
            return str(bool(value))
        whole = isinstance(self.value, int) and value == int(value)
        exact = int(value) if whole else rounded(value)
        if self.value in (value, exact):
            return self.text
        text = self._integer(int(value)) if whole else self._float(exact)
        return f"({text})" if value < 0 <= self.value else text

    def _integer(self, value: int) -> str:
        if power := _POWER.fullmatch(self.text):
            base, stars, _ = power.groups()
            exponent = next((e for e in range(1, 64) if int(base) ** e == value), None)
            return str(value) if exponent is None else f"{base}{stars}{exponent}"
        return f"{value:_}" if "_" in self.text else str(value)

    def _float(self, value: float) -> str:
        if "e" not in self.text.lower() or value == 0:
            return repr(value)
        mantissa, exponent = f"{value:e}".split("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
        return text if float(text) == value else repr(value)


def rounded(value: float) -> float:
    """`value` with four significant digits; just below one, as betas are, with four of the distance to one."""
    if abs(value) < _TINY:
        return 0.0
    if 0.5 < value < 1:
        return round(1 - float(f"{1 - value:.4g}"), 12)
    return float(f"{value:.4g}")


@lru_cache(maxsize=64)
def literals(source: str) -> tuple[Literal, ...]:
    """The addressed decimal literals of `source` in the order of the text. Several may share an address.

    A default of a parameter that some call passes by keyword has no address: changing it would change nothing.
    Raises SyntaxError where `source` is no Python.
    """
    text, tree = _Text(source), parse(source)
    found = (text.literal(node, place) for node, place in _walk_body(tree, _Place("")))
    calls = (node for node in nodes(source) if isinstance(node, ast.Call))
    passed = {(_callee(call), keyword.arg) for call in calls for keyword in call.keywords}
    kept = (one for one in found if _decimal(one) and _parameter(one) not in passed)
    return tuple(sorted(kept, key=lambda one: one.start))


def _decimal(literal: Literal) -> bool:
    return not literal.text.lower().startswith(("0x", "0o", "0b"))


def _parameter(literal: Literal) -> tuple[str, str]:
    """Function (for `__init__` its class) and parameter, should `literal` be the default of a parameter."""
    owner = literal.address.partition("(")[0].removesuffix(".__init__")
    return owner.rpartition(".")[2], literal.name


def _callee(call: ast.Call) -> str:
    """The last part of the name of what is called."""
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return "call"


@dataclass(frozen=True)
class _Place:
    """Where the walk is: the definition it is in, the address a literal found here gets, and its kind."""

    scope: str
    address: str = ""
    name: str = ""
    kind: Kind = "inline"
    base: bool = False
    part: bool = False

    def named(self, name: str, kind: Kind = "inline") -> _Place:
        """The place of what is bound to `name`."""
        separator = "." if kind == "constant" else "/"
        address = f"{self.scope}{separator}{name}" if self.scope else name
        return replace(self, address=address, name=name, kind=kind)

    def argument(self, callee: str, name: str) -> _Place:
        """The place of an argument of a call; at top level, what is assigned stands for the definition."""
        scope = self.scope or self.address or "@"
        return _Place(scope, f"{scope}/{callee}({name})", callee if name.isdigit() else name)


class _Text:
    """Turns the positions of `ast` (lines, UTF-8 bytes) into offsets and columns in characters."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.starts = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", source))]

    def column(self, line: int, in_bytes: int) -> int:
        if self.source.isascii():
            return in_bytes
        rest = self.source[self.starts[line - 1] :][:in_bytes]
        return len(rest.encode()[:in_bytes].decode())

    def literal(self, node: ast.expr, place: _Place) -> Literal:
        end_line = node.end_lineno or node.lineno
        span = (
            node.lineno, self.column(node.lineno, node.col_offset),
            end_line, self.column(end_line, node.end_col_offset or 0),
        )  # fmt: skip
        start, end = self.starts[span[0] - 1] + span[1], self.starts[span[2] - 1] + span[3]
        text = self.source[start:end]
        value = number(node)
        assert value is not None, f"no number at {place.address}"
        return Literal(place.address, place.name, place.kind, value, text, start, end, span, place.base, place.part)


def number(node: ast.AST) -> Number | None:
    """The value of a number, a negated number or an integer power such as `2**19`; None for any other expression.

    None, too, for what no one tunes: beyond `_HUGE`, and below `_TINY` but for zero.
    """
    value: Number
    match node:
        case ast.Constant(value=int() | float() as value):
            pass
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            value = -value
        case ast.BinOp(op=ast.Pow(), left=ast.Constant(value=int() as base), right=ast.Constant(value=int() as power)):
            value = int(base**power) if base <= 1024 and 0 <= power < 64 else 0
        case _:
            return None
    return value if value == 0 or _TINY <= abs(value) <= _HUGE else None


_Found = Iterator[tuple[ast.expr, _Place]]


def _walk_body(node: ast.Module | ast.ClassDef, place: _Place) -> _Found:
    """Statements directly in a module or class, where a literal that is assigned is a declaration."""
    for statement in node.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ) if number(value) is not None or isinstance(value, ast.Tuple | ast.List):
                public = isinstance(node, ast.ClassDef) or name.isupper()
                yield from _walk(value, place.named(name, "constant" if public else "variable"))
            case _:
                yield from _walk(statement, place)


def _walk(node: ast.AST, place: _Place) -> _Found:
    """All numbers below `node` that have an address."""
    match node:
        case ast.ClassDef(name=name):
            yield from _walk_body(node, _Place(_within(place.scope, name)))
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from _walk_function(node, _Place(_within(place.scope, node.name)))
        case ast.Assign(targets=[target]) | ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            if node.value is not None:
                yield from _walk(node.value, _bound(target, place))
        case ast.Return(value=ast.expr() as value):
            yield from _walk(value, place.named("return"))
        case ast.expr():
            yield from _walk_expression(node, place)
        case _ if not isinstance(node, _STRUCTURE):
            for child in ast.iter_child_nodes(node):
                yield from _walk(child, _Place(place.scope))


def _walk_expression(node: ast.expr, place: _Place) -> _Found:
    """A number itself, or the numbers in an expression, which share its place unless a call or key names them."""
    match node:
        case _ if number(node) is not None:
            if place.address:
                yield node, place
        case ast.Call():
            yield from _walk_call(node, place)
        case ast.Dict():
            yield from _walk_dict(node, place)
        case ast.Tuple(elts=elements) | ast.List(elts=elements) if place.address:
            yield from _walk_elements(elements, place)
        case _:
            for operand, inner in _operands(node, place):
                yield from _walk_expression(operand, inner)


def _operands(node: ast.expr, place: _Place) -> list[tuple[ast.expr, _Place]]:
    """The parts of an expression that may hold a number to tune; its structure is left out."""
    if isinstance(node, ast.BinOp) and any(isinstance(inner, ast.Name) for inner in ast.walk(node)):
        place = replace(place, part=True)
    match node:
        case ast.BinOp(op=ast.Pow(), left=left):
            return [(left, replace(place, base=True))]
        case ast.BinOp(op=ast.Mod(), left=operand) | ast.Subscript(value=operand):
            return [(operand, place)]
        case _ if isinstance(node, _STRUCTURE):
            return []
        case _:
            return [(child, place) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]


def _within(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope else name


def _bound(target: ast.expr, place: _Place) -> _Place:
    """The place of a value that is assigned to `target`; tuples and computed targets give no name."""
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str() as name)):
            return place.named(name)
        case _:
            return _Place(place.scope)


def _walk_function(node: ast.FunctionDef | ast.AsyncFunctionDef, place: _Place) -> _Found:
    """Defaults of parameters, then the body."""
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    with_default = [*positional[len(positional) - len(arguments.defaults) :], *arguments.kwonlyargs]
    for parameter, default in zip(with_default, [*arguments.defaults, *arguments.kw_defaults], strict=True):
        if default is not None:
            address = f"{place.scope}({parameter.arg})"
            yield from _walk(default, _Place(place.scope, address, parameter.arg))
    for statement in node.body:
        yield from _walk(statement, place)


def _walk_call(node: ast.Call, place: _Place) -> _Found:
    """Arguments: by keyword; a literal by position; inside a positional expression by what the whole is assigned to."""
    name = _callee(node)
    yield from _walk(node.func, place)
    for index, argument in enumerate(node.args):
        direct = number(argument) is not None
        if not (direct and name in _GUARDS):
            yield from _walk(argument, place.argument(name, str(index)) if direct else place)
    for keyword in node.keywords:
        yield from _walk(keyword.value, place.argument(name, keyword.arg) if keyword.arg else place)


def _walk_dict(node: ast.Dict, place: _Place) -> _Found:
    """Values by their key; at top level, what is assigned stands for the definition."""
    for key, value in zip(node.keys, node.values, strict=True):
        match key:
            case ast.Constant(value=str() as name):
                yield from _walk(value, _Place(place.scope or place.address or "@").named(name))
            case _:
                yield from _walk(value, _Place(place.scope))


def _walk_elements(elements: list[ast.expr], place: _Place) -> _Found:
    """Elements of a short tuple or list by their index; a longer one is a table and has no addresses."""
    if len(elements) > _LONGEST_TUPLE:
        return
    for index, element in enumerate(elements):
        inner = place
        if number(element) is not None and not place.address.endswith("]"):
            inner = replace(place, address=f"{place.address}[{index}]")
        yield from _walk(element, inner)
