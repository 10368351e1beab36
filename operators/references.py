"""What the classes and functions of one program expect of each other: attributes that exist, calls that fit.

Types are guessed: a name or attribute assigned from an expression that calls a class of the program, or looping over
such a one, is taken for an instance of it. So findings are hints for comparing programs (`merge`), not errors.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from operators.syntax import parse

Function = ast.FunctionDef | ast.AsyncFunctionDef
REGISTERING = ("register_buffer", "register_parameter", "register_module", "add_module", "setattr")


class Misfit(NamedTuple):
    """A call that a signature does not accept: where the callee is defined, how and in which line it is called."""

    callee: str
    call: str
    line: int


class References(NamedTuple):
    """What `references` finds. Attributes are given as `Class.name`, with the first line (from 1) where they occur.

    `missing` are read from `self` or another instance but not defined in the class; what a library's base class defines
    is among them.
    """

    defined: dict[str, int]
    missing: dict[str, int]
    misfits: tuple[Misfit, ...]


@lru_cache(maxsize=64)
def references(source: str) -> References:
    """Attributes that classes define and miss, and calls that fit no signature. Raises SyntaxError."""
    reader = _Reader(parse(source))
    return References(reader.defined, reader.missing(), tuple(reader.misfits()))


class _Reader:
    """Definitions, signatures and guessed types of a program, and the uses held against them."""

    def __init__(self, tree: ast.Module) -> None:
        self.classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        self.nodes: list[tuple[ast.AST, str]] = []
        self.signatures: dict[str, ast.arguments] = {}
        self.defined: dict[str, int] = {}
        self.types: dict[str, str] = {}
        for statement in tree.body:
            owner = statement.name if isinstance(statement, ast.ClassDef) else ""
            self.nodes += [(node, owner) for node in ast.walk(statement)]
            for member in statement.body if isinstance(statement, ast.ClassDef) else [statement]:
                if isinstance(member, Function) and not member.decorator_list:
                    self.signatures[f"{owner}.{member.name}" if owner else member.name] = member.args
        for node, owner in self.nodes:
            self.learn(node, owner)
            if owner:
                for name in _defines(node, self.classes[owner]):
                    line = getattr(node, "lineno", 1)
                    self.defined[f"{owner}.{name}"] = min(line, self.defined.get(f"{owner}.{name}", line))

    def missing(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for node, owner in self.nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                kind = self.instance(node.value, owner)
                bases = [base.id for base in self.classes[kind].bases if isinstance(base, ast.Name)] if kind else []
                if kind and not any(f"{name}.{node.attr}" in self.defined for name in (kind, *bases)):
                    name = f"{kind}.{node.attr}"
                    found[name] = min(node.lineno, found.get(name, node.lineno))
        return found

    def instance(self, node: ast.AST, owner: str) -> str:
        """The class of which an expression is taken for an instance; "" if one cannot tell."""
        if _is_self(node):
            return owner
        return self.types.get(self.qualified(node, owner), "") if isinstance(node, ast.Name | ast.Attribute) else ""

    def learn(self, node: ast.AST, owner: str) -> None:
        """Note which class the targets of an assignment or a loop are instances of."""
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.For | ast.comprehension):
            targets, value = [node.target], node.iter
        else:
            return
        kind = self.kind_of(value, owner)
        if kind:
            for target in targets:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name | ast.Attribute) and self.qualified(name, owner):
                        self.types.setdefault(self.qualified(name, owner), kind)

    def kind_of(self, value: ast.AST, owner: str) -> str | None:
        """The first class that an expression calls, or an instance of which it mentions."""
        for node in ast.walk(value):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self.classes:
                return node.func.id
            if isinstance(node, ast.Attribute) and self.qualified(node, owner) in self.types:
                return self.types[self.qualified(node, owner)]
        return None

    def qualified(self, node: ast.Name | ast.Attribute, owner: str) -> str:
        if isinstance(node, ast.Name):
            return node.id
        return f"{owner}.{node.attr}" if _is_self(node.value) else ""

    def misfits(self) -> Iterator[Misfit]:
        """Calls that Python would refuse, if the types are guessed right."""
        for node, owner in self.nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                callee = self.callee(node.func, owner)
                if callee in self.signatures and not _fits(self.signatures[callee], node, "." in callee):
                    yield Misfit(callee, _shape(node), node.lineno)

    def callee(self, function: ast.Name | ast.Attribute, owner: str) -> str:
        """The address of what is called, as far as one can tell."""
        name = self.qualified(function, owner)
        if name in self.classes:
            return f"{name}.__init__"
        if name in self.signatures:
            return name
        if name in self.types:
            return f"{self.types[name]}.forward"
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
            return f"{self.types.get(function.value.id, '')}.{function.attr}"
        return ""


def _fits(signature: ast.arguments, call: ast.Call, method: bool) -> bool:
    """Whether Python would accept the call; one with `*` or `**` is believed."""
    if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
        return True
    positional = [a.arg for a in (*signature.posonlyargs, *signature.args)]
    required = set(positional[: len(positional) - len(signature.defaults)])
    required |= {a.arg for a, value in zip(signature.kwonlyargs, signature.kw_defaults, strict=True) if value is None}
    if method and positional:
        required.discard(positional[0])
        positional = positional[1:]
    given = [k.arg or "" for k in call.keywords]
    names = {*positional, *(a.arg for a in signature.kwonlyargs)}
    return (
        (len(call.args) <= len(positional) or signature.vararg is not None)
        and (signature.kwarg is not None or names >= set(given))
        and required <= {*positional[: len(call.args)], *given}
    )


def _shape(call: ast.Call) -> str:
    arguments = ["_"] * len(call.args) + [f"{k.arg}=" for k in call.keywords]
    return f"{ast.unparse(call.func)}({', '.join(arguments)})"


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _defines(node: ast.AST, owner: ast.ClassDef) -> Iterator[str]:
    """The attributes of `owner` that a node within it defines: members, stores to `self`, registered names."""
    if isinstance(node, Function | ast.ClassDef):
        if node in owner.body:
            yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        if node in owner.body:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name))
    elif isinstance(node, ast.Attribute):
        if isinstance(node.ctx, ast.Store) and _is_self(node.value):
            yield node.attr
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        if name in REGISTERING:
            yield from (a.value for a in node.args[:2] if isinstance(a, ast.Constant) and isinstance(a.value, str))
