"""Rename a definition together with its uses. It does not follow names into strings, comments or keyword arguments."""

from __future__ import annotations

import keyword
import symtable

import libcst as cst

from operators.addresses import EditError, addresses
from operators.syntax import nodes


def rename(source: str, address: str, name: str) -> str:
    """The program with what `address` defines called `name`, uses included. Raises EditError where that is unsafe.

    Uses are found by name, so it is refused where another scope or class defines the same name, and for special
    methods.
    """
    owner, _, old = address.rpartition(".")
    if old.startswith("@") or old.isdigit():
        raise EditError(f"{address} has no name to change; rename works on definitions and constants")
    if not name.isidentifier() or keyword.iskeyword(name):
        raise EditError(f"rename {address} to {name!r}: the code of a rename is the new name, one identifier")
    if name in _names(source):
        raise EditError(f"rename {address} to {name}: {name} is in use already; choose another name")
    elsewhere = [a for a in addresses(source) if a != address and a.rpartition(".")[2] == old]
    local = None if owner else _local(symtable.symtable(source, "<candidate>", "exec"), old)
    special = "Python itself" if owner and old.startswith("__") and old.endswith("__") else None
    other = next(iter(elsewhere), None) or local or special
    if other:
        raise EditError(f"cannot rename {address}: {other} uses the same name; replace the definition and its uses")
    change = _Member(owner.split("."), old, name) if owner else _Global(old, name)
    return cst.parse_module(source).visit(change).code


def _local(scope: symtable.SymbolTable, name: str) -> str | None:
    """The first function or class in which the name is local."""
    for child in scope.get_children():
        if name in child.get_identifiers() and child.lookup(name).is_local():
            return child.get_name()
        inner = _local(child, name)
        if inner:
            return inner
    return None


def _names(source: str) -> set[str]:
    """Every name and attribute that occurs in the program."""
    found: set[str] = set()
    for node in nodes(source):
        for field in ("id", "attr", "name", "asname", "arg"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                found.add(value)
    return found


class _Global(cst.CSTTransformer):
    """Renames a global name that no other scope binds."""

    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = old, new

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        return updated_node.with_changes(value=self.new) if updated_node.value == self.old else updated_node

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:
        return updated_node.with_changes(attr=original_node.attr)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        return updated_node.with_changes(keyword=original_node.keyword)


class _Member(cst.CSTTransformer):
    """Renames a member of a class: its definition there, attributes of that name, and keywords of the class's calls."""

    def __init__(self, owner: list[str], old: str, new: str) -> None:
        self.owner, self.old, self.new = owner, old, new
        self.scope: list[str] = []

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self.scope.append(node.name.value)

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:
        self.scope.pop()
        return updated_node

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self.scope.append(node.name.value)

    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.FunctionDef:
        self.scope.pop()
        return updated_node.with_changes(name=self.renamed(updated_node.name)) if self.inside else updated_node

    def leave_AssignTarget(self, original_node: cst.AssignTarget, updated_node: cst.AssignTarget) -> cst.AssignTarget:
        return updated_node.with_changes(target=self.renamed(updated_node.target)) if self.inside else updated_node

    def leave_AnnAssign(self, original_node: cst.AnnAssign, updated_node: cst.AnnAssign) -> cst.AnnAssign:
        return updated_node.with_changes(target=self.renamed(updated_node.target)) if self.inside else updated_node

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:
        return updated_node.with_changes(attr=self.renamed(updated_node.attr))

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        if not isinstance(updated_node.func, cst.Name) or updated_node.func.value != self.owner[-1]:
            return updated_node
        args = [a.with_changes(keyword=self.renamed(a.keyword)) if a.keyword else a for a in updated_node.args]
        return updated_node.with_changes(args=args)

    @property
    def inside(self) -> bool:
        """Whether the body of the class itself is being read."""
        return self.scope == self.owner

    def renamed(self, node: cst.CSTNode) -> cst.CSTNode:
        return node.with_changes(value=self.new) if isinstance(node, cst.Name) and node.value == self.old else node
